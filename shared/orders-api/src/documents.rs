//! The documents of the commands: who may send them, to which orders, and how they become commands. Each reports all of
//! its invalid fields at once.

use app::{
    Caller, Problem,
    command::{CommandDocument, CommandTarget, FieldValidation, JsonObject, WholeNumber},
};
use cqrs::{InvalidValue, Scope, Text};
use orders::{
    Order, OrderCommand,
    order::{self, CancelOrder, CustomerId, OrderItem, PlaceOrder, ShipOrder},
    scope::{ADMIN, FULFIL, WRITE},
};
use serde::Deserialize;

#[cfg(feature = "openapi")]
use {
    crate::openapi::NewItems,
    orders::openapi::CurrencyCode,
    orders::order::{Carrier, Quantity, Reason, ShippingAddress, Sku, TrackingNumber, UnitPrice},
};

/// The body of `POST /orders`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = PlaceOrder))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct PlaceOrderDocument {
    /// The customer who owns the order. The default is the caller.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<CustomerId>))]
    customer_id: Option<String>,
    /// The currency of all prices.
    #[cfg_attr(feature = "openapi", schema(value_type = CurrencyCode))]
    currency: String,
    /// The ordered items. Their total must not exceed 9,007,199,254,740,991 minor units.
    #[cfg_attr(feature = "openapi", schema(value_type = NewItems))]
    items: Vec<JsonObject<ItemDocument>>,
    /// The address to ship to.
    #[cfg_attr(feature = "openapi", schema(value_type = ShippingAddress))]
    shipping_address: String,
}

/// An item of a new order.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = NewItem))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct ItemDocument {
    /// The article's stock keeping unit.
    #[cfg_attr(feature = "openapi", schema(value_type = Sku))]
    sku: String,
    /// The number of units.
    #[cfg_attr(feature = "openapi", schema(value_type = Quantity))]
    quantity: WholeNumber,
    /// The price of one unit, in minor units of the currency.
    #[cfg_attr(feature = "openapi", schema(value_type = UnitPrice))]
    unit_price: WholeNumber,
}

/// The body of `POST /orders/{order_id}/ship`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = ShipOrder))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct ShipOrderDocument {
    /// The carrier.
    #[cfg_attr(feature = "openapi", schema(value_type = Carrier))]
    carrier: String,
    /// The carrier's tracking number.
    #[cfg_attr(feature = "openapi", schema(value_type = TrackingNumber))]
    tracking_number: String,
}

/// The body of `POST /orders/{order_id}/deliver`. It has no fields.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = DeliverOrder))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct DeliverOrderDocument {}

/// The body of `POST /orders/{order_id}/cancel`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CancelOrder))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct CancelOrderDocument {
    /// The reason for the cancellation.
    #[cfg_attr(feature = "openapi", schema(value_type = Reason))]
    reason: String,
}

impl CommandDocument for PlaceOrderDocument {
    type Aggregate = Order;

    const NAME: &'static str = "place";
    const SCOPES: &'static [Scope] = &[WRITE, ADMIN];
    const TARGET: CommandTarget<Order> = CommandTarget::New(|executor| executor.new_id());

    /// Builds the command. The caller is the default customer. Only `orders/admin` permits another customer.
    fn into_command(self, caller: &Caller) -> Result<OrderCommand, Problem> {
        if self.customer_id.as_ref().is_some_and(|customer_id| *customer_id != caller.subject) {
            caller.require_any(&[ADMIN])?;
        }
        let mut fields = FieldValidation::default();
        let customer_id = match self.customer_id {
            Some(customer_id) => customer(customer_id, caller).map_err(|error| error.to_string()),
            None => CustomerId::try_from(caller.subject.clone())
                .map_err(|error| format!("is required, because the token's sub cannot be a customer: it {error}")),
        };
        let customer_id = fields.check("/customer_id", customer_id);
        let currency = fields.check(
            "/currency",
            order::currency(&self.currency).ok_or("must be an upper-case code of a currency in use, such as EUR"),
        );
        let number = self.items.len();
        let items: Vec<OrderItem> =
            (0..).zip(self.items).filter_map(|(index, document)| item(&mut fields, index, document)).collect();
        // The number and the total of the items are checked only if every item is valid.
        let items = if items.len() == number { fields.check("/items", items.try_into()) } else { None };
        let shipping_address = fields.check("/shipping_address", self.shipping_address.try_into());
        fields.finish(|| {
            Some(OrderCommand::Place(PlaceOrder {
                customer_id: customer_id?,
                currency: currency?,
                items: items?,
                shipping_address: shipping_address?,
            }))
        })
    }
}

impl CommandDocument for ShipOrderDocument {
    type Aggregate = Order;

    const NAME: &'static str = "ship";
    const SCOPES: &'static [Scope] = &[FULFIL, ADMIN];

    fn into_command(self, _: &Caller) -> Result<OrderCommand, Problem> {
        let mut fields = FieldValidation::default();
        let carrier = fields.check("/carrier", self.carrier.try_into());
        let tracking_number = fields.check("/tracking_number", self.tracking_number.try_into());
        fields.finish(|| Some(OrderCommand::Ship(ShipOrder { carrier: carrier?, tracking_number: tracking_number? })))
    }
}

impl CommandDocument for DeliverOrderDocument {
    type Aggregate = Order;

    const NAME: &'static str = "deliver";
    const SCOPES: &'static [Scope] = &[FULFIL, ADMIN];

    fn into_command(self, _: &Caller) -> Result<OrderCommand, Problem> {
        Ok(OrderCommand::Deliver)
    }
}

impl CommandDocument for CancelOrderDocument {
    type Aggregate = Order;

    const NAME: &'static str = "cancel";
    const SCOPES: &'static [Scope] = &[WRITE, ADMIN];

    fn into_command(self, _: &Caller) -> Result<OrderCommand, Problem> {
        let mut fields = FieldValidation::default();
        let reason = fields.check("/reason", self.reason.try_into());
        fields.finish(|| Some(OrderCommand::Cancel(CancelOrder { reason: reason? })))
    }

    /// Customers may cancel their own orders; `orders/admin` permits any order.
    fn is_authorized(caller: &Caller, order: &Order) -> bool {
        caller.has_any(&[ADMIN]) || order.customer_id().map(CustomerId::as_str) == Some(&caller.subject)
    }
}

/// Checks the id of a customer. People type the id of another customer, so it must be a readable [`Text`]. The caller's
/// own id comes from the identity provider, so only the rules of [`CustomerId`] apply to it.
fn customer(customer_id: String, caller: &Caller) -> Result<CustomerId, InvalidValue> {
    if customer_id != caller.subject {
        Text::<{ CustomerId::MAX }>::try_from(customer_id.clone())?;
    }
    customer_id.try_into()
}

fn item(fields: &mut FieldValidation, index: usize, JsonObject(item): JsonObject<ItemDocument>) -> Option<OrderItem> {
    let sku = fields.check(format!("/items/{index}/sku"), item.sku.try_into());
    let quantity = fields.check(format!("/items/{index}/quantity"), item.quantity.0.try_into());
    let unit_price = fields.check(format!("/items/{index}/unit_price"), item.unit_price.0.try_into());
    Some(OrderItem { sku: sku?, quantity: quantity?, unit_price: unit_price? })
}
