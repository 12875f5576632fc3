//! Decisions rest on what is compared at the commit: units of work ask read models by
//! `UnitOfWork::list`, or for what follows from a stream that they have looked at.

use std::collections::BTreeMap;

use super::WORKSPACE;

/// Where units of work ask a read model directly, how often, and why that holds at the commit.
const ASKED_AFTER_A_LOOK: [(&str, usize, &str); 5] = [
    (
        "src/app/authorization.rs",
        2,
        "grants are on the team's stream, the owner on the project's",
    ),
    (
        "src/app/conversations.rs",
        1,
        "whether the user, who was looked at, is of this project",
    ),
    (
        "src/app/payments/customers.rs",
        2,
        "changes are on the customer's stream",
    ),
    (
        "src/app/auth/code_grounds.rs",
        4,
        "which account to look at; codes that others void find out",
    ),
    ("src/app/auth/cli_login.rs", 1, "which session to look at"),
];

#[test]
fn units_of_work_do_not_ask_the_pool() {
    let mut asked = BTreeMap::new();
    let mut wrong = Vec::new();
    let files = WORKSPACE.files.iter();
    for (file, text) in files.filter(|(file, _)| file.starts_with("src/app/")) {
        let count = text.matches("unit.log().pool()").count();
        if count > 0 {
            asked.insert(file.clone(), count);
        }
        for decision in decisions(text) {
            if decision.contains("app.pool()") {
                wrong.push(format!(
                    "{file}: {}",
                    decision.lines().next().unwrap_or_default()
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "these decide on what a pool says:\n{}",
        wrong.join("\n")
    );
    let known = ASKED_AFTER_A_LOOK.into_iter();
    let known: BTreeMap<_, _> = known
        .map(|(file, count, _)| (file.to_owned(), count))
        .collect();
    assert_eq!(asked, known);
}

/// The bodies of closures that decide a unit, and of functions that are handed one.
fn decisions(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (start, opening, closing) in [
        (".transact(", '(', ')'),
        ("unit: &mut UnitOfWork", '{', '}'),
    ] {
        for (at, _) in text.match_indices(start) {
            let from = &text[at..];
            let Some(begin) = from.find(opening) else {
                continue;
            };
            let mut depth = 0_usize;
            let end = from[begin..].char_indices().find(|(_, it)| {
                if *it == opening {
                    depth += 1;
                } else if *it == closing {
                    depth -= 1;
                }
                depth == 0
            });
            if let Some((length, _)) = end {
                found.push(&from[..begin + length]);
            }
        }
    }
    found
}

#[test]
fn decisions_are_found() {
    let text = "log.transact(context, |mut unit| async { app.pool(); });
                async fn f(unit: &mut UnitOfWork) { if x { y } app.pool() }
                fn g() { app.pool() }";
    let found = decisions(text);
    assert_eq!(
        found.iter().filter(|it| it.contains("app.pool()")).count(),
        2
    );
}
