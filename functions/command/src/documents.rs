//! Converts request bodies to commands, and reports all invalid fields at once.

use app::{
    Caller, Problem,
    command::{FieldValidation, JsonObject, WholeNumber},
};
use cqrs::{InvalidValue, Text};
use orders::{
    order::{self, CancelOrder, CustomerId, OrderItem, PlaceOrder, ShipOrder},
    scope::ADMIN,
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
pub(crate) struct PlaceOrderDocument {
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
pub(crate) struct ItemDocument {
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
pub(crate) struct ShipOrderDocument {
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
pub(crate) struct DeliverOrderDocument {}

/// The body of `POST /orders/{order_id}/cancel`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = CancelOrder))]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct CancelOrderDocument {
    /// The reason for the cancellation.
    #[cfg_attr(feature = "openapi", schema(value_type = Reason))]
    reason: String,
}

impl PlaceOrderDocument {
    /// Builds the command. The caller is the default customer.
    ///
    /// # Errors
    /// 403 if the customer is not the caller and the caller lacks `orders/admin`; 422 with all invalid fields.
    pub(crate) fn into_command(self, caller: &Caller) -> Result<PlaceOrder, Problem> {
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
            Some(PlaceOrder {
                customer_id: customer_id?,
                currency: currency?,
                items: items?,
                shipping_address: shipping_address?,
            })
        })
    }
}

impl ShipOrderDocument {
    /// # Errors
    /// 422 with all invalid fields.
    pub(crate) fn into_command(self) -> Result<ShipOrder, Problem> {
        let mut fields = FieldValidation::default();
        let carrier = fields.check("/carrier", self.carrier.try_into());
        let tracking_number = fields.check("/tracking_number", self.tracking_number.try_into());
        fields.finish(|| Some(ShipOrder { carrier: carrier?, tracking_number: tracking_number? }))
    }
}

impl CancelOrderDocument {
    /// # Errors
    /// 422 if the reason is invalid.
    pub(crate) fn into_command(self) -> Result<CancelOrder, Problem> {
        let mut fields = FieldValidation::default();
        let reason = fields.check("/reason", self.reason.try_into());
        fields.finish(|| Some(CancelOrder { reason: reason? }))
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
