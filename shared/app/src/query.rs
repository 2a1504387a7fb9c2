//! Queries: read views and respond with them unchanged.
//!
//! 1. This file: the context of a query; responds with one view.
//! 2. [`history`]: the events of one stream.
//! 3. [`list`]: pages of a list of views; [`page`]: the rows of one page; [`rows`]: pages of rows beside views.

pub mod history;
pub mod list;
mod page;
pub mod rows;

use axum::{extract::FromRequestParts, response::Response};
use cqrs::{Aggregate, Event, Projection, StreamId, Version};
use cqrs_dynamodb::ReadOutcome;
use http::{HeaderMap, StatusCode, request::Parts};

use self::history::History;
pub use self::list::List;
use crate::{
    App, Caller, Parameters, Problem, Versioned, WithDeadline,
    etag::{self, EntityTag},
    json,
};

/// The context of a query: its caller, its parameters and its deadline.
pub struct QueryContext {
    pub app: App,
    pub caller: Caller,
    pub parameters: Parameters,
    headers: HeaderMap,
}

impl FromRequestParts<App> for QueryContext {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let Ok(WithDeadline(app)) = WithDeadline::from_request_parts(parts, app).await;
        let caller = Caller::from_request_parts(parts, &app).await?;
        let parameters = Parameters::from_request_parts(parts, &app).await?;
        Ok(Self { app, caller, parameters, headers: parts.headers.clone() })
    }
}

impl QueryContext {
    /// Responds with the view of `key`, at the version `min_version` of the request or a later one. The view is not
    /// older than the version in `If-None-Match`, if the stream has reached it. `may_see` decides from the view whether
    /// the caller may see it.
    ///
    /// # Errors
    /// 404 if there is no view, the caller may not see it, or the stream has not reached the version; 503 if the stream
    /// is parked before the version.
    pub async fn view<P: Projection>(
        &self,
        key: impl ToString,
        may_see: impl Fn(&Caller, &P::View) -> bool,
    ) -> Result<Response, Problem> {
        let noun = P::Event::noun();
        self.parameters.only(&["min_version"])?;
        let min_version = self.parameters.version("min_version")?;
        let may_see = |view: &P::View| may_see(&self.caller, view);
        match self.read::<P>(&key.to_string(), min_version).await? {
            ReadOutcome::Found { view, version, behind } if may_see(&view) => {
                let document = Versioned { view, version, behind };
                let tag = EntityTag::of_view::<P>(version, behind);
                Ok(tag.respond(&self.headers, json(StatusCode::OK, &document)?))
            }
            ReadOutcome::VersionNotFound(Some(view)) if may_see(&view) => Err(Problem::version_not_found(&noun)),
            ReadOutcome::Parked(Some(view)) if may_see(&view) => Err(Problem::view_parked(&noun)),
            // The owner is unknown, because no event can be folded. 404 would wrongly say that there is no stream.
            ReadOutcome::Parked(None) => Err(Problem::view_parked(&noun)),
            ReadOutcome::Found { .. }
            | ReadOutcome::NotFound
            | ReadOutcome::VersionNotFound(_)
            | ReadOutcome::Parked(Some(_)) => Err(Problem::not_found(&noun)),
        }
    }

    /// Reads the view at the higher one of `min_version` and the version in `If-None-Match`, or at a later version.
    ///
    /// Ignores a version in `If-None-Match` that the stream has not reached: the tag comes from the time before a
    /// restore, or from another system.
    async fn read<P: Projection>(
        &self,
        key: &str,
        min_version: Option<Version>,
    ) -> Result<ReadOutcome<P::View>, Problem> {
        let reader = self.app.reader::<P>()?;
        let seen = etag::seen_version(&self.headers).filter(|seen| min_version.is_none_or(|min| *seen > min));
        if seen.is_some() {
            let outcome = reader.read(key, seen).await?;
            if !matches!(outcome, ReadOutcome::VersionNotFound(_)) {
                return Ok(outcome);
            }
        }
        Ok(reader.read(key, min_version).await?)
    }

    /// Responds with the events of the stream `key`, oldest first. `may_see` decides from the state of the aggregate
    /// whether the caller may see them.
    ///
    /// # Errors
    /// 404 if the stream does not exist or the caller may not see it.
    pub async fn history<A: Aggregate>(
        &self,
        key: A::Key,
        may_see: impl Fn(&Caller, &A) -> bool,
    ) -> Result<Response, Problem> {
        self.parameters.only(&[])?;
        let commits = self.app.events()?.load::<A::Event>(&StreamId::of::<A::Event>(key)).await?;
        let state = A::replay(commits.iter().flat_map(|commit| &commit.events));
        match commits.last() {
            Some(head) if may_see(&self.caller, &state) => {
                let document = json(StatusCode::OK, &History::from_commits(&commits)?)?;
                Ok(EntityTag::of_history::<A::Event>(head.version).respond(&self.headers, document))
            }
            _ => Err(Problem::not_found(&A::Event::noun())),
        }
    }
}
