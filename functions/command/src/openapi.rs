//! The OpenAPI description of the commands.

use app::openapi::Operation;
use orders::{
    Order,
    OrderRejection::{AlreadyCancelled, AlreadyDelivered, AlreadyPlaced, AlreadyShipped, NotShipped},
};
use orders_api::{CancelOrderDocument, DeliverOrderDocument, PlaceOrderDocument, ShipOrderDocument};
use serde_json::json;

/// Completes the description of an operation.
pub fn describe(id: &str, operation: Operation) -> Operation {
    match id {
        "placeOrder" => place_order(operation),
        "shipOrder" => ship_order(operation),
        "deliverOrder" => deliver_order(operation),
        "cancelOrder" => cancel_order(operation),
        _ => operation,
    }
}

fn place_order(operation: Operation) -> Operation {
    operation
        .summary("Place an order")
        .description("Places an order for the caller. An order for another customer requires `orders/admin`.")
        .body::<PlaceOrderDocument>(json!({
            "currency": "EUR",
            "items": [{ "sku": "BOOK-1", "quantity": 2, "unit_price": 1250 }],
            "shipping_address": "1 Main Street, Springfield",
        }))
        .creates::<Order>("The order was placed.")
        .rejects::<Order>(AlreadyPlaced)
}

fn ship_order(operation: Operation) -> Operation {
    let shipment = json!({ "carrier": "DHL", "tracking_number": "JD0123456789" });
    let operation = operation.summary("Ship an order").body::<ShipOrderDocument>(shipment);
    let rejections = [AlreadyShipped, AlreadyDelivered, AlreadyCancelled];
    rejections.into_iter().fold(operation.changes::<Order>("The order was shipped."), Operation::rejects::<Order>)
}

fn deliver_order(operation: Operation) -> Operation {
    let operation = operation.summary("Mark an order as delivered").body::<DeliverOrderDocument>(json!({}));
    let operation = operation.changes::<Order>("The order was delivered.");
    [NotShipped, AlreadyDelivered].into_iter().fold(operation, Operation::rejects::<Order>)
}

fn cancel_order(operation: Operation) -> Operation {
    let operation = operation
        .summary("Cancel an order")
        .description("Cancels an order of the caller. An order of another customer requires `orders/admin`.")
        .body::<CancelOrderDocument>(json!({ "reason": "changed my mind" }));
    let rejections = [AlreadyShipped, AlreadyDelivered, AlreadyCancelled];
    rejections.into_iter().fold(operation.changes::<Order>("The order was cancelled."), Operation::rejects::<Order>)
}
