//! Amounts of US dollars, in the cents that Stripe counts in.

use muniment_domain::customer::Currency;
use serde::{Deserialize, Serialize};

/// So many US cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cents(pub i64);

impl Cents {
    /// The cents of an amount of US dollars, as `12.34`. None for what is no such amount, or no
    /// amount that fits.
    #[must_use]
    pub fn of_dollars(amount: &str) -> Option<Self> {
        let cents = Currency::Usd.minor_units(amount)?;
        Some(Self(i64::try_from(cents).ok()?))
    }

    /// The price of so many, if it fits.
    #[must_use]
    pub fn times(self, quantity: i64) -> Option<Self> {
        self.0.checked_mul(quantity).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_exact() {
        for (amount, cents) in [
            ("0", 0),
            ("10.5", 1050),
            ("10.50", 1050),
            ("0.07", 7),
            ("1.1", 110),
            ("90071992547409.93", 9_007_199_254_740_993),
        ] {
            assert_eq!(Cents::of_dollars(amount), Some(Cents(cents)), "{amount}");
        }
        for bad in ["", "-1", "1.234", "1e3", "99999999999999999999"] {
            assert_eq!(Cents::of_dollars(bad), None, "{bad}");
        }
        assert_eq!(Cents(1050).times(3), Some(Cents(3150)));
        assert_eq!(Cents(i64::MAX).times(2), None);
    }
}
