//! `/internal/config`: settings as their documents.
//!
//! Which settings they may hold, and what they mean, is [`muniment_domain::project::schema`]'s to say.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::project::{ConfigSource, Level, ProjectCommand, legacy_overrides, validation};
use muniment_event_store::{AccessType, LedgerError};
use muniment_projections::read_models::projects::{self, ProjectRow};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::projects as app_projects;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::success;
use crate::http::request::access::{AdminAccess, ProjectAccess, ServerAccess};
use crate::http::request::caller::Auth;
use crate::http::request::fields::{Fields, has_nul};
use crate::http::request::input::Input;
use crate::http::request::values::{one_of, text};

/// The longest document that is taken, in bytes. Bodies of requests are limited to as much.
const MAX_DOCUMENT: usize = 1_000_000;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(rendered))
        .routes(routes!(read, replace, merge))
        .routes(routes!(reset))
        .routes(routes!(source, unlink))
}

/// The configuration in effect, as text: a `ProjectConfig` in JSON.
#[utoipa::path(get, path = "/internal/config", tag = "internal", responses((status = 200, description = "`{config_string}`")))]
async fn rendered(access: AdminAccess, input: Input) -> ApiResult {
    access.form(&input).no_query().finish(Some(()))?;
    let project = access.app.projects.find_now(access.project_id()).await?;
    let project =
        project.ok_or_else(|| KnownError::current_project_not_found(access.project_id()))?;
    let text = serde_json::to_string(&project.config).map_err(LedgerError::from)?;
    Ok(Json(json!({"config_string": text})).into_response())
}

/// The override document of a level, as text.
#[utoipa::path(get, path = "/internal/config/override/{level}", tag = "internal", params(("level" = String, Path)),
    responses((status = 200, description = "`{config_string}`"), (status = 400, description = "SCHEMA_ERROR"), (status = 403, description = "A server key, and another level than `branch`")))]
async fn read(access: ServerAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let level = level(&mut form.params(), &LEVELS);
    let level = form.finish(level)?;
    check_access(&access, level)?;
    let document = Value::Object(row(&access).await?.overrides()?.document(level));
    Ok(Json(json!({"config_string": document.to_string()})).into_response())
}

/// Puts another document in the place of the one of a level. A document of the level `branch`
/// says where it comes from.
#[utoipa::path(put, path = "/internal/config/override/{level}", tag = "internal", params(("level" = String, Path)), request_body = Value,
    responses((status = 200, description = "Replaced"), (status = 400, description = "SCHEMA_ERROR, or a sentence that names the setting"), (status = 403, description = "A server key, and another level than `branch`")))]
async fn replace(access: ServerAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let level = level(&mut form.params(), &LEVELS);
    let mut body = form.body();
    let document = body.required("config_string", text);
    let source = body.optional_object("source", read_source);
    body.close();
    let (level, document, source) = form.finish((|| Some((level?, document?, source?)))())?;
    check_access(&access, level)?;
    let document = parse(level, "config_string", &document)?;
    let source = match level {
        Level::Branch => Some(source.ok_or_else(missing_source)?),
        Level::Project | Level::Environment => None,
    };
    let command = ProjectCommand::ReplaceOverrides {
        level,
        document,
        source,
    };
    change(&access, command).await
}

/// Merges settings into the override document of a level: a key replaces what is stored under it
/// and below it. They take effect with the next request.
#[utoipa::path(patch, path = "/internal/config/override/{level}", tag = "internal", params(("level" = String, Path)), request_body = Value,
    responses((status = 200, description = "Merged"), (status = 400, description = "SCHEMA_ERROR, or a sentence that names the setting"), (status = 403, description = "A server key, and another level than `branch`")))]
async fn merge(access: ServerAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let level = level(&mut form.params(), &LEVELS);
    let mut body = form.body();
    let document = body.required("config_override_string", text);
    body.close();
    let (level, document) = form.finish((|| Some((level?, document?)))())?;
    check_access(&access, level)?;
    let changes = parse(level, "config_override_string", &document)?;
    let command = ProjectCommand::Override { level, changes };
    change(&access, command).await
}

/// Takes keys out of the override document of a level, with everything below them.
#[utoipa::path(post, path = "/internal/config/override/{level}/reset-keys", tag = "internal", params(("level" = String, Path)), request_body = Value,
    responses((status = 200, description = "Reset"), (status = 400, description = "SCHEMA_ERROR")))]
async fn reset(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let level = level(&mut form.params(), &LEVELS[1..]);
    let mut body = form.body();
    let keys = body.required_values("keys", text);
    body.close();
    let (level, keys) = form.finish((|| Some((level?, keys?)))())?;
    let command = ProjectCommand::ResetOverrides { level, keys };
    change(&access, command).await
}

/// Where the configuration kept as code comes from.
#[utoipa::path(get, path = "/internal/config/source", tag = "internal", responses((status = 200, description = "`{source}`")))]
async fn source(access: AdminAccess, input: Input) -> ApiResult {
    access.form(&input).no_query().finish(Some(()))?;
    let source = row(&access).await?.config_source()?;
    Ok(Json(json!({"source": source})).into_response())
}

/// Forgets where the configuration kept as code came from. The settings stay.
#[utoipa::path(delete, path = "/internal/config/source", tag = "internal", responses((status = 200, description = "Unlinked")))]
async fn unlink(access: AdminAccess, input: Input) -> ApiResult {
    access.form(&input).no_query().finish(Some(()))?;
    change(&access, ProjectCommand::UnlinkConfig).await
}

async fn row(access: &ProjectAccess) -> Result<ProjectRow, ApiError> {
    let row = projects::by_id(access.app.pool(), access.project_id()).await?;
    row.ok_or_else(|| KnownError::current_project_not_found(access.project_id()).into())
}

async fn change(access: &ProjectAccess, command: ProjectCommand) -> ApiResult {
    app_projects::change(
        &access.app,
        access.event_context(),
        access.project_id(),
        vec![command],
    )
    .await?;
    Ok(success())
}

/// The levels that have a document; the first cannot be reset.
const LEVELS: [&str; 3] = ["project", "branch", "environment"];

fn level(params: &mut Fields<'_>, levels: &'static [&'static str]) -> Option<Level> {
    Some(match params.required("level", one_of(levels))? {
        "project" => Level::Project,
        "branch" => Level::Branch,
        _ => Level::Environment,
    })
}

fn read_source(fields: &mut Fields<'_>) -> Option<ConfigSource> {
    const KINDS: [&str; 3] = ["pushed-from-github", "pushed-from-unknown", "unlinked"];
    match fields.required("type", one_of(&KINDS))? {
        "pushed-from-unknown" => return Some(ConfigSource::PushedFromUnknown),
        "unlinked" => return Some(ConfigSource::Unlinked),
        _ => {}
    }
    let owner = fields.required("owner", text);
    let repo = fields.required("repo", text);
    let branch = fields.required("branch", text);
    let commit_hash = fields.required("commit_hash", text);
    let config_file_path = fields.required("config_file_path", text);
    Some(ConfigSource::PushedFromGithub {
        owner: owner?,
        repo: repo?,
        branch: branch?,
        commit_hash: commit_hash?,
        config_file_path: config_file_path?,
    })
}

fn missing_source() -> ApiError {
    let text = "source is required: it says where the document of the level branch comes from.";
    ApiError::text(StatusCode::BAD_REQUEST, text)
}

/// Servers push configuration kept as code, and nothing else.
fn check_access(auth: &Auth, level: Level) -> Result<(), ApiError> {
    if auth.access_type == AccessType::Admin || level == Level::Branch {
        return Ok(());
    }
    let text = "With a server key, only the level branch can be read and written.";
    Err(ApiError::text(StatusCode::FORBIDDEN, text))
}

/// Reads a document, brings former names up to date, and checks it.
fn parse(level: Level, field: &str, document: &str) -> Result<Map<String, Value>, ApiError> {
    let refuse = |text: String| ApiError::text(StatusCode::BAD_REQUEST, text);
    if document.len() > MAX_DOCUMENT {
        let text = format!("{field} must have at most {MAX_DOCUMENT} bytes.");
        return Err(refuse(text));
    }
    let value: Value = serde_json::from_str(document)
        .map_err(|error| refuse(format!("{field} is not JSON: {error}")))?;
    let document = match value {
        // Postgres cannot store a NUL, not even within JSON.
        value if has_nul(&value) => {
            let text = format!("{field} contains a NUL character, which cannot be stored.");
            return Err(refuse(text));
        }
        Value::Object(object) => object,
        _ => return Err(refuse(format!("{field} must be a JSON object."))),
    };
    let document = legacy_overrides::bring_up_to_date(level, document);
    validation::check(level, &document).map_err(|violation| refuse(violation.to_string()))?;
    Ok(document)
}
