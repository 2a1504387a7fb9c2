//! The OpenAPI 3.1 document of the API, built from the operations that the functions describe.

use std::collections::BTreeMap;

use app::openapi::{BEARER, common_responses};
use utoipa::openapi::{
    ComponentsBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder, ServerBuilder,
    security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

const DESCRIPTION: &str = "A command changes one order and returns its new version. A query reads views, which are \
    updated asynchronously. Money is an integer in minor units with an ISO 4217 currency code. Times are RFC 3339 in \
    UTC.\n\n\
    Errors are problem details (RFC 9457) with a stable `type`. Errors of API Gateway itself have the form \
    `{\"message\"}` instead. Unknown fields in requests are rejected. Clients must ignore unknown fields in responses.";

const TOKEN: &str = "A JSON Web Token with at least one of the operation's scopes. `cargo local` accepts requests \
    without a token, and treats them as requests of an operator with all scopes. With `--auth` it requires a token, \
    which `cargo local token` creates.";

/// Builds the document of all operations.
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
        // A relative URL is resolved against the address of the document.
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .paths(paths.build())
        .components(Some(components.build()))
        .build()
}

/// Formats the document like the checked-in `openapi.json`.
///
/// # Errors
/// Fails if the document does not serialize, which is a defect of a schema.
pub fn json() -> Result<String, String> {
    document().to_pretty_json().map(|json| json + "\n").map_err(|error| error.to_string())
}
