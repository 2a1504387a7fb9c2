//! The API's description (OpenAPI 3.1), made of what the functions say of themselves.

use std::collections::BTreeMap;

use app::openapi::{BEARER, common_responses};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, ServerBuilder,
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

const DESCRIPTION: &str = "Commands change one order each, and answer with its new version; queries read the views. \
    Money is a whole number of minor units and an ISO 4217 code. Times are RFC 3339 in UTC.\n\n\
    Errors are problem details (RFC 9457) with a stable `type`. What API Gateway answers by itself has the form \
    `{\"message\"}`. Unknown fields are refused in requests; clients must ignore unknown fields in answers.";

const TOKEN: &str = "A JSON Web Token. Any one of an operation's scopes is enough. `cargo local` takes requests \
    without a token for an operator's, unless it runs with `--auth`; then `cargo local token` gives one.";

/// The description of all operations.
pub fn document() -> OpenApi {
    let operations = [
        command::openapi::operations(),
        get_order::openapi::operations(),
        list_orders::openapi::operations(),
        get_dashboard::openapi::operations(),
    ];
    let mut paths = PathsBuilder::new();
    let mut schemas = BTreeMap::new();
    for operation in operations.into_iter().flatten() {
        schemas.extend(operation.schemas.iter().cloned());
        paths = paths.path(operation.path, PathItem::new(operation.method.clone(), operation.build()));
    }
    let license = LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0"));
    let info = InfoBuilder::new()
        .title("Orders")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .license(Some(license.build()));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").description(Some(TOKEN));
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .responses_from_iter(common_responses())
        .security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    OpenApiBuilder::new()
        .info(info.build())
        // Where the document was read from.
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .paths(paths.build())
        .components(Some(components.build()))
        .build()
}

/// The document as it is checked in, as `openapi.json`.
///
/// # Errors
/// If it cannot be serialised: a defect of a schema.
pub fn json() -> Result<String, String> {
    document().to_pretty_json().map(|json| json + "\n").map_err(|error| error.to_string())
}
