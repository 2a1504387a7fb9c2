//! Creation of the template's tables.

use aws_sdk_dynamodb::{
    Client,
    error::{BuildError, ProvideErrorMetadata, SdkError},
    operation::create_table::{CreateTableError, CreateTableInput, builders::CreateTableInputBuilder},
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
        StreamSpecification,
    },
};

use crate::template::{IndexDefinition, Key, TableDefinition};

/// Creates the table if it does not exist. Returns the ARN of its stream, if it has one.
///
/// # Errors
/// Fails with DynamoDB's error, in one line.
pub async fn create(client: &Client, name: &str, table: &TableDefinition) -> Result<Option<String>, String> {
    let request: CreateTableInputBuilder = request(name, table).map_err(|error| error.to_string())?;
    match request.send_with(client).await {
        Ok(_) => {}
        Err(SdkError::ServiceError(answer)) if matches!(answer.err(), CreateTableError::ResourceInUseException(_)) => {}
        Err(error) => return Err(describe(&error)),
    }
    let described = client.describe_table().table_name(name).send().await;
    let described = described.map_err(|error| describe(&error))?;
    Ok(described.table.and_then(|table| table.latest_stream_arn))
}

/// The error in one line, with advice if DynamoDB did not respond.
fn describe<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    match error.as_service_error() {
        Some(refused) => format!("{} {}", refused.code().unwrap_or_default(), refused.message().unwrap_or_default()),
        None => "no response. Start it, or omit --dynamodb to use the embedded engine".to_owned(),
    }
}

fn request(name: &str, table: &TableDefinition) -> Result<CreateTableInputBuilder, BuildError> {
    let attributes: Result<Vec<_>, _> = table
        .attributes
        .iter()
        .map(|(name, kind)| {
            AttributeDefinition::builder().attribute_name(name).attribute_type(kind.as_str().into()).build()
        })
        .collect();
    let indexes: Result<Vec<_>, _> = table.indexes.iter().map(index).collect();
    let stream = table
        .stream
        .as_deref()
        .map(|view| StreamSpecification::builder().stream_enabled(true).stream_view_type(view.into()).build());
    Ok(CreateTableInput::builder()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(attributes?))
        .set_key_schema(Some(key_schema(&table.key)?))
        .set_global_secondary_indexes(Some(indexes?).filter(|indexes| !indexes.is_empty()))
        .set_stream_specification(stream.transpose()?))
}

fn index(index: &IndexDefinition) -> Result<GlobalSecondaryIndex, BuildError> {
    let attributes = Some(index.attributes.clone()).filter(|names| !names.is_empty());
    let projection = Projection::builder()
        .projection_type(ProjectionType::from(index.projection.as_str()))
        .set_non_key_attributes(attributes)
        .build();
    GlobalSecondaryIndex::builder()
        .index_name(&index.name)
        .set_key_schema(Some(key_schema(&index.key)?))
        .projection(projection)
        .build()
}

fn key_schema(key: &Key) -> Result<Vec<KeySchemaElement>, BuildError> {
    let partition = key.partition.iter().map(|name| (name, KeyType::Hash));
    let sort = key.sort.iter().map(|name| (name, KeyType::Range));
    partition
        .chain(sort)
        .map(|(name, kind)| KeySchemaElement::builder().attribute_name(name).key_type(kind).build())
        .collect()
}
