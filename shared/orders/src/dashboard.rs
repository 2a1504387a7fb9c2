//! The dashboard, which `GET /dashboard` returns: counters over all orders.

use std::collections::BTreeMap;

use cqrs::{Counters, Day, Rollup};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use strum::VariantArray;

use crate::{OrderSummaries, OrderSummary, Status};

const ORDERS: &str = "orders";
const STATUS: &str = "status:";
const REVENUE: &str = "revenue:";

/// Counts and revenue of all orders.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Dashboard {
    /// The number of orders.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub orders: i128,
    /// The number of orders in each status.
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::CountByStatus))]
    pub by_status: BTreeMap<&'static str, i128>,
    /// The total of the orders that are not cancelled, by currency.
    #[serde(serialize_with = "as_decimals")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Revenue))]
    pub revenue: BTreeMap<String, i128>,
    /// The last days in UTC, today first.
    pub days: Vec<DayCounts>,
}

/// Counts and revenue of the orders placed on one day, in UTC.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DayCounts {
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub date: Day,
    /// The number of orders placed on this day.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub orders: i128,
    /// The total of this day's orders that are not cancelled, by currency.
    #[serde(serialize_with = "as_decimals")]
    #[cfg_attr(feature = "openapi", schema(value_type = crate::openapi::Revenue))]
    pub revenue: BTreeMap<String, i128>,
}

impl Rollup for Dashboard {
    type Projection = OrderSummaries;

    const NAME: &'static str = "dashboard";

    fn contribution(order: &OrderSummary) -> Counters {
        let day = order.placed_at.day().row();
        let revenue_column = format!("{REVENUE}{}", order.currency.code());
        let revenue = match order.status {
            Status::Placed | Status::Shipped | Status::Delivered => i128::from(order.total),
            Status::Cancelled => 0,
        };
        Counters::default()
            .with(Self::TOTALS, ORDERS, 1)
            .with(Self::TOTALS, &format!("{STATUS}{}", <&str>::from(order.status)), 1)
            .with(Self::TOTALS, &revenue_column, revenue)
            .with(&day, ORDERS, 1)
            .with(&day, &revenue_column, revenue)
    }
}

impl Dashboard {
    /// The row of the counters over all days.
    pub const TOTALS: &'static str = "totals";

    /// Builds the dashboard from the counters, with the last `days` days up to and including the day of `now`.
    pub fn new(counters: &Counters, now: Timestamp, days: u16) -> Self {
        let by_status = Status::VARIANTS.iter().map(|status| {
            let status = <&str>::from(status);
            (status, counters.get(Self::TOTALS, &format!("{STATUS}{status}")))
        });
        Self {
            orders: counters.get(Self::TOTALS, ORDERS),
            by_status: by_status.collect(),
            revenue: revenue(counters, Self::TOTALS),
            days: Day::of(now).last(days).map(|day| DayCounts::new(counters, day)).collect(),
        }
    }

    /// Returns the first and the last row of the last `days` days, up to and including the day of `now`.
    pub fn day_rows(now: Timestamp, days: u16) -> [String; 2] {
        let today = Day::of(now);
        [today.before(days.saturating_sub(1)).row(), today.row()]
    }
}

impl DayCounts {
    fn new(counters: &Counters, date: Day) -> Self {
        let row = date.row();
        Self { date, orders: counters.get(&row, ORDERS), revenue: revenue(counters, &row) }
    }
}

fn revenue(counters: &Counters, row: &str) -> BTreeMap<String, i128> {
    counters
        .iter()
        .filter(|(in_row, ..)| *in_row == row)
        .filter_map(|(_, column, amount)| Some((column.strip_prefix(REVENUE)?.to_owned(), amount)))
        .collect()
}

/// Serializes amounts as strings of decimal digits, because a sum may exceed 2^53. Many clients round larger JSON
/// numbers.
fn as_decimals<S: Serializer>(amounts: &BTreeMap<String, i128>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(amounts.iter().map(|(currency, amount)| (currency, amount.to_string())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::order_summary::tests::summary;

    fn dashboard(orders: &[OrderSummary], days: u16) -> Dashboard {
        let mut counters = Counters::default();
        orders.iter().for_each(|order| counters += &Dashboard::contribution(order));
        Dashboard::new(&counters, "2026-11-23T00:30:00Z".parse().unwrap(), days)
    }

    #[test]
    fn orders_are_counted_by_status_and_day_and_cancelled_orders_have_no_revenue() {
        let orders = [
            summary(json!({})),
            summary(json!({ "status": "shipped", "currency": "JPY", "total": 500 })),
            summary(json!({ "status": "cancelled", "placed_at": "2026-11-23T00:00:00Z" })),
        ];
        let shown = serde_json::to_string(&dashboard(&orders, 2)).unwrap();
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            json!({
                "orders": 3,
                "by_status": { "placed": 1, "shipped": 1, "delivered": 0, "cancelled": 1 },
                "revenue": { "EUR": "2800", "JPY": "500" },
                "days": [
                    { "date": "2026-11-23", "orders": 1, "revenue": {} },
                    { "date": "2026-11-22", "orders": 2, "revenue": { "EUR": "2800", "JPY": "500" } },
                ],
            })
        );
    }

    #[test]
    fn a_sum_beyond_2_53_is_exact() {
        let largest = || summary(json!({ "total": 9_007_199_254_740_991_u64 }));
        let shown = serde_json::to_value(dashboard(&[largest(), largest(), largest()], 1)).unwrap();
        assert_eq!(shown["revenue"], json!({ "EUR": "27021597764222973" }));
    }

    #[test]
    fn a_dashboard_without_orders_has_zeros() {
        let empty = dashboard(&[], 30);
        assert_eq!((empty.orders, empty.days.len()), (0, 30));
        assert_eq!(empty.days.last().unwrap().date.to_string(), "2026-10-25");
    }

    #[test]
    fn the_day_rows_span_the_days_of_the_dashboard() {
        let now = "2026-11-23T00:30:00Z".parse().unwrap();
        assert_eq!(Dashboard::day_rows(now, 1), ["day#2026-11-23", "day#2026-11-23"]);
        assert_eq!(Dashboard::day_rows(now, 30), ["day#2026-10-25", "day#2026-11-23"]);
    }
}
