//! The command function.

use app::{
    CommandContext, HttpFunction, Problem,
    command::{FieldValidation, JsonBody},
};
use axum::response::Response;
#[cfg(feature = "openapi")]
use domain::«snake»::Title;
use domain::{«Camel», «Camel»Command, scope::WRITE, «snake»::OwnerId};
use serde::Deserialize;

pub fn function() -> HttpFunction {
    HttpFunction::new("command").events().post("open«Camel»", "/«kebab»s", &[WRITE], open)
}

/// The body of `POST /«kebab»s`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Open«Camel»))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct OpenDocument {
    #[cfg_attr(feature = "openapi", schema(value_type = Title))]
    title: String,
}

async fn open(context: CommandContext, JsonBody(document): JsonBody<OpenDocument>) -> Result<Response, Problem> {
    let owner_id = OwnerId::try_from(context.caller.subject.clone()).map_err(|_| Problem::forbidden())?;
    let mut fields = FieldValidation::default();
    let title = fields.check("/title", document.title.try_into());
    let command = fields.finish(|| Some(«Camel»Command::Open { owner_id, title: title? }))?;
    context.create::<«Camel»>(context.new_id(), command).await
}
