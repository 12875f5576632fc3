//! Quantities of items: decimal, not binary, so that ten times 0.1 is 1.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The parts that one is divided into.
const PARTS: i128 = 1_000_000_000;
/// The number of digits after the point that are kept.
const DIGITS: usize = 9;

/// A quantity of an item, exact to nine digits after the point. Arithmetic saturates at the ends of
/// the range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quantity(i128);

impl Quantity {
    /// The quantity zero.
    pub const ZERO: Self = Self(0);

    /// A whole number.
    #[must_use]
    pub fn whole(count: i64) -> Self {
        Self(i128::from(count).saturating_mul(PARTS))
    }

    /// This quantity multiplied by a whole number.
    #[must_use]
    pub fn times(self, count: i64) -> Self {
        Self(self.0.saturating_mul(i128::from(count)))
    }

    /// This quantity in billionths, the smallest parts that are kept.
    #[must_use]
    pub fn billionths(self) -> i128 {
        self.0
    }

    /// Whether this quantity is below zero.
    #[must_use]
    pub fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// Whether this quantity is above zero.
    #[must_use]
    pub fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// Reads a decimal as floats are printed. Further digits are cut off.
    fn parse(text: &str) -> Option<Self> {
        let (sign, text) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        // A number that is too large becomes the largest.
        let whole: i128 = whole.parse().unwrap_or(i128::MAX);
        let kept = fraction.get(..DIGITS).unwrap_or(fraction);
        let fraction: i128 = format!("{kept:0<DIGITS$}").parse().ok()?;
        let parts = whole.saturating_mul(PARTS).saturating_add(fraction);
        Some(Self(parts.saturating_mul(sign)))
    }
}

impl Add for Quantity {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Quantity {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Neg for Quantity {
    type Output = Self;
    fn neg(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

impl AddAssign for Quantity {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Quantity {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Add::add)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let parts = self.0.unsigned_abs();
        let (whole, fraction) = (parts / PARTS.unsigned_abs(), parts % PARTS.unsigned_abs());
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let fraction = format!("{fraction:0>DIGITS$}");
        write!(f, "{sign}{whole}.{}", fraction.trim_end_matches('0'))
    }
}

/// Serializes as a JSON number.
impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % PARTS == 0
            && let Ok(whole) = i64::try_from(self.0 / PARTS)
        {
            return serializer.serialize_i64(whole);
        }
        let number: f64 = self
            .to_string()
            .parse()
            .map_err(serde::ser::Error::custom)?;
        serializer.serialize_f64(number)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Quantity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Quantity, E> {
        Ok(Quantity::whole(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Quantity, E> {
        Ok(Quantity(i128::from(number).saturating_mul(PARTS)))
    }

    /// Reads the shortest decimal that stands for the float, because that is what was meant.
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Quantity, E> {
        Quantity::parse(&number.to_string()).ok_or_else(|| E::custom("not a finite number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_decimal() {
        let read = |text: &str| serde_json::from_str::<Quantity>(text).unwrap();
        assert_eq!(read("0.1") + read("0.2"), read("0.3"));
        assert_eq!(read("0.1").times(10), Quantity::whole(1));
        for text in ["0", "-3", "2.5", "2147483647", "0.3"] {
            assert_eq!(serde_json::to_string(&read(text)).unwrap(), text);
        }
        // The writer of JSON decides whether there is an exponent.
        let smallest = serde_json::to_string(&read("-0.000000001")).unwrap();
        assert_eq!(read(&smallest).to_string(), "-0.000000001");
        assert_eq!(read("1e300").times(2), read("1e300"));
    }
}
