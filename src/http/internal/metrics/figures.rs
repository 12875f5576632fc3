//! How figures are rounded and days are written.

use muniment_domain::Millis;

use crate::timestamp;

/// `YYYY-MM-DD`
pub(super) fn date(day: Millis) -> String {
    timestamp::format(day).chars().take(10).collect()
}

/// A part in percent with two decimals, at most 100; none of nothing.
#[allow(clippy::cast_precision_loss, reason = "for human eyes")]
pub(super) fn percent(part: i64, whole: i64) -> f64 {
    let share = part as f64 / whole.max(1) as f64;
    rounded(share * 100.0, 100.0).min(100.0)
}

/// In major units with two decimals.
#[allow(clippy::cast_precision_loss, reason = "for human eyes")]
pub(super) fn per_visitor(cents: i64, visitors: u64) -> f64 {
    if visitors == 0 {
        return 0.0;
    }
    rounded(cents as f64 / 100.0 / visitors as f64, 100.0)
}

/// To so many parts of one.
pub(super) fn rounded(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::float_cmp, reason = "both are rounded the same way")]
    fn rates_are_rounded_and_never_divide_by_nothing() {
        assert_eq!(percent(1, 3), 33.33);
        assert_eq!(percent(0, 0), 0.0);
        assert_eq!(percent(3, 2), 100.0);
        assert_eq!(per_visitor(1000, 3), 3.33);
        assert_eq!(per_visitor(1000, 0), 0.0);
        assert_eq!(date(Millis(0)), "1970-01-01");
    }
}
