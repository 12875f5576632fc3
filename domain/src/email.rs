//! Email addresses and how they are compared.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest address that is accepted, in characters.
pub const MAX_LENGTH: usize = 256;

/// A normalised email address: trimmed, lower-case, exactly one `@`.
///
/// Dots and `+tag` parts are kept: only the mail server knows whether they matter.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Debug)]
#[serde(transparent)]
pub struct EmailAddress(String);

impl EmailAddress {
    /// Reads an address with the strict rules of sign-up: besides the lenient ones, at most
    /// [`MAX_LENGTH`] characters, a domain with a dot and a last label of two characters or more.
    #[must_use]
    pub fn strict(text: &str) -> Option<Self> {
        let address = Self::lenient(text)?;
        if address.0.chars().count() > MAX_LENGTH {
            return None;
        }
        let last_label = address.domain().rsplit_once('.')?.1;
        (last_label.chars().count() >= 2).then_some(address)
    }

    /// Reads an address with the lenient rules of sign-in and of server-side writes:
    /// a local part without leading, trailing or doubled dots, and a domain of plain labels.
    #[must_use]
    pub fn lenient(text: &str) -> Option<Self> {
        let normalized = text.trim().to_lowercase();
        let (local, domain) = normalized.split_once('@')?;
        (is_local_part(local) && is_domain(domain)).then_some(Self(normalized))
    }

    /// Wraps an address that was normalised before it was stored.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The part after the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }

    /// The address in its normalised form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Dot-separated atoms of RFC 5322 §3.2.3, without the quoted form that nobody uses.
fn is_local_part(local: &str) -> bool {
    local.split('.').all(|atom| {
        !atom.is_empty()
            && atom
                .chars()
                .all(|c| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~-".contains(c))
    })
}

fn is_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    })
}

#[cfg(test)]
mod tests {
    use super::EmailAddress;

    #[test]
    fn normalises_case_and_blanks_but_keeps_dots_and_tags() {
        let address = EmailAddress::strict("  Ada.L+news@Example.COM ").map(|a| a.to_string());
        assert_eq!(address.as_deref(), Some("ada.l+news@example.com"));
    }

    #[test]
    fn strict_wants_a_real_domain() {
        for bad in [
            "a@localhost",
            "a@b.c",
            "a@@b.cd",
            "@b.cd",
            "a@",
            "a..b@c.de",
            ".a@c.de",
            "a b@c.de",
            "a@-c.de",
            "",
        ] {
            assert_eq!(EmailAddress::strict(bad), None, "{bad}");
        }
        assert!(EmailAddress::lenient("a@localhost").is_some());
    }
}
