//! The list-orders function: returns a customer's orders, newest first.
//!
//! 1. This file: the route and its handler.
//! 2. [`query`]: the query parameters.
//! 3. [`page`]: the rows of one page, including the caller's own write.
//! 4. `openapi`: the OpenAPI description.

#[cfg(feature = "openapi")]
pub mod openapi;
mod page;
mod query;

use app::{App, Caller, Cursor, Parameters, PathKey, Problem, Routes, Scope, Versioned, WithDeadline, json};
use axum::{Router, response::Response};
use cqrs_dynamodb::{ReadOutcome, Reader, StoreError, ViewIndex, Views};
use http::StatusCode;
use orders::{ListedOrder, OrderSummaries, order::CustomerId};
use serde::Serialize;

use crate::{page::ListPage, query::ListQuery};

const BY_CUSTOMER: ViewIndex =
    ViewIndex { name: OrderSummaries::BY_CUSTOMER, partition: "customer_id", sort: OrderSummaries::POSITION };
/// The maximum number of rows that one request reads to find those that match the filter.
const MAX_ROWS_READ: usize = 1000;

/// A page of a customer's orders.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
struct OrderList {
    /// The orders, newest first.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<openapi::ListedOrderSchema>))]
    orders: Vec<Versioned<ListedOrder>>,
    /// The cursor of the next page, or null on the last page.
    #[cfg_attr(feature = "openapi", schema(required = true))]
    next_cursor: Option<String>,
}

pub fn router(app: App) -> Router {
    routes().into_router(app)
}

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
    let query = ListQuery::read(parameters, &cursor)?;
    let Ok(customer_id) = CustomerId::try_from(customer_id.clone()) else {
        return Err(Problem::customer_not_found());
    };
    let views = Views::<OrderSummaries>::new(app.dynamo.clone(), app.tables.order_summaries.clone());
    let mut page = read_page(&views, &customer_id, &query).await?;
    read_own_write(Reader::new(views, app.events()), &customer_id, &query, &mut page).await?;
    let (orders, more_after) = page.cut(query.limit);
    let next_cursor = more_after.map(|position| cursor.after(&position));
    json(StatusCode::OK, &OrderList { orders, next_cursor })
}

/// Customers may list their own orders; `orders/fulfil` and `orders/admin` permit any list.
fn may_list(caller: &Caller, customer_id: &str) -> Result<(), Problem> {
    match caller.subject == customer_id {
        true => caller.require_any(&[Scope::Read, Scope::Fulfil, Scope::Admin]),
        false => caller.require_any(&[Scope::Fulfil, Scope::Admin]),
    }
}

/// Reads rows until they exceed the limit, the list ends, or [`MAX_ROWS_READ`] rows were read.
async fn read_page(
    views: &Views<OrderSummaries>,
    customer_id: &CustomerId,
    query: &ListQuery,
) -> Result<ListPage, StoreError> {
    let mut page = ListPage::after(query.after.as_ref());
    let mut after = query.after.clone();
    for _ in 0..MAX_ROWS_READ.div_ceil(query.rows_per_read()) {
        let limit = i32::try_from(query.rows_per_read()).unwrap_or(i32::MAX);
        let read = views.list(BY_CUSTOMER, customer_id.as_str(), after.as_ref(), limit).await?;
        page.add(read.rows.into_iter().filter(|row| query.matches(row)), read.next.as_ref());
        after = read.next;
        if after.is_none() || page.exceeds(query.limit) {
            break;
        }
    }
    Ok(page)
}

/// Updates the page so that it shows the order of `min_version` at that version or a later one.
async fn read_own_write(
    reader: Reader<OrderSummaries>,
    customer_id: &CustomerId,
    query: &ListQuery,
    page: &mut ListPage,
) -> Result<(), Problem> {
    let Some((order_id, version)) = &query.own_write else { return Ok(()) };
    if page.shows(order_id, *version) {
        return Ok(());
    }
    match reader.read(order_id, Some(*version)).await? {
        ReadOutcome::Found { view, version, behind } if view.customer_id == *customer_id => {
            let row = Versioned { view: ListedOrder::from(view), version, behind };
            let matches = query.matches(&row);
            page.replace(row, matches);
            Ok(())
        }
        ReadOutcome::Parked(order) if order.as_ref().is_none_or(|order| order.customer_id == *customer_id) => {
            Err(Problem::view_parked())
        }
        ReadOutcome::Found { .. }
        | ReadOutcome::NotFound
        | ReadOutcome::VersionNotFound(_)
        | ReadOutcome::Parked(_) => Err(Problem::version_not_found()),
    }
}
