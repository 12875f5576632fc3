//! `/internal/config`: settings as their documents (contract 04 §4.5).
//!
//! A first piece: reading and merging the override documents of the three levels. Which settings
//! they may hold is [`schema`]'s to say.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::project::{Level, ProjectCommand, schema};
use muniment_projections::{AccessType, projects};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::{Auth, Caller};
use super::error::{ApiError, ApiResult};
use super::input::{Fields, Input, has_nul, one_of, text};
use super::known_error::KnownError;
use super::success;
use crate::app::App;
use crate::app::projects as app_projects;

/// The longest document that is taken, in bytes.
const MAX_DOCUMENT: usize = 1_000_000;

/// The routes of this file.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read, merge))
}

/// The override document of a level, as text.
#[utoipa::path(get, path = "/internal/config/override/{level}", tag = "internal", params(("level" = String, Path)),
    responses((status = 200, description = "`{config_string}`"), (status = 400, description = "SCHEMA_ERROR"), (status = 403, description = "A server key, and another level than `branch`")))]
async fn read(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.server()?;
    let mut form = input.form(auth.user_id()).no_query();
    let level = level(&mut form.params());
    let level = form.finish(level)?;
    check_access(auth, level)?;
    let row = projects::by_id(app.pool(), auth.project_id()).await?;
    let row = row.ok_or_else(|| KnownError::current_project_not_found(auth.project_id()))?;
    let document = Value::Object(row.overrides()?.document(level));
    Ok(Json(json!({"config_string": document.to_string()})).into_response())
}

/// Merges settings into the override document of a level: a key replaces what is stored under it
/// and below it. They take effect with the next request.
#[utoipa::path(patch, path = "/internal/config/override/{level}", tag = "internal", params(("level" = String, Path)), request_body = Value,
    responses((status = 200, description = "Merged"), (status = 400, description = "SCHEMA_ERROR, or a sentence that names the setting"), (status = 403, description = "A server key, and another level than `branch`")))]
async fn merge(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.server()?;
    let mut form = input.form(auth.user_id()).no_query();
    let level = level(&mut form.params());
    let mut body = form.body();
    let document = body.required("config_override_string", text);
    body.close();
    let (level, document) = form.finish((|| Some((level?, document?)))())?;
    check_access(auth, level)?;
    let changes = parse(&document)?;
    schema::check(level, &changes)
        .map_err(|violation| ApiError::text(StatusCode::BAD_REQUEST, violation.to_string()))?;
    let context = caller.event_context(&app, auth.project_id());
    let command = ProjectCommand::Override { level, changes };
    app_projects::change(&app, &context, auth.project_id(), vec![command]).await?;
    Ok(success())
}

fn level(params: &mut Fields<'_>) -> Option<Level> {
    Some(
        match params.required("level", one_of(&["project", "branch", "environment"]))? {
            "project" => Level::Project,
            "branch" => Level::Branch,
            _ => Level::Environment,
        },
    )
}

/// Servers push configuration kept as code, and nothing else.
fn check_access(auth: &Auth, level: Level) -> Result<(), ApiError> {
    if auth.access == AccessType::Admin || level == Level::Branch {
        return Ok(());
    }
    let text = "With a server key, only the level branch can be read and written.";
    Err(ApiError::text(StatusCode::FORBIDDEN, text))
}

fn parse(document: &str) -> Result<Map<String, Value>, ApiError> {
    let refuse = |text: String| ApiError::text(StatusCode::BAD_REQUEST, text);
    if document.len() > MAX_DOCUMENT {
        let text = format!("config_override_string must have at most {MAX_DOCUMENT} bytes.");
        return Err(refuse(text));
    }
    let value: Value = serde_json::from_str(document)
        .map_err(|error| refuse(format!("config_override_string is not JSON: {error}")))?;
    match value {
        // Postgres cannot store a NUL, not even within JSON.
        value if has_nul(&value) => Err(refuse(
            "config_override_string contains a NUL character, which cannot be stored.".to_owned(),
        )),
        Value::Object(object) => Ok(object),
        _ => Err(refuse(
            "config_override_string must be a JSON object.".to_owned(),
        )),
    }
}
