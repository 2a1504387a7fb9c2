//! What is asked of a customer's list.

use app::{Cursor, Parameters, Problem};
use cqrs::Version;
use cqrs_dynamodb::{IndexPosition, Versioned};
use jiff::Timestamp;
use orders::{ListedOrder, Status, order::OrderId};

/// How many rows are shown if nothing is said.
pub(crate) const DEFAULT_LIMIT: u64 = 50;
/// The most rows that are shown.
pub(crate) const MAX_LIMIT: u64 = 100;

/// What is asked of a customer's list.
#[derive(Debug)]
pub(crate) struct Query {
    /// How many rows are shown at most.
    pub(crate) limit: usize,
    /// After which row the page begins.
    pub(crate) after: Option<IndexPosition>,
    /// Which order must be shown as of which version.
    pub(crate) own_write: Option<(String, Version)>,
    status: Option<Status>,
}

impl Query {
    /// Reads the parameters `limit`, `cursor`, `status` and `min_version`.
    ///
    /// # Errors
    /// 400 if one of them is not as it must be, or there are others.
    pub(crate) fn read(parameters: Parameters, cursor: &Cursor<'_>) -> Result<Self, Problem> {
        let parameters = parameters.only(&["limit", "cursor", "status", "min_version"])?;
        let limit = parameters.number("limit", 1, MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
        Ok(Self {
            limit: usize::try_from(limit).unwrap_or_default(),
            after: parameters.get("cursor").map(|text| position(cursor, text)).transpose()?,
            own_write: parameters.get("min_version").map(own_write).transpose()?,
            status: parameters.get("status").map(status).transpose()?,
        })
    }

    /// Whether the filter lets the row through.
    pub(crate) fn lets_through(&self, row: &Versioned<ListedOrder>) -> bool {
        self.status.is_none_or(|status| status == row.view.status)
    }

    /// How many rows are worth reading at once: one more than shown tells whether there are more; a filter needs more.
    pub(crate) fn rows_at_once(&self) -> usize {
        match self.status {
            None => self.limit + 1,
            Some(_) => 100,
        }
    }
}

fn position(cursor: &Cursor<'_>, text: &str) -> Result<IndexPosition, Problem> {
    let position = cursor.read(text).and_then(|sort| {
        let (placed_at, order_id) = sort.split_once('#')?;
        let key = order_id.parse::<OrderId>().ok()?.to_string();
        placed_at.parse::<Timestamp>().is_ok().then_some(IndexPosition { key, sort })
    });
    position.ok_or_else(|| Problem::malformed("cursor must be the next_cursor of this same list."))
}

fn own_write(text: &str) -> Result<(String, Version), Problem> {
    let malformed = || Problem::malformed("min_version must be an order's id, a colon and a version from 1.");
    let (order_id, version) = text.split_once(':').ok_or_else(malformed)?;
    let order_id: OrderId = order_id.parse().map_err(|_| malformed())?;
    let number = version.parse().ok().filter(|number: &u64| *number > 0 && number.to_string() == version);
    Ok((order_id.to_string(), Version::new(number.ok_or_else(malformed)?)))
}

fn status(text: &str) -> Result<Status, Problem> {
    Status::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
        Problem::malformed(format!("status must be one of: {}.", Status::ALL.map(Status::as_str).join(", ")))
    })
}
