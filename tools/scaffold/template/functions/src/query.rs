//! The query function.

use app::{Caller, HttpFunction, PathKey, Problem, QueryContext, json};
use axum::{http::StatusCode, response::Response};
use cqrs::Rollup;
use domain::{
    «Camel», «Views», Totals,
    scope::{ADMIN, READ},
    «snake»::OwnerId,
};

pub fn function() -> HttpFunction {
    HttpFunction::new("query")
        .events()
        .views::<«Views»>()
        .rollup::<Totals>()
        .get("get«Camel»", "/«kebab»s/{«snake»_id}", &[READ, ADMIN], get_«snake»)
        .get("get«Camel»Events", "/«kebab»s/{«snake»_id}/events", &[READ, ADMIN], get_events)
        .get("getTotals", "/totals", &[ADMIN], get_totals)
}

async fn get_«snake»(query: QueryContext, PathKey(id): PathKey<«Camel»>) -> Result<Response, Problem> {
    query.view::<«Views»>(id, |caller, «snake»| may_see(caller, Some(&«snake».owner_id))).await
}

async fn get_events(query: QueryContext, PathKey(id): PathKey<«Camel»>) -> Result<Response, Problem> {
    query.history::<«Camel»>(id, |caller, «snake»| may_see(caller, «snake».owner_id.as_ref())).await
}

async fn get_totals(query: QueryContext) -> Result<Response, Problem> {
    query.parameters.only(&[])?;
    let counters = query.app.counters(Totals::TABLE)?.row(Totals::ROW).await?;
    json(StatusCode::OK, &Totals::new(&counters))
}

/// Callers may see their own «words»s; the scope `«kebab»s/admin` permits any.
fn may_see(caller: &Caller, owner_id: Option<&OwnerId>) -> bool {
    let is_own = owner_id.map(OwnerId::as_str) == Some(&caller.subject);
    owner_id.is_some() && (is_own || caller.has_any(&[ADMIN]))
}
