//! What the API answers, whole: a change of a status, a header or a body shows in the diff.
//!
//! A test fails when an answer differs from what is kept in `answers/`. If the new one is right:
//! `INSTA_UPDATE=always cargo test --test it snapshots::`, and commit what that changes.
//!
//! Time stands still at an instant far ahead, so times are the same in every run. What is drawn at
//! random has a placeholder, the same wherever it appears in an answer.

mod accounts;
mod dashboard;
mod payments;
mod projects;
mod redaction;
mod teams;
mod webhooks;

use std::fmt::Write;
use std::path::Path;

use muniment::app::QueryErrors;
use muniment::server::Follow;
use serde_json::{Value, json};

use crate::support::{Answer, Call, PASSWORD, TestServer, Tokens, Variant, database};
use redaction::Redaction;

/// When everything happens: 2049-03-22T04:26:40Z. Times of the real clock stand out.
const NOW: i64 = 2_500_000_000_000;
/// An id that nothing has.
const NOBODY: &str = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";
/// The headers that say something about one answer. Those that are on every answer are in one
/// snapshot of all.
const HEADERS: [&str; 5] = [
    "content-type",
    "location",
    "retry-after",
    "x-stack-actual-status",
    "x-stack-known-error",
];

/// A server whose answers are kept.
struct Scene {
    server: TestServer,
    redaction: Redaction,
}

impl Scene {
    /// A server whose answers depend on nothing that runs beside.
    async fn open() -> Self {
        let variant = Variant {
            follow: Follow::Nothing,
            query_errors: QueryErrors::Withheld,
            ..Variant::usual().await
        };
        Self::on(TestServer::start_with(&database().await, variant).await)
    }

    fn on(server: TestServer) -> Self {
        server.clock.advance(NOW - server.clock.now().0);
        let mut redaction = Redaction::default();
        redaction.name("project", &server.project.id);
        redaction.name("nobody", NOBODY);
        Self { server, redaction }
    }

    /// Signs `ada@example.com` up, for example. Nobody else does so in the same second.
    async fn sign_up(&mut self, name: &str) -> Tokens {
        self.server.clock.advance(1000);
        let body = json!({"email": format!("{name}@example.com"), "password": PASSWORD});
        let call = self.server.client("POST", "/auth/password/sign-up");
        let user = Tokens::of(&call.body(body).expect(200).await);
        self.redaction.name(name, &user.user_id);
        user
    }

    /// Makes something by a call that answers with its id.
    async fn make(&mut self, name: &str, call: Call, body: Value) -> String {
        let answer = call.body(body).send().await;
        assert!(answer.status.is_success(), "{}", answer.text);
        let id = answer.json()["id"].as_str().unwrap().to_owned();
        self.redaction.name(name, &id);
        id
    }

    /// Sends, and compares the answer with the one that is kept under that name.
    async fn shows(&self, name: &str, call: Call) {
        let request = call.line();
        let answer = call.send().await;
        let mut text = format!("{request}\n\n{}\n", answer.status);
        for header in HEADERS
            .iter()
            .filter(|name| !answer.header(name).is_empty())
        {
            writeln!(text, "{header}: {}", answer.header(header)).unwrap();
        }
        write!(text, "\n{}", body_of(&answer)).unwrap();
        self.compare(name, &text);
    }

    fn compare(&self, name: &str, text: &str) {
        assert_kept(name, &self.redaction.apply(text));
    }
}

/// The body with the keys of objects in order.
fn body_of(answer: &Answer) -> String {
    match serde_json::from_str::<Value>(&answer.text) {
        Ok(body) => serde_json::to_string_pretty(&body).unwrap(),
        Err(_) => answer.text.clone(),
    }
}

fn assert_kept(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("answers");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[tokio::test]
async fn the_reference() {
    let scene = Scene::open().await;
    let answer = scene.server.page("GET", "/openapi.json").send().await;
    assert_eq!(answer.status, 200);
    // Nothing in it differs from run to run, so nothing is replaced.
    assert_kept("openapi", &body_of(&answer));
}

#[tokio::test]
async fn the_headers_of_every_answer() {
    let scene = Scene::open().await;
    let answer = scene.server.client("GET", "/projects/current").send().await;
    let headers = answer.headers.iter();
    let mut headers: Vec<String> = headers
        .filter(|(name, _)| !["date", "content-length"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    let request_id = answer.header("x-stack-request-id");
    let headers = headers.join("\n").replace(request_id, "[request]");
    scene.compare("headers", &headers);
}

/// An answer that no test asks for any more is compared with nothing.
#[test]
fn every_kept_answer_is_asked_for() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/snapshots");
    let names = |folder: &Path, ending: &str| {
        let entries = std::fs::read_dir(folder).unwrap();
        let names = entries.map(|it| it.unwrap().file_name().into_string().unwrap());
        let names = names.filter_map(|name| Some(name.strip_suffix(ending)?.to_owned()));
        names.collect::<Vec<_>>()
    };
    let sources = names(&folder, ".rs").into_iter();
    let sources = sources.map(|name| std::fs::read_to_string(folder.join(name + ".rs")).unwrap());
    let sources: String = sources.collect();
    let kept = names(&folder.join("answers"), ".snap");
    assert!(kept.len() > 30);
    for name in kept {
        assert!(sources.contains(&format!("\"{name}\"")), "{name}.snap");
    }
}
