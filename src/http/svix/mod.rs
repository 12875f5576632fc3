//! `/app` and `/auth/app-portal-access`: the part of Svix's API with which the dashboard and Svix's
//! own client libraries manage a project's webhooks (contract 07 §11.B). It is a second face of what
//! `/internal/webhooks` does.
//!
//! These routes take no headers of ours, but the token of `POST /webhooks/svix-token`, which stands
//! for one project. Its application has the project's id. Fields that are not known are passed over,
//! because client libraries are newer than servers; what answers have, they have under the names of
//! older and newer libraries.

mod access;
mod applications;
mod attempts;
mod endpoints;
mod error;
mod messages;
mod page;

use muniment_domain::Millis;
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::http::request::input::{Checked, Form, text};
use crate::timestamp;

/// The routes of this folder.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(applications::router())
        .merge(endpoints::router())
        .merge(messages::router())
        .merge(attempts::router())
}

/// Reads a parameter of the path; `app_id` was checked by [`access::Access`].
fn param(form: &mut Form<'_>, name: &str) -> Checked<String> {
    let mut params = form.params();
    let value = params.required(name, text);
    params.close_leniently();
    value
}

/// A time in RFC 3339.
fn time(value: &Value) -> Result<Millis, String> {
    let text = value.as_str().unwrap_or_default();
    timestamp::parse(text).map_err(|how| format!("must be a time: {how}"))
}

fn shown_time(millis: i64) -> String {
    timestamp::format_with_millis(Millis(millis))
}
