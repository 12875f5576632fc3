//! Money: decimal texts, counted exactly in a currency's smallest unit.

use super::product::{Currency, Price};

/// An amount in the smallest unit of a currency, cents for most.
pub type Cents = i64;

/// Whether a text is an amount of money: digits, and perhaps a point with a few more, but no more
/// than the currency has.
#[must_use]
pub fn is_amount(text: &str, currency: Currency) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let no_padding = whole == "0" || !whole.starts_with('0');
    let fits = |fraction: &str| digits(fraction) && fraction.len() <= currency.decimals();
    digits(whole) && no_padding && fraction.is_none_or(fits)
}

/// An amount in the currency's smallest unit. `None` for a text that is no amount, which settings
/// may hold, or an amount too large to count.
#[must_use]
pub fn minor_units(amount: &str, currency: Currency) -> Option<Cents> {
    if !is_amount(amount, currency) {
        return None;
    }
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let decimals = currency.decimals();
    format!("{whole}{fraction:0<decimals$}").parse().ok()
}

/// An amount in the currency's smallest unit as a text, without a point if it needs none.
#[must_use]
pub fn amount_text(units: Cents, currency: Currency) -> String {
    let decimals = currency.decimals();
    let digits = format!("{units:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    match fraction.trim_end_matches('0') {
        "" => whole.to_owned(),
        _ => format!("{whole}.{fraction}"),
    }
}

impl Price {
    /// The amount that is charged for one product, in cents. `None` if the price is not in US
    /// dollars.
    #[must_use]
    pub fn usd_cents(&self) -> Option<Cents> {
        minor_units(self.amounts.get(&Currency::Usd)?, Currency::Usd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_one_way() {
        for good in ["0", "0.5", "12.34", "1000000"] {
            assert!(is_amount(good, Currency::Usd), "{good}");
        }
        for bad in ["", ".5", "01", "1.", "1.234", "-1", "1e3", "1,5", "00.1"] {
            assert!(!is_amount(bad, Currency::Usd), "{bad}");
        }
        assert!(!is_amount("1.5", Currency::Jpy));
    }

    #[test]
    fn money_is_multiplied_exactly() {
        let times = |amount: &str, currency, quantity: Cents| {
            amount_text(minor_units(amount, currency).unwrap() * quantity, currency)
        };
        assert_eq!(times("12.34", Currency::Usd, 3), "37.02");
        assert_eq!(times("0.1", Currency::Usd, 3), "0.30");
        assert_eq!(times("5", Currency::Usd, 2), "10");
        assert_eq!(times("100", Currency::Jpy, 7), "700");
        assert_eq!(minor_units("10.5", Currency::Usd), Some(1050));
        assert_eq!(minor_units("x", Currency::Usd), None);
        assert_eq!(minor_units("99999999999999999999", Currency::Usd), None);
    }
}
