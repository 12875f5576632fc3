//! The checker of tenants' queries: `cargo +nightly fuzz run statement`.
//!
//! It never panics, and what it lets through still passes when it comes out: the text that is run
//! is one that was checked.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use muniment::analytics_engine::child::statement::{Catalogue, Kind, Listed, Tenancy, approve};

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

fuzz_target!(|text: &str| {
    let tenancy = Tenancy {
        project: "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de",
        branch: "main",
    };
    if let Ok(approved) = approve(text, &CATALOGUE, tenancy) {
        assert!(approve(&approved, &CATALOGUE, tenancy).is_ok(), "{approved}");
    }
});
