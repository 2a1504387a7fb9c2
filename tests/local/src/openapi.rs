//! The OpenAPI 3.1 document of the API, built from the operations that the functions describe.

use std::collections::{BTreeMap, btree_map::Entry};

use app::openapi::{BEARER, COMMANDS, QUERIES, common_responses};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, RefOr, Schema,
    ServerBuilder,
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    tag::TagBuilder,
};

use crate::Deployment;

/// The parts of the document that a project declares.
#[derive(Clone)]
pub struct ApiDescription {
    pub version: &'static str,
    /// An SPDX expression.
    pub license: &'static str,
    /// Conventions of the whole API, in Markdown.
    pub description: &'static str,
    /// Explains to callers how to get a token, in Markdown.
    pub token: &'static str,
}

/// An API that cannot be described.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum DescriptionError {
    /// Two types have the same schema name and different content. The document could contain only one of them.
    #[error("two different schemas have the name {0}; rename one of their types, or set #[schema(as = …)]")]
    SchemaConflict(String),
    /// The function of an operation does not describe it.
    #[error("an operation at {0} has no summary; describe it in `describe` of its function")]
    NotDescribed(&'static str),
    /// A schema does not serialize, which is a defect of the schema.
    #[error("the API description does not serialize: {0}")]
    Serialize(String),
}

/// Builds the document of all operations.
///
/// # Errors
/// Fails with [`DescriptionError`].
pub fn document(deployment: &Deployment) -> Result<OpenApi, DescriptionError> {
    let Deployment { name, api, .. } = deployment;
    let mut paths = PathsBuilder::new();
    let mut schemas = BTreeMap::new();
    for operation in deployment.operations() {
        if !operation.is_described() {
            return Err(DescriptionError::NotDescribed(operation.path));
        }
        operation.schemas.iter().try_for_each(|(name, schema)| add_schema(&mut schemas, name, schema))?;
        paths = paths.path(operation.path, PathItem::new(operation.method.clone(), operation.build()));
    }
    let license = LicenseBuilder::new().name(api.license).identifier(Some(api.license));
    let info = InfoBuilder::new()
        .title(*name)
        .version(api.version)
        .description(Some(api.description))
        .license(Some(license.build()));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(api.token));
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .responses_from_iter(common_responses())
        .security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    Ok(OpenApiBuilder::new()
        .info(info.build())
        // A relative URL is resolved against the address of the document.
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .tags(Some(
            [(COMMANDS, "Change one stream."), (QUERIES, "Read, and change nothing.")]
                .map(|(name, text)| TagBuilder::new().name(name).description(Some(text)).build()),
        ))
        .paths(paths.build())
        .components(Some(components.build()))
        .build())
}

fn add_schema(
    schemas: &mut BTreeMap<String, RefOr<Schema>>,
    name: &str,
    schema: &RefOr<Schema>,
) -> Result<(), DescriptionError> {
    match schemas.entry(name.to_owned()) {
        Entry::Occupied(known) if known.get() != schema => Err(DescriptionError::SchemaConflict(name.to_owned())),
        Entry::Occupied(_) => Ok(()),
        Entry::Vacant(new) => {
            new.insert(schema.clone());
            Ok(())
        }
    }
}

/// Formats the document with a newline at its end, as a file in version control.
///
/// # Errors
/// Fails with [`DescriptionError`].
pub fn json(deployment: &Deployment) -> Result<String, DescriptionError> {
    let json = document(deployment)?.to_pretty_json();
    json.map(|json| json + "\n").map_err(|error| DescriptionError::Serialize(error.to_string()))
}

#[cfg(test)]
mod tests {
    use utoipa::openapi::{ObjectBuilder, Type};

    use super::*;

    fn schema(kind: Type) -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(kind).build().into()
    }

    #[test]
    fn two_schemas_of_one_name_must_be_equal() {
        let mut schemas = BTreeMap::new();
        assert_eq!(add_schema(&mut schemas, "Loan", &schema(Type::Object)), Ok(()));
        assert_eq!(add_schema(&mut schemas, "Loan", &schema(Type::Object)), Ok(()));
        let conflict = add_schema(&mut schemas, "Loan", &schema(Type::String)).unwrap_err();
        assert_eq!(conflict, DescriptionError::SchemaConflict("Loan".to_owned()));
        assert!(conflict.to_string().contains("the name Loan"));
    }
}
