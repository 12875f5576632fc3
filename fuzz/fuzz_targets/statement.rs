//! The checker of tenants' queries; CONTRIBUTING says how to run this.
//!
//! It never panics. What it lets through still passes when it comes out: the text that is run is one
//! that was checked. And nothing forbidden is in there for a reader of its own, who knows only what
//! SQL's quotes are.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use statement::{Catalogue, Kind, Listed, Tenancy, approve};

/// The checker and nothing else, by its path: as a part of the server, 400 packages would have to
/// be instrumented first.
#[path = "../../src/embedded/analytics_engine/child/statement/mod.rs"]
#[allow(dead_code, reason = "the server uses all of it")]
mod statement;

/// Stands for the crate from which the checker takes these names.
extern crate self as muniment_projections;

/// Names of no consequence here.
pub mod analytics {
    /// Whom tenants' queries run as.
    pub const TENANT_USER: &str = "limited_user";
    /// What tenants may read.
    pub const VIEWS: [&str; 2] = ["events", "users"];
}

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let function = |name, category, kind| Listed {
        name,
        alias_to: "",
        category,
        kind,
    };
    Catalogue::new([
        function("CAST", "Type Conversion", Kind::Scalar),
        function("arrayJoin", "Arrays", Kind::Scalar),
        function("currentRoles", "Other", Kind::Scalar),
        function("currentUser", "Other", Kind::Scalar),
        function("file", "Other", Kind::Scalar),
        function("getSetting", "Other", Kind::Scalar),
        function("sum", "Aggregate Functions", Kind::Aggregate),
        function("file", "", Kind::Table),
        function("merge", "", Kind::Table),
        function("numbers", "", Kind::Table),
    ])
});

/// What stands at a place of a query.
#[derive(PartialEq)]
enum Part {
    /// A word, in lower case.
    Word(String),
    /// A name in quotes, in lower case.
    Name(String),
    /// A string.
    Text,
    /// Anything else but blanks.
    Sign(char),
}

impl Part {
    fn is_name(&self, wanted: &str) -> bool {
        matches!(self, Self::Word(name) | Self::Name(name) if name == wanted)
    }

    fn is_word(&self, wanted: &str) -> bool {
        matches!(self, Self::Word(word) if word == wanted)
    }
}

/// Reads a query in the plainest way there is. `None` where a quote does not end.
fn read(text: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        if first == '\'' || first == '`' || first == '"' {
            let mut inside = String::new();
            loop {
                let next = rest.next()?;
                if next == '\\' {
                    inside.push(rest.next()?);
                } else if next != first {
                    inside.push(next);
                } else if rest.next_if_eq(&first).is_some() {
                    inside.push(first);
                } else {
                    break;
                }
            }
            let name = inside.to_ascii_lowercase();
            parts.push(if first == '\'' {
                Part::Text
            } else {
                Part::Name(name)
            });
        } else if first.is_ascii_alphanumeric() || first == '_' {
            let mut word = String::from(first.to_ascii_lowercase());
            let belongs =
                |next: &char| next.is_ascii_alphanumeric() || *next == '_' || *next == '$';
            while let Some(next) = rest.next_if(belongs) {
                word.push(next.to_ascii_lowercase());
            }
            parts.push(Part::Word(word));
        } else if !first.is_whitespace() {
            parts.push(Part::Sign(first));
        }
    }
    Some(parts)
}

/// What of that no tenant may run.
fn forbidden(parts: &[Part]) -> Option<&'static str> {
    let sign = |at: usize, wanted: char| parts.get(at) == Some(&Part::Sign(wanted));
    for (at, part) in parts.iter().enumerate() {
        let is_first = at == 0 || !sign(at - 1, '.');
        let next = parts.get(at + 1);
        if sign(at + 1, '(') && (part.is_name("file") || part.is_name("merge")) {
            return Some("a function that reaches the machine");
        }
        if is_first && part.is_name("system") && sign(at + 1, '.') {
            let table = parts.get(at + 2);
            if table.is_some_and(|table| table.is_name("processes")) {
                return Some("other people's queries");
            }
        }
        if part.is_word("into") && next.is_some_and(|next| next.is_word("outfile")) {
            return Some("a file to write");
        }
        if sign(at, ';') {
            return Some("the end of the statement");
        }
    }
    None
}

fuzz_target!(|text: &str| {
    let tenancy = Tenancy {
        project: "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de",
        branch: "main",
    };
    let Ok(approved) = approve(text, &CATALOGUE, tenancy) else {
        return;
    };
    let again = approve(&approved, &CATALOGUE, tenancy);
    assert!(again.is_ok(), "{approved}: {again:?}");
    let parts = read(&approved);
    let parts = parts.unwrap_or_else(|| panic!("a quote does not end: {approved}"));
    assert_eq!(forbidden(&parts), None, "{approved}");
});
