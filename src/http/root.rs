//! `/`, `/check-version` and `/check-feature-support`: small things about the API itself.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use muniment_event_store::AccessType;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::ApiResult;
use crate::http::request::body::Body;
use crate::http::request::caller::{Auth, Caller};
use crate::http::request::input::Input;
use crate::http::request::values::text;

/// The oldest version of the SDK that can talk to this server at all.
const OLDEST_SDK: [u64; 3] = [2, 8, 57];
/// The version of the SDK that this server is made for.
const COMPATIBLE_SDK: [u64; 3] = [2, 8, 108];

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(welcome))
        .routes(routes!(check_version))
        .routes(routes!(check_feature_support))
}

/// A welcome that tells callers how they are authenticated.
#[utoipa::path(get, path = "/", tag = "root", responses((status = 200, description = "A text")))]
pub(super) async fn welcome(State(_): State<App>, caller: Caller, input: Input) -> ApiResult {
    input.form(caller.user_id()).no_query().finish(Some(()))?;
    let authentication = caller.auth().map_or_else(|| "None".to_owned(), describe);
    Ok(plain(format!(
        "This is Muniment, serving the Stack Auth REST API.\n\n\
         Documentation: /docs\n\nAuthentication: {authentication}"
    )))
}

fn describe(auth: &Auth) -> String {
    let access = match auth.access_type {
        AccessType::Client => "Client",
        AccessType::Server => "Server",
        AccessType::Admin => "Admin",
    };
    let user = auth.user().map_or_else(
        || "None".to_owned(),
        |record| {
            record
                .user
                .primary_email
                .clone()
                .unwrap_or_else(|| record.user.id.to_string())
        },
    );
    format!("{access}\n  Project: {}\n  User: {user}", auth.project_id())
}

/// Whether a version of the SDK fits this server.
#[utoipa::path(post, path = "/check-version", tag = "root", request_body = Value,
    responses((status = 200, description = "`{upToDate}`, and what is wrong if it is not"), (status = 400, description = "SCHEMA_ERROR")))]
async fn check_version(caller: Caller, input: Input) -> ApiResult {
    let mut form = input.form(caller.user_id());
    let version = form.body().required("clientVersion", text);
    let version = form.finish(version)?;
    let outdated = |error: String, severe: bool| {
        Json(json!({"upToDate": false, "error": error, "severe": severe})).into_response()
    };
    let Some(parsed) = parse_version(&version) else {
        return Ok(outdated(
            format!("{version} is not a version. Send major.minor.patch."),
            true,
        ));
    };
    let made_for = COMPATIBLE_SDK.map(|part| part.to_string()).join(".");
    if parsed < OLDEST_SDK || parsed[..2] != COMPATIBLE_SDK[..2] {
        return Ok(outdated(
            format!("Version {version} does not fit this server. Use {made_for}."),
            true,
        ));
    }
    if parsed < COMPATIBLE_SDK {
        return Ok(outdated(
            format!("Version {version} is out of date. Update to {made_for}."),
            false,
        ));
    }
    Ok(Json(json!({"upToDate": true})).into_response())
}

/// `major.minor.patch`; what follows a `-` or `+` does not matter here.
fn parse_version(text: &str) -> Option<[u64; 3]> {
    let core = text.split(['-', '+']).next()?;
    let parts: Option<Vec<u64>> = core.split('.').map(|part| part.parse().ok()).collect();
    parts?.try_into().ok()
}

/// Says that a feature is not supported, in words that the SDK shows to its user.
#[utoipa::path(post, path = "/check-feature-support", tag = "root", request_body = Value,
    responses((status = 200, description = "A text")))]
async fn check_feature_support(_caller: Caller, input: Input) -> ApiResult {
    let feature = match &input.body {
        Body::Json(body) => body.get("feature_name").and_then(Value::as_str),
        _ => None,
    };
    let feature = feature.unwrap_or("This feature");
    Ok(plain(format!(
        "{feature} is not supported by this server yet. Check whether there is a newer version of Muniment."
    )))
}

fn plain(text: String) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}
