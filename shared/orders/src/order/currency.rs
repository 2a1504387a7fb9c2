//! The currencies of orders: those in which a customer can pay today.

use iso_currency::Currency;

/// Returns the currency of an upper-case ISO 4217 code. `None` for a withdrawn currency, and for a code that is not a
/// means of payment: a fund, a metal, a unit of account or a test code.
///
/// Only a new order is checked. A stored order keeps its currency, even if the currency is withdrawn later.
pub fn currency(code: &str) -> Option<Currency> {
    Currency::from_code(code).filter(|currency| is_in_use(*currency))
}

/// Returns whether a customer can pay in a currency.
pub(crate) fn is_in_use(currency: Currency) -> bool {
    // `iso_currency` 0.7 marks VES as superseded by VED. Both are in use: VED is the same currency in another
    // denomination (ISO 4217, amendment 170).
    currency == Currency::VES || currency.flags().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_in_use_are_accepted() {
        for code in ["EUR", "USD", "JPY", "VES", "VED", "XCG", "ZWG", "SLE", "XOF", "XCD", "CUP", "CLP"] {
            assert_eq!(currency(code).map(|currency| currency.code()), Some(code));
        }
    }

    #[test]
    fn withdrawn_currencies_and_codes_without_payments_are_refused() {
        for code in [
            "HRK", "CUC", "ZWL", "SLL", "BGN", "XXX", "XTS", "XAU", "XAG", "XDR", "XBA", "XSU", "CLF", "BOV", "ANG",
            "DEM", "eur", "EURO", "",
        ] {
            assert_eq!(currency(code), None, "{code}");
        }
    }
}
