//! What the request bodies hold, and how they become commands: all fields that are out of bounds are named at once.

use std::fmt::Display;

use app::{Caller, Problem, Scope, problem::FieldError};
use orders::order::{CancelOrder, Currency, OrderItem, PlaceOrder, ShipOrder};
use serde::Deserialize;

use crate::body::Object;
#[cfg(feature = "openapi")]
use {
    crate::openapi::{CurrencyCode, NewItems},
    orders::order::{Carrier, CustomerId, Quantity, Reason, ShippingAddress, Sku, TrackingNumber, UnitPrice},
};

/// The body of `POST /orders`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PlaceOrder))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct PlaceOrderDocument {
    /// Whose order it will be: the caller's, if this is left out.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<CustomerId>))]
    customer_id: Option<String>,
    /// What the prices are in.
    #[cfg_attr(feature = "openapi", schema(value_type = CurrencyCode))]
    currency: String,
    /// What is bought; all of it costs at most 9,007,199,254,740,991.
    #[cfg_attr(feature = "openapi", schema(value_type = NewItems))]
    items: Vec<Object<ItemDocument>>,
    /// Where it goes.
    #[cfg_attr(feature = "openapi", schema(value_type = ShippingAddress))]
    shipping_address: String,
}

/// An item in it.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NewItem))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct ItemDocument {
    /// Which article.
    #[cfg_attr(feature = "openapi", schema(value_type = Sku))]
    sku: String,
    /// How many.
    #[cfg_attr(feature = "openapi", schema(value_type = Quantity))]
    quantity: u64,
    /// At which price each, in minor units of the currency.
    #[cfg_attr(feature = "openapi", schema(value_type = UnitPrice))]
    unit_price: u64,
}

/// The body of `POST /orders/{order_id}/ship`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ShipOrder))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct ShipOrderDocument {
    /// Who brings it.
    #[cfg_attr(feature = "openapi", schema(value_type = Carrier))]
    carrier: String,
    /// How its way can be followed.
    #[cfg_attr(feature = "openapi", schema(value_type = TrackingNumber))]
    tracking_number: String,
}

/// The body of `POST /orders/{order_id}/deliver`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DeliverOrder))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct DeliverOrderDocument {}

/// The body of `POST /orders/{order_id}/cancel`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CancelOrder))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct CancelOrderDocument {
    /// Why.
    #[cfg_attr(feature = "openapi", schema(value_type = Reason))]
    reason: String,
}

impl PlaceOrderDocument {
    /// The command: without a customer, it is the caller who orders.
    ///
    /// # Errors
    /// 403 for somebody else's order without `orders/admin`; 422 with every field that is out of bounds.
    pub(crate) fn into_command(self, caller: &Caller) -> Result<PlaceOrder, Problem> {
        let customer_id = self.customer_id.unwrap_or_else(|| caller.subject.clone());
        if customer_id != caller.subject {
            caller.needs_any(&[Scope::Admin])?;
        }
        let mut fields = Fields::default();
        let customer_id = fields.take("/customer_id", customer_id.try_into());
        let currency = fields.take(
            "/currency",
            Currency::from_code(&self.currency).ok_or("must be an ISO 4217 code in upper case, such as EUR"),
        );
        let number = self.items.len();
        let items: Vec<OrderItem> = (0..).zip(self.items).filter_map(|(at, item)| fields.take_item(at, item)).collect();
        // The bounds of the whole say nothing as long as a part is wrong.
        let items = if items.len() == number { fields.take("/items", items.try_into()) } else { None };
        let shipping_address = fields.take("/shipping_address", self.shipping_address.try_into());
        match (customer_id, currency, items, shipping_address) {
            (Some(customer_id), Some(currency), Some(items), Some(shipping_address)) => {
                Ok(PlaceOrder { customer_id, currency, items, shipping_address })
            }
            _ => Err(fields.problem()),
        }
    }
}

impl ShipOrderDocument {
    /// # Errors
    /// 422 with every field that is out of bounds.
    pub(crate) fn into_command(self) -> Result<ShipOrder, Problem> {
        let mut fields = Fields::default();
        let carrier = fields.take("/carrier", self.carrier.try_into());
        let tracking_number = fields.take("/tracking_number", self.tracking_number.try_into());
        match (carrier, tracking_number) {
            (Some(carrier), Some(tracking_number)) => Ok(ShipOrder { carrier, tracking_number }),
            _ => Err(fields.problem()),
        }
    }
}

impl CancelOrderDocument {
    /// # Errors
    /// 422 if the reason is out of bounds.
    pub(crate) fn into_command(self) -> Result<CancelOrder, Problem> {
        let mut fields = Fields::default();
        let reason = fields.take("/reason", self.reason.try_into());
        reason.map(|reason| CancelOrder { reason }).ok_or_else(|| fields.problem())
    }
}

/// Takes values out of fields, and remembers what is wrong with those that have none.
#[derive(Debug, Default)]
struct Fields {
    errors: Vec<FieldError>,
}

impl Fields {
    fn take<T>(&mut self, pointer: impl Into<String>, value: Result<T, impl Display>) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.errors.push(FieldError { pointer: pointer.into(), detail: wrong.to_string() });
                None
            }
        }
    }

    fn take_item(&mut self, at: usize, Object(item): Object<ItemDocument>) -> Option<OrderItem> {
        let sku = self.take(format!("/items/{at}/sku"), item.sku.try_into());
        let quantity = self.take(format!("/items/{at}/quantity"), item.quantity.try_into());
        let unit_price = self.take(format!("/items/{at}/unit_price"), item.unit_price.try_into());
        Some(OrderItem { sku: sku?, quantity: quantity?, unit_price: unit_price? })
    }

    fn problem(self) -> Problem {
        Problem::invalid(self.errors)
    }
}
