//! The query parameters of a customer's list.

use app::{Cursor, Parameters, Problem, Versioned};
use cqrs::Version;
use cqrs_dynamodb::IndexPosition;
use jiff::Timestamp;
use orders::{ListedOrder, Status, order::OrderId};

pub(crate) const DEFAULT_LIMIT: u64 = 50;
pub(crate) const MAX_LIMIT: u64 = 100;

#[derive(Debug)]
pub(crate) struct ListQuery {
    /// The maximum number of rows in the response.
    pub(crate) limit: usize,
    /// The position after which the page starts.
    pub(crate) after: Option<IndexPosition>,
    /// An order id and the minimum version of its row.
    pub(crate) own_write: Option<(String, Version)>,
    status: Option<Status>,
}

impl ListQuery {
    /// Reads the parameters `limit`, `cursor`, `status` and `min_version`.
    ///
    /// # Errors
    /// 400 if a parameter is invalid or unknown.
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

    pub(crate) fn matches(&self, row: &Versioned<ListedOrder>) -> bool {
        self.status.is_none_or(|status| status == row.view.status)
    }

    /// Returns the number of rows to read at once.
    ///
    /// One row more than the limit shows whether another page follows. With a filter, few rows may match, so a larger
    /// number saves requests.
    pub(crate) fn rows_per_read(&self) -> usize {
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
    position.ok_or_else(|| Problem::malformed("cursor must be the next_cursor of a page of this list."))
}

fn own_write(text: &str) -> Result<(String, Version), Problem> {
    let malformed = || Problem::malformed("min_version must be an order id, a colon and a version of at least 1.");
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
