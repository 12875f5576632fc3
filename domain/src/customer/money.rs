//! Amounts of money as they are written: decimal, never binary.

use super::Currency;

impl Currency {
    /// Whether a text is an amount of this currency: digits, and perhaps a point with no more
    /// digits than the currency has.
    #[must_use]
    pub fn accepts(self, amount: &str) -> bool {
        let is_digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (whole, fraction) = match amount.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (amount, None),
        };
        let is_unpadded = whole == "0" || !whole.starts_with('0');
        let fits = |fraction: &str| is_digits(fraction) && fraction.len() <= self.decimals();
        is_digits(whole) && is_unpadded && fraction.is_none_or(fits)
    }

    /// An amount in cents, or what the currency has instead. None for what is no money, which
    /// settings may hold.
    #[must_use]
    pub fn minor_units(self, amount: &str) -> Option<i128> {
        if !self.accepts(amount) {
            return None;
        }
        let decimals = self.decimals();
        let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
        format!("{whole}{fraction:0<decimals$}").parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_one_way() {
        for good in ["0", "0.5", "12.34", "1000000"] {
            assert!(Currency::Usd.accepts(good), "{good}");
        }
        for bad in ["", ".5", "01", "1.", "1.234", "-1", "1e3", "1,5", "00.1"] {
            assert!(!Currency::Usd.accepts(bad), "{bad}");
        }
        assert!(!Currency::Jpy.accepts("1.5"));
    }

    #[test]
    fn minor_units_are_exact() {
        assert_eq!(Currency::Usd.minor_units("10.5"), Some(1050));
        assert_eq!(Currency::Jpy.minor_units("7"), Some(7));
        assert_eq!(Currency::Usd.minor_units("x"), None);
    }
}
