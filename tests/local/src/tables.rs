//! Creation of the template's tables.

use std::error::Error;

use aws_sdk_dynamodb::{
    Client,
    error::{BuildError, ProvideErrorMetadata, SdkError},
    operation::create_table::{CreateTableError, CreateTableInput, builders::CreateTableInputBuilder},
    types::{
        AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
        StreamSpecification,
    },
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use cqrs_dynamodb::store_error::UNKNOWN_ISSUER;

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

/// The error in one line, with advice if DynamoDB did not respond or gave no reason.
fn describe<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E, HttpResponse>) -> String {
    if let SdkError::ServiceError(answer) = error {
        let (refused, status) = (answer.err(), answer.raw().status());
        let words: Vec<&str> =
            refused.code().into_iter().chain(refused.message()).filter(|word| !word.is_empty()).collect();
        return match words[..] {
            [] => format!(
                "it answered with status {status} and no reason. An emulator may not know the region `local`: set \
                 AWS_REGION to one that it knows"
            ),
            _ => words.join(" "),
        };
    }
    match app::problem::causes(error) {
        causes if causes.contains(UNKNOWN_ISSUER) => format!(
            "its certificate has an issuer that this machine does not trust ({causes}). Use http://, or install the \
             issuer's certificate"
        ),
        causes if causes.is_empty() => format!("no response. {NOT_RUNNING}"),
        causes => format!("no response ({causes}). {NOT_RUNNING}"),
    }
}

const NOT_RUNNING: &str = "Start it, or omit --dynamodb to use the embedded engine";

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

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::error::{ConnectorError, ErrorMetadata};
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn refused(metadata: ErrorMetadata) -> String {
        let response = HttpResponse::new(StatusCode::try_from(400).unwrap(), SdkBody::empty());
        describe(&SdkError::service_error(CreateTableError::generic(metadata), response))
    }

    fn failed(cause: &'static str) -> String {
        let error = ConnectorError::io(std::io::Error::other(cause).into());
        describe::<CreateTableError>(&SdkError::dispatch_failure(error))
    }

    #[test]
    fn every_error_has_a_message() {
        let validation = ErrorMetadata::builder().code("ValidationException").message("no such type").build();
        assert_eq!(refused(validation), "ValidationException no such type");
        assert_eq!(refused(ErrorMetadata::builder().message("no").build()), "no");
        for empty in [ErrorMetadata::builder().build(), ErrorMetadata::builder().code("").message("").build()] {
            assert!(refused(empty).starts_with("it answered with status 400 and no reason. An emulator may"));
        }
        assert!(failed("connection refused").contains("connection refused). Start it, or omit --dynamodb"));
        assert!(failed("invalid peer certificate: UnknownIssuer").starts_with("its certificate has an issuer"));
    }
}
