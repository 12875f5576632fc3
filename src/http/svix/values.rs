//! How parameters and times are read, and times shown.

use muniment_domain::Millis;
use serde_json::Value;

use crate::http::request::fields::Checked;
use crate::http::request::input::Form;
use crate::http::request::values::text;
use crate::timestamp;

/// Reads a parameter of the path; `app_id` was checked by [`super::access::Access`].
pub(super) fn param(form: &mut Form<'_>, name: &str) -> Checked<String> {
    let mut params = form.params();
    let value = params.required(name, text);
    params.close_leniently();
    value
}

/// A time in RFC 3339.
pub(super) fn time(value: &Value) -> Result<Millis, String> {
    let text = value.as_str().unwrap_or_default();
    timestamp::parse(text).map_err(|how| format!("must be a time: {how}"))
}

pub(super) fn shown_time(millis: i64) -> String {
    timestamp::format_with_millis(Millis(millis))
}
