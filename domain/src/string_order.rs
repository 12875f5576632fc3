//! The order in which the API sorts strings.

use std::cmp::Ordering;

/// Compares the upper-cased strings by UTF-16 code units. Strings that are equal then are compared
/// as they are, the other way round.
#[must_use]
pub fn string_order(a: &str, b: &str) -> Ordering {
    let (upper_a, upper_b) = (a.to_uppercase(), b.to_uppercase());
    upper_a
        .encode_utf16()
        .cmp(upper_b.encode_utf16())
        .then_with(|| b.encode_utf16().cmp(a.encode_utf16()))
}
