//! The mail catcher of `muniment dev`: keeps the latest messages in memory and shows them at
//! `/dev/mail`, for people as a page and for programs as `/dev/mail.json`.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::response::Html;
use axum::routing::get;
use muniment_domain::Millis;
use serde::Serialize;

use super::templates::{self, Rendered};
use super::transport::Message;
use crate::timestamp;

/// How many messages are kept.
const KEPT: usize = 200;

/// Keeps messages. Cheap to clone.
#[derive(Clone, Default)]
pub struct Catcher(Arc<Mutex<VecDeque<Caught>>>);

impl std::fmt::Debug for Catcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Catcher(..)")
    }
}

/// A message that was caught.
#[derive(Clone, Debug, Serialize)]
pub struct Caught {
    /// When, RFC 3339.
    pub at: String,
    /// Who it came from.
    pub from: String,
    /// The addresses it went to.
    pub to: Vec<String>,
    /// Its subject.
    pub subject: String,
    /// Its plain form.
    pub text: String,
    /// Its HTML form.
    pub html: String,
    /// The short code that it carries, if any.
    pub otp: Option<String>,
    /// The link that it carries, if any.
    pub link: Option<String>,
}

impl Catcher {
    pub(crate) fn keep(&self, message: Message, rendered: &Rendered, at: Millis) {
        tracing::info!(to = ?message.to, subject = message.subject, "mail was caught; see /dev/mail");
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.truncate(KEPT - 1);
        kept.push_front(Caught {
            at: timestamp::format(at),
            from: message.from.to_string(),
            to: message.to,
            subject: message.subject,
            text: message.text,
            html: message.html,
            otp: rendered.otp.clone(),
            link: rendered.link.clone(),
        });
    }

    /// The messages, latest first.
    #[must_use]
    pub fn messages(&self) -> Vec<Caught> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().cloned().collect()
    }

    /// The pages that show them, for a router of any state.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        let catcher = self.clone();
        Router::new()
            .route("/dev/mail", get(page))
            .route("/dev/mail.json", get(list))
            .with_state(catcher)
    }
}

async fn page(State(catcher): State<Catcher>) -> Html<String> {
    let page = templates::mailbox(&catcher.messages());
    Html(page.unwrap_or_else(|error| format!("The page cannot be rendered: {error}")))
}

async fn list(State(catcher): State<Catcher>) -> Json<Vec<Caught>> {
    Json(catcher.messages())
}
