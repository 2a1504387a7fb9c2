//! The items of an order: articles, quantities and prices.

use cqrs::{Bounded, InvalidValue, Text};
use serde::{Deserialize, Serialize};

/// The stock keeping unit, which identifies an article in the shop.
pub type Sku = Text<64>;
pub type Quantity = Bounded<1, 10_000>;
/// The price of one unit of an article, in minor units of the order's currency.
pub type UnitPrice = Bounded<0, 1_000_000_000_000>;

/// The largest total of an order, in minor units: 2⁵³ − 1, the largest integer that JSON readers agree on (RFC 8259,
/// section 6).
pub const MAX_TOTAL: u64 = 9_007_199_254_740_991;
pub const MAX_ITEMS: usize = 100;

/// A quantity of one article at a unit price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderItem {
    /// The stock keeping unit of the article.
    pub sku: Sku,
    pub quantity: Quantity,
    /// The price of one unit, in minor units of the order's currency.
    pub unit_price: UnitPrice,
}

/// The items of an order: 1 to [`MAX_ITEMS`] of them, with a total of at most [`MAX_TOTAL`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<OrderItem>", into = "Vec<OrderItem>")]
pub struct OrderItems(Vec<OrderItem>);

impl OrderItems {
    /// Returns the sum of quantity × unit price over all items, in minor units.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|item| item.quantity.get() * item.unit_price.get()).sum()
    }

    /// Returns the sum of the quantities.
    pub fn count(&self) -> u64 {
        self.0.iter().map(|item| item.quantity.get()).sum()
    }
}

impl TryFrom<Vec<OrderItem>> for OrderItems {
    type Error = InvalidValue;

    fn try_from(items: Vec<OrderItem>) -> Result<Self, InvalidValue> {
        if !(1..=MAX_ITEMS).contains(&items.len()) {
            return Err(InvalidValue(format!("must have 1 to {MAX_ITEMS} items")));
        }
        // The sum cannot overflow: 100 items of 10^4 units at 10^12 each stay below 2^64.
        let items = Self(items);
        if items.total() > MAX_TOTAL {
            return Err(InvalidValue(format!("must have a total of at most {MAX_TOTAL} minor units")));
        }
        Ok(items)
    }
}

impl From<OrderItems> for Vec<OrderItem> {
    fn from(items: OrderItems) -> Self {
        items.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(number: usize, quantity: u64, unit_price: u64) -> Result<OrderItems, InvalidValue> {
        let item = OrderItem {
            sku: "A".to_owned().try_into()?,
            quantity: quantity.try_into()?,
            unit_price: unit_price.try_into()?,
        };
        vec![item; number].try_into()
    }

    #[test]
    fn an_order_has_1_to_100_items() {
        assert!(items(0, 1, 1).is_err());
        assert!(items(1, 1, 1).is_ok());
        assert!(items(100, 1, 1).is_ok());
        assert!(items(101, 1, 1).is_err());
    }

    #[test]
    fn a_total_is_at_most_the_largest_exact_json_integer() {
        assert_eq!(items(9, 1000, 1_000_000_000_000).unwrap().total(), 9_000_000_000_000_000);
        assert!(items(10, 1000, 1_000_000_000_000).is_err());
        assert!(items(100, 10_000, 1_000_000_000_000).is_err());
    }

    #[test]
    fn quantities_and_unit_prices_have_bounds() {
        assert!(items(1, 0, 1).is_err());
        assert!(items(1, 10_001, 1).is_err());
        assert!(items(1, 1, 1_000_000_000_001).is_err());
        assert!(items(1, 10_000, 0).is_ok());
    }
}
