//! A customer's orders, newest first.
//!
//! 1. The route, here.
//! 2. [`query`]: what is asked of the list.
//! 3. [`page`]: which rows are shown, with the caller's own write among them.
//! 4. `openapi`: the same, described.

#[cfg(feature = "openapi")]
pub mod openapi;
mod page;
mod query;

use app::{App, Caller, Cursor, Parameters, PathKey, Problem, Routes, Scope, WithDeadline, json};
use axum::{Router, response::Response};
use cqrs_dynamodb::{ReadOutcome, Reader, StoreError, Versioned, ViewIndex, Views};
use http::StatusCode;
use orders::{ListedOrder, OrderSummaries, order::CustomerId};
use serde::Serialize;

use crate::{page::Page, query::Query};

const BY_CUSTOMER: ViewIndex =
    ViewIndex { name: OrderSummaries::BY_CUSTOMER, partition: "customer_id", sort: OrderSummaries::POSITION };
/// The most rows that one request looks at for those that the filter lets through.
const MOST_LOOKED_AT: usize = 1000;

/// A page of a customer's orders.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct List {
    /// The orders, newest first.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<openapi::Row>))]
    orders: Vec<Versioned<ListedOrder>>,
    /// Where the next page begins; none if there are no more.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    next_cursor: Option<String>,
}

/// The function.
pub fn router(app: App) -> Router {
    routes().over(app)
}

/// Its routes.
pub fn routes() -> Routes {
    Routes::default().get("/customers/{customer_id}/orders", list_orders)
}

/// `GET /customers/{customer_id}/orders`
async fn list_orders(
    WithDeadline(app): WithDeadline,
    caller: Caller,
    PathKey(customer_id): PathKey<String>,
    parameters: Parameters,
) -> Result<Response, Problem> {
    may_list(&caller, &customer_id)?;
    let filter = parameters.get("status").unwrap_or_default().to_owned();
    let cursor = Cursor { list: &[&customer_id, &caller.subject, &filter] };
    let query = Query::read(parameters, &cursor)?;
    let Ok(customer_id) = CustomerId::try_from(customer_id.clone()) else { return Err(Problem::not_found()) };
    let views = Views::<OrderSummaries>::new(app.dynamo.clone(), app.tables.order_summaries.clone());
    let mut page = read_page(&views, &customer_id, &query).await?;
    read_own_write(Reader::new(views, app.events()), &customer_id, &query, &mut page).await?;
    let (orders, more_after) = page.cut(query.limit);
    let next_cursor = more_after.map(|position| cursor.after(&position));
    json(StatusCode::OK, &List { orders, next_cursor })
}

/// One's own list, or any for those who read any order.
fn may_list(caller: &Caller, customer_id: &str) -> Result<(), Problem> {
    match caller.subject == customer_id {
        true => caller.needs_any(&[Scope::Read, Scope::Fulfil, Scope::Admin]),
        false => caller.needs_any(&[Scope::Fulfil, Scope::Admin]),
    }
}

/// Reads on until there are more rows than are shown, or no more, or enough has been looked at.
async fn read_page(views: &Views<OrderSummaries>, customer_id: &CustomerId, query: &Query) -> Result<Page, StoreError> {
    let mut page = Page::after(query.after.as_ref());
    let mut after = query.after.clone();
    for _ in 0..MOST_LOOKED_AT.div_ceil(query.rows_at_once()) {
        let limit = i32::try_from(query.rows_at_once()).unwrap_or(i32::MAX);
        let read = views.list(BY_CUSTOMER, customer_id.as_str(), after.as_ref(), limit).await?;
        page.add(read.rows.into_iter().filter(|row| query.lets_through(row)), read.next.as_ref());
        after = read.next;
        if after.is_none() || page.exceeds(query.limit) {
            break;
        }
    }
    Ok(page)
}

/// Sees to it that the page shows the order of `min_version` at that version or a later one.
async fn read_own_write(
    reader: Reader<OrderSummaries>,
    customer_id: &CustomerId,
    query: &Query,
    page: &mut Page,
) -> Result<(), Problem> {
    let Some((order_id, version)) = &query.own_write else { return Ok(()) };
    if page.shows(order_id, *version) {
        return Ok(());
    }
    match reader.read(order_id, Some(*version)).await? {
        ReadOutcome::Found(order) if order.view.customer_id == *customer_id => {
            let Versioned { view, version, behind } = order;
            let row = Versioned { view: ListedOrder::from(view), version, behind };
            let keep = query.lets_through(&row);
            page.replace(row, keep);
            Ok(())
        }
        ReadOutcome::Parked(order) if order.as_ref().is_none_or(|order| order.customer_id == *customer_id) => {
            Err(Problem::view_parked())
        }
        ReadOutcome::Found(_) | ReadOutcome::NotFound | ReadOutcome::VersionNotFound(_) | ReadOutcome::Parked(_) => {
            Err(Problem::version_not_found())
        }
    }
}
