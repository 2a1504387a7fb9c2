//! Pages of a list of views, newest first, with the caller's own write folded in.

use std::{marker::PhantomData, str::FromStr};

use axum::response::Response;
use cqrs::{Aggregate, Event, Index, Projection, Version};
use cqrs_dynamodb::{
    IndexPosition, ReadOutcome, StoreError, Views,
    index::{IndexRow, row_of},
};
use http::StatusCode;
use serde::{Serialize, Serializer, de::DeserializeOwned, ser::SerializeMap};
use strum::VariantArray;

use super::{QueryContext, page::ListPage};
use crate::{Cursor, Parameters, Problem, Versioned, json};

pub const DEFAULT_LIMIT: u64 = 50;
pub const MAX_LIMIT: u64 = 100;
/// The number of rows that are read at once if the list is filtered. Few rows may match, so a large number saves
/// requests.
const ROWS_PER_FILTERED_READ: usize = 100;
/// The maximum number of rows that one request reads to find those that match the filter.
const MAX_ROWS_READ: usize = 1000;

/// A list of the views of `P`, which folds the streams of `A`. Its rows are `R`s.
pub struct List<'a, A, P, R> {
    name: &'static str,
    index: &'static Index,
    partition: &'a [&'a str],
    filter: Option<Filter<'a, R>>,
    types: PhantomData<fn() -> (A, P)>,
}

struct Filter<'a, R> {
    parameter: &'static str,
    /// The value of the parameter, or an empty text without one.
    value: &'a str,
    matches: Option<Predicate<R>>,
}

type Predicate<R> = Box<dyn Fn(&R) -> bool + Send + Sync>;

impl<'a, A, P, R> List<'a, A, P, R>
where
    A: Aggregate,
    P: Projection<Event = A::Event>,
    R: Clone + DeserializeOwned + Serialize + From<P::View> + Send + Sync + 'static,
{
    /// A list with these values of the index's partition fields. `name` is its field in the response.
    pub fn new(name: &'static str, index: &'static Index, partition: &'a [&'a str]) -> Self {
        Self { name, index, partition, filter: None, types: PhantomData }
    }

    /// Adds a query parameter. The list has only the rows whose `field` equals the parameter.
    ///
    /// # Errors
    /// 400 if the parameter is not a variant of `T`.
    pub fn filter<T>(
        self,
        parameters: &'a Parameters,
        parameter: &'static str,
        field: fn(&R) -> T,
    ) -> Result<Self, Problem>
    where
        T: Copy + FromStr + PartialEq + VariantArray + Into<&'static str> + Send + Sync + 'static,
    {
        let wanted = parameters.variant::<T>(parameter)?;
        let matches = wanted.map(|wanted| {
            let matches: Predicate<R> = Box::new(move |row| field(row) == wanted);
            matches
        });
        let value = parameters.get(parameter).unwrap_or_default();
        Ok(Self { filter: Some(Filter { parameter, value, matches }), ..self })
    }

    /// Responds with the page that the request asks for, by its parameters `limit`, `cursor` and `min_version`.
    ///
    /// # Errors
    /// 400 if a parameter is invalid or unknown; 404 if the stream of `min_version` has not reached the version or is
    /// not in this list; 503 if that stream is parked before the version.
    pub async fn respond(&self, context: &QueryContext) -> Result<Response, Problem> {
        let request = self.read_parameters(context)?;
        let views = context.app.views::<P>()?;
        let mut page = self.read_page(&views, &request).await?;
        self.read_own_write(context, &request, &mut page).await?;
        let (rows, more_after) = page.cut(request.limit);
        let row = |IndexRow { row, version, behind, .. }: IndexRow<R>| Versioned { view: row, version, behind };
        json(
            StatusCode::OK,
            &Page {
                name: self.name,
                rows: rows.into_iter().map(row).collect::<Vec<_>>(),
                next_cursor: more_after.map(|position| self.cursor(context, |cursor| cursor.after(&position))),
            },
        )
    }

    fn read_parameters(&self, context: &QueryContext) -> Result<PageRequest, Problem> {
        let parameters = &context.parameters;
        let filter = self.filter.as_ref().map(|filter| filter.parameter);
        let known: Vec<&str> = ["limit", "cursor"].into_iter().chain(filter).chain(["min_version"]).collect();
        parameters.only(&known)?;
        let limit = parameters.number("limit", 1, MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
        let position = |text: &str| {
            let position = self.cursor(context, |cursor| cursor.read(text));
            let position = position.filter(|position| position.len() == self.index.sort.len() + 1);
            position.ok_or_else(Problem::invalid_cursor)
        };
        Ok(PageRequest {
            limit: usize::try_from(limit).unwrap_or_default(),
            after: parameters.get("cursor").map(position).transpose()?,
            own_write: parameters.get("min_version").map(own_write::<A>).transpose()?,
        })
    }

    /// Passes the cursor of this list to `use_cursor`. A cursor belongs to the list, the caller and the filter.
    fn cursor<T>(&self, context: &QueryContext, use_cursor: impl FnOnce(Cursor<'_>) -> T) -> T {
        let filter = self.filter.as_ref().map_or("", |filter| filter.value);
        let list = [&[P::NAME, self.index.name], self.partition, &[&context.caller.subject, filter]].concat();
        use_cursor(Cursor { list: &list })
    }

    fn matches(&self, row: &R) -> bool {
        let matches = self.filter.as_ref().and_then(|filter| filter.matches.as_ref());
        matches.is_none_or(|matches| matches(row))
    }

    /// Reads rows until they exceed the limit, the list ends, or [`MAX_ROWS_READ`] rows were read.
    async fn read_page(&self, views: &Views<P>, request: &PageRequest) -> Result<ListPage<R>, StoreError> {
        // One row more than the limit shows whether another page follows.
        let is_filtered = self.filter.as_ref().is_some_and(|filter| filter.matches.is_some());
        let rows_per_read = if is_filtered { ROWS_PER_FILTERED_READ } else { request.limit + 1 };
        let mut page = ListPage::after(request.after.clone());
        let mut after = request.after.clone();
        for _ in 0..MAX_ROWS_READ.div_ceil(rows_per_read) {
            let limit = i32::try_from(rows_per_read).unwrap_or(i32::MAX);
            let read = views.list(self.index, self.partition, after.as_ref(), limit).await?;
            page.add(read.rows.into_iter().filter(|row| self.matches(&row.row)), read.next.clone());
            after = read.next;
            if after.is_none() || page.exceeds(request.limit) {
                break;
            }
        }
        Ok(page)
    }

    /// Updates the page so that it shows the view of `min_version` at that version or a later one.
    async fn read_own_write(
        &self,
        context: &QueryContext,
        request: &PageRequest,
        page: &mut ListPage<R>,
    ) -> Result<(), Problem> {
        let Some((key, version)) = &request.own_write else { return Ok(()) };
        if page.shows(key, *version) {
            return Ok(());
        }
        let listed = |view, version, behind| row_of::<P, R>(self.index, self.partition, view, version, behind);
        let (row, is_parked) = match context.app.reader::<P>()?.read(key, Some(*version)).await? {
            ReadOutcome::Found { view, version, behind } => (listed(view, version, behind)?, false),
            ReadOutcome::Parked(Some(view)) => (listed(view, Version::NONE, true)?, true),
            // The view that would tell the list is missing.
            ReadOutcome::Parked(None) => return Err(Problem::view_parked(&A::Event::noun())),
            ReadOutcome::NotFound | ReadOutcome::VersionNotFound(_) => (None, false),
        };
        match row {
            Some(_) if is_parked => Err(Problem::view_parked(&A::Event::noun())),
            Some(row) => {
                let matches = self.matches(&row.row);
                page.replace(row, matches);
                Ok(())
            }
            None => Err(Problem::version_not_found(&A::Event::noun())),
        }
    }
}

/// The page that a request asks for.
struct PageRequest {
    /// The maximum number of rows in the response.
    limit: usize,
    /// The position after which the page starts.
    after: Option<IndexPosition>,
    /// The key of a view and the minimum version of its row.
    own_write: Option<(String, Version)>,
}

fn own_write<A: Aggregate>(text: &str) -> Result<(String, Version), Problem> {
    let malformed = || {
        let detail = format!("min_version must be {}, a colon and a version of at least 1.", A::Event::key_name());
        Problem::malformed(detail)
    };
    let (key, version) = text.rsplit_once(':').ok_or_else(malformed)?;
    let key: A::Key = key.parse().map_err(|_| malformed())?;
    let number = version.parse().ok().filter(|number: &u64| *number > 0 && number.to_string() == version);
    Ok((key.to_string(), Version::new(number.ok_or_else(malformed)?)))
}

/// A page as the API returns it: the rows under the name of the list, and the cursor of the next page or null.
pub(super) struct Page<R> {
    pub(super) name: &'static str,
    pub(super) rows: Vec<R>,
    pub(super) next_cursor: Option<String>,
}

impl<R: Serialize> Serialize for Page<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut document = serializer.serialize_map(Some(2))?;
        document.serialize_entry(self.name, &self.rows)?;
        document.serialize_entry("next_cursor", &self.next_cursor)?;
        document.end()
    }
}
