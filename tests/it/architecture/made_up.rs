//! The reader of the source, tried on sources that were made up for it.

use super::graph::{CrateRoot, Files, Graph};
use super::source::Source;

/// Reads crates: the name of each, and its files with what is in them.
fn read(crates: &[(&str, &[(&str, &str)])]) -> Graph {
    let mut files = Files::new();
    let mut roots = Vec::new();
    for (name, sources) in crates {
        for (file, text) in *sources {
            files.insert(format!("{name}/src/{file}"), (*text).to_owned());
        }
        let (name, file) = ((*name).to_owned(), format!("{name}/src/lib.rs"));
        roots.push(CrateRoot { name, file });
    }
    Graph::read(&files, &roots)
}

/// The arrows of a crate `a`.
fn arrows(sources: &[(&str, &str)]) -> Vec<String> {
    let graph = read(&[("a", sources)]);
    let arrows = graph.arrows.iter().map(ToString::to_string);
    arrows.map(|arrow| arrow.replace("a/src/", "")).collect()
}

const SHOP: &str = "pub mod goods; mod till;";

#[test]
fn declaring_modules_is_no_use_of_them() {
    let files = [
        ("lib.rs", SHOP),
        ("goods.rs", ""),
        ("till/mod.rs", "mod coins;"),
        ("till/coins.rs", ""),
    ];
    assert_eq!(arrows(&files), Vec::<String>::new());
}

#[test]
fn imports_lead_to_the_deepest_module_on_their_path() {
    let files = [
        ("lib.rs", SHOP),
        ("goods.rs", "pub struct Apple; pub enum Size { Small }"),
        (
            "till/mod.rs",
            "pub mod coins; use crate::{goods::{self as wares, Apple, Size::*}, till::{coins::{Coin, *}}};",
        ),
        (
            "till/coins.rs",
            "pub struct Coin; use super::super::goods; use self::Coin as Penny;",
        ),
    ];
    assert_eq!(
        arrows(&files),
        [
            "till/coins.rs -> goods.rs: goods",
            "till/mod.rs -> goods.rs: Apple",
            "till/mod.rs -> goods.rs: Size",
            "till/mod.rs -> goods.rs: goods",
            "till/mod.rs -> till/coins.rs: Coin",
            "till/mod.rs -> till/coins.rs: coins",
        ]
    );
}

#[test]
fn paths_inside_of_code_are_uses_too() {
    let files = [
        ("lib.rs", SHOP),
        (
            "goods.rs",
            "pub fn count() {} pub mod fruit { pub fn peel() {} }",
        ),
        (
            "till/mod.rs",
            r#"mod coins;
            use crate::goods as wares;
            // crate::goods::in_a_comment
            const TEXT: &str = "crate::goods::in_a_string";
            fn pay() -> Vec<coins::Coin> { vec![crate::goods::count(), wares::fruit::peel()] }
            pub(in crate::till) fn give() { std::mem::drop(1); Self::pay() }"#,
        ),
        ("till/coins.rs", "pub struct Coin;"),
    ];
    assert_eq!(
        arrows(&files),
        [
            "till/mod.rs -> goods.rs: count",
            "till/mod.rs -> goods.rs: goods",
            "till/mod.rs -> goods.rs: peel",
            "till/mod.rs -> till/coins.rs: Coin",
        ]
    );
}

#[test]
fn a_name_handed_on_is_used_from_the_module_that_hands_it_on() {
    let files = [
        ("lib.rs", "pub mod goods; mod till; pub use till::Coin;"),
        (
            "goods.rs",
            "use crate::till::Coin; use crate::Coin as Same;",
        ),
        ("till/mod.rs", "mod coins; pub use coins::Coin;"),
        (
            "till/coins.rs",
            "pub struct Coin; impl super::Worth for Coin {}",
        ),
    ];
    // The root stands in nobody's way.
    assert_eq!(
        arrows(&files),
        [
            "goods.rs -> till/mod.rs: Coin",
            "lib.rs -> till/mod.rs: Coin",
            "till/coins.rs -> till/mod.rs: Worth",
            "till/mod.rs -> till/coins.rs: Coin",
        ]
    );
}

#[test]
fn crates_use_one_another() {
    let graph = read(&[
        (
            "a",
            &[(
                "lib.rs",
                "use b::inner::{Thing, Other}; fn f() { b::Handed::on() }",
            )],
        ),
        (
            "b",
            &[
                ("lib.rs", "pub mod inner; pub use inner::Thing as Handed;"),
                ("inner.rs", "pub struct Thing; pub type Other = Thing;"),
            ],
        ),
    ]);
    let arrows: Vec<String> = graph.arrows.iter().map(ToString::to_string).collect();
    assert_eq!(
        arrows,
        [
            "a/src/lib.rs -> b/src/inner.rs: Other",
            "a/src/lib.rs -> b/src/inner.rs: Thing",
            "b/src/lib.rs -> b/src/inner.rs: Thing",
        ]
    );
}

#[test]
fn what_only_tests_compile_is_left_out() {
    let till = "mod coins;
        #[cfg(test)]
        use crate::{goods::Apple, goods::Pear};
        #[test]
        fn sells() {
            crate::goods::sell();
        }
        fn generic<A, B>() { #[cfg(not(test))] crate::goods::count(); }
        #[cfg(all(test, unix))]
        mod tests { use crate::goods::Plum; }
        #[cfg(test)]
        mod more_tests;";
    let graph = read(&[(
        "a",
        &[
            ("lib.rs", SHOP),
            ("goods.rs", "fn count() {}"),
            ("till/mod.rs", till),
            ("till/coins.rs", ""),
            ("till/more_tests.rs", "use crate::goods::Nut;"),
        ],
    )]);
    let arrows: Vec<String> = graph.arrows.iter().map(ToString::to_string).collect();
    assert_eq!(arrows, ["a/src/till/mod.rs -> a/src/goods.rs: count"]);
    assert!(graph.for_tests.contains("a/src/till/more_tests.rs"));
    assert_eq!(graph.lines["a/src/till/mod.rs"], 2);
}

#[test]
fn paths_that_lead_nowhere_are_told() {
    let files = [
        ("lib.rs", SHOP),
        (
            "goods.rs",
            "pub const fn count() {} macro_rules! sell { () => {} } fruits! { struct Apple; }",
        ),
        (
            "till/mod.rs",
            "use crate::goods::{count, sell, Apple, Missing}; use crate::nothing::At; use std::fmt;",
        ),
    ];
    let graph = read(&[("a", &files)]);
    assert_eq!(graph.rooted, 5);
    assert_eq!(
        graph.unresolved,
        [
            "a/src/till/mod.rs: crate::goods::Missing",
            "a/src/till/mod.rs: crate::nothing::At",
        ]
    );
}

#[test]
fn circles_are_found_and_nothing_beside_them() {
    let graph = read(&[(
        "a",
        &[
            ("lib.rs", "mod a; mod b; mod c; mod d; mod e; mod f;"),
            ("a.rs", "use crate::b::X;"),
            ("b.rs", "use crate::c::X; use crate::d::X;"),
            ("c.rs", "use crate::a::X;"),
            ("d.rs", "use crate::e::X;"),
            ("e.rs", "use crate::d::X;"),
            ("f.rs", "use crate::a::X;"),
        ],
    )]);
    let circles = graph.circles();
    let files: Vec<Vec<&&str>> = circles.iter().map(|it| it.iter().collect()).collect();
    assert_eq!(
        files,
        [
            vec![&"a/src/a.rs", &"a/src/b.rs", &"a/src/c.rs"],
            vec![&"a/src/d.rs", &"a/src/e.rs"],
        ]
    );
    let arrows = graph.within(&circles[0]).into_iter();
    let arrows: Vec<String> = arrows.map(ToString::to_string).collect();
    assert_eq!(
        arrows,
        [
            "a/src/a.rs -> a/src/b.rs: X",
            "a/src/b.rs -> a/src/c.rs: X",
            "a/src/c.rs -> a/src/a.rs: X",
        ]
    );
}

#[test]
fn comments_and_literals_are_passed_over() {
    let goods = r##"
        /* crate::till::a /* crate::till::b */ crate::till::c */
        // crate::till::d
        /// [`crate::till::e`]
        const F: &[&str] = &["crate::till::f \" crate::till::g", r#"" crate::till::h"#, "\\"];
        const I: &[char] = &['"', '\'', '\\', '\u{41}', 'é', '{'];
        fn j<'a>(k: &'a [u8]) -> impl Fn() + use<'a> { let _ = (b'"', br"\", 1.5e3, 0..1, k); || () }
        fn r#type() { crate::till::last() }
    "##;
    let files = [
        ("lib.rs", SHOP),
        ("goods.rs", goods),
        ("till/mod.rs", "pub fn last() {}"),
    ];
    assert_eq!(arrows(&files), ["goods.rs -> till/mod.rs: last"]);
}

#[test]
fn lines_of_tests_are_not_counted() {
    let text = "//! Head.\n\nfn f() {}\n\n#[cfg(test)]\nmod tests {\n    use super::*;\n}\n";
    assert_eq!(Source::read(text).lines, 4);
}
