//! Pages of rows that are kept beside views.

use axum::response::Response;
use cqrs::Rows;
use http::StatusCode;

use super::{
    QueryContext,
    list::{DEFAULT_LIMIT, MAX_LIMIT, Page},
};
use crate::{Cursor, Problem, json};

impl QueryContext {
    /// Responds with a page of the rows in the list `partition`, by the parameters `limit` and `cursor` of the request.
    /// `name` is the field of the rows in the response. Rows are eventually consistent: a new row may be missing.
    ///
    /// # Errors
    /// 400 if a parameter is invalid or unknown.
    pub async fn rows<R: Rows>(
        &self,
        name: &'static str,
        partition: &str,
        newest_first: bool,
    ) -> Result<Response, Problem> {
        self.parameters.only(&["limit", "cursor"])?;
        let limit = self.parameters.number("limit", 1, MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
        let cursor = Cursor { list: &[R::NAME, partition, &self.caller.subject] };
        let after = match self.parameters.get("cursor") {
            Some(text) => Some(cursor.read_one(text)?),
            None => None,
        };
        let rows = self.app.rows::<R>()?;
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let page = rows.list(partition, after.as_deref(), limit, newest_first).await?;
        let next_cursor = page.next.map(|position| cursor.after(&[position]));
        json(StatusCode::OK, &Page { name, rows: page.rows, next_cursor })
    }
}
