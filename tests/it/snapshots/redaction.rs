//! Placeholders for what differs from run to run.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use fancy_regex::{Captures, Regex};

/// What is drawn at random, by kind.
const KINDS: [(&str, &str); 8] = [
    ("jwt", r"eyJ[\w-]+\.[\w-]+\.[\w-]+"),
    ("key", r"\b(?:pck|ssk|sak|sk|pk)_[0-9a-z]{45,}\b"),
    ("secret", r"\bwhsec_[\w+/=]+"),
    ("id", r"\b(?:msg|ep|atmpt|app)_\w{20,}"),
    ("uuid", r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"),
    (
        "token",
        r"(?<![0-9a-z])[0-9a-hjkmnp-tv-z]{39,45}(?![0-9a-z])",
    ),
    ("last four", r#"(?<="last_four": ")[0-9a-z]{4}(?=")"#),
    ("time", r"\b\d{13}\b"),
];
/// UUIDs that are the same everywhere.
const CONSTANTS: [&str; 3] = [
    // Categories of notifications: transactional, marketing.
    "7bb82d33-2f54-4a3d-9d23-82739e0d66ef",
    "4f6f8873-3d04-46bd-8bef-18338b1a1b4c",
    // The theme of emails that projects have at first.
    "1df07ae6-abf3-4a40-83a5-a1a2cbe336ac",
];
/// How far a time may be from the real clock's to be one of them.
const REAL_MILLIS: u128 = 24 * 60 * 60 * 1000;

/// What some ids are called.
#[derive(Default)]
pub(super) struct Redaction {
    names: Vec<(String, String)>,
}

impl Redaction {
    /// From now on the value appears by that name.
    pub(super) fn name(&mut self, name: &str, value: &str) {
        self.names.push((value.to_owned(), format!("[{name}]")));
    }

    /// Replaces what differs from run to run: by its name, or by its kind and a number. The same
    /// value has the same placeholder throughout the text.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (value, name) in &self.names {
            text = text.replace(value, name);
        }
        for (kind, pattern) in KINDS {
            let pattern = Regex::new(pattern).unwrap();
            let mut seen: BTreeMap<String, usize> = BTreeMap::new();
            let placeholder = |found: &Captures<str>| {
                let found = &found[0];
                if CONSTANTS.contains(&found) || (kind == "time" && !is_real_time(found)) {
                    return found.to_owned();
                }
                let number = seen.len() + 1;
                let number = seen.entry(found.to_owned()).or_insert(number);
                format!("[{kind} {number}]")
            };
            text = pattern.replace_all(&text, placeholder).into_owned();
        }
        text
    }
}

/// Whether a time in milliseconds was read from the real clock today.
fn is_real_time(millis: &str) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let millis: u128 = millis.parse().unwrap();
    now.as_millis().abs_diff(millis) < REAL_MILLIS
}

#[test]
fn equal_values_have_equal_placeholders() {
    let mut redaction = Redaction::default();
    redaction.name("ada", "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de");
    let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let text = format!(
        "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de bbbbbbbb-4f2f-4b1c-8d27-1d4a61d1f0de \
         x_cccccccc-4f2f-4b1c-8d27-1d4a61d1f0de bbbbbbbb-4f2f-4b1c-8d27-1d4a61d1f0de \
         2500000000000 {} pck_{} x_{} a_name_of_forty_characters_as_long_as_this",
        real.as_millis(),
        "0123456789".repeat(5),
        "7".repeat(45),
    );
    assert_eq!(
        redaction.apply(&text),
        "[ada] [uuid 1] x_[uuid 2] [uuid 1] 2500000000000 [time 1] [key 1] x_[token 1] \
         a_name_of_forty_characters_as_long_as_this"
    );
}
