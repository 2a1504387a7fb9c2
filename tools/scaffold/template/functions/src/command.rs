//! The command function.

use app::{CommandContext, HttpFunction, Problem, command::JsonBody};
use axum::response::Response;
use domain::{
    «Camel», «Camel»Command,
    scope::WRITE,
    «snake»::{OwnerId, Title},
};
use serde::Deserialize;

pub fn function() -> HttpFunction {
    HttpFunction::new("command").events().post("open«Camel»", "/«kebab»s", &[WRITE], open)
}

/// The body of `POST /«kebab»s`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Open«Camel»))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct OpenDocument {
    title: Title,
}

async fn open(context: CommandContext, JsonBody(document): JsonBody<OpenDocument>) -> Result<Response, Problem> {
    let OpenDocument { title } = document;
    let owner_id = OwnerId::try_from(context.caller.subject.clone()).map_err(|_| Problem::forbidden())?;
    context.create::<«Camel»>(context.new_id(), «Camel»Command::Open { owner_id, title }).await
}
