//! What is ordered, and what it costs.

use serde::{Deserialize, Serialize};

use super::{Bounded, InvalidValue, Text};

/// The stock keeping unit: what the shop calls the article.
pub type Sku = Text<64>;
/// How many of an article.
pub type Quantity = Bounded<1, 10_000>;
/// What one of an article costs, in minor units of the order's currency.
pub type UnitPrice = Bounded<0, 1_000_000_000_000>;

/// The largest total of an order in minor units: what a JSON number carries exactly everywhere, 2⁵³ − 1 (RFC 8259, 6).
pub const MAX_TOTAL: u64 = 9_007_199_254_740_991;
/// The most items that an order has.
pub const MAX_ITEMS: usize = 100;

/// So many of one article, at a price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderItem {
    /// Which article.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// At which price each.
    pub unit_price: UnitPrice,
}

/// The items of one order: 1 to [`MAX_ITEMS`], together at most [`MAX_TOTAL`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<OrderItem>", into = "Vec<OrderItem>")]
pub struct OrderItems(Vec<OrderItem>);

impl OrderItems {
    /// What all of them cost, in minor units.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|item| item.quantity.get() * item.unit_price.get()).sum()
    }

    /// How many articles they are: the sum of the quantities.
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
        // 100 items of 10^4 at 10^12 stay below 2^64: the sum cannot overflow.
        let items = Self(items);
        if items.total() > MAX_TOTAL {
            return Err(InvalidValue(format!("must cost at most {MAX_TOTAL} in total")));
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
    fn a_total_stays_within_what_json_carries() {
        assert_eq!(items(9, 1000, 1_000_000_000_000).unwrap().total(), 9_000_000_000_000_000);
        assert!(items(10, 1000, 1_000_000_000_000).is_err());
        assert!(items(100, 10_000, 1_000_000_000_000).is_err());
    }

    #[test]
    fn quantities_and_prices_have_bounds() {
        assert!(items(1, 0, 1).is_err());
        assert!(items(1, 10_001, 1).is_err());
        assert!(items(1, 1, 1_000_000_000_001).is_err());
        assert!(items(1, 10_000, 0).is_ok());
    }
}
