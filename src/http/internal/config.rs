//! `/internal/config`: settings as their documents.
//!
//! Which settings they may hold, and what they mean, is [`muniment_domain::project::schema`]'s to say.

use axum::Json;
use axum::http::StatusCode;
use muniment_domain::project::{ConfigSource, Level, ProjectCommand, legacy_overrides, validation};
use muniment_event_store::{AccessType, LedgerError};
use muniment_projections::read_models::projects::{self, ProjectRow};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::shapes::by_type;
use crate::app::App;
use crate::app::projects as app_projects;
use crate::error::codes::{CurrentProjectNotFound, Errors, Text};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::Success;
use crate::http::openapi::operations;
use crate::http::request::access::{AdminAccess, ProjectAccess, ServerAccess};
use crate::http::request::caller::Auth;
use crate::http::request::declare::{NoInput, fields, request};
use crate::http::request::fields::has_nul;
use crate::http::request::presence::{optional, required};
use crate::http::request::shape::scalars::{choice, one_of, text};
use crate::http::request::shape::{Shape, list_of};

/// The longest document that is taken, in bytes. Bodies of requests are limited to as much.
const MAX_DOCUMENT: usize = 1_000_000;

/// The levels that have a document; the first cannot be reset.
const LEVELS: [(&str, Level); 3] = [
    ("project", Level::Project),
    ("branch", Level::Branch),
    ("environment", Level::Environment),
];

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(get_config))
        .routes(operations!(
            get_config_override,
            replace_config_override,
            update_config_override
        ))
        .routes(operations!(reset_config_override_keys))
        .routes(operations!(get_config_source, unlink_config_source))
}

request! {
    /// A level that is named.
    struct NamedLevel {
        path {
            .. named: LevelPath;
        }
    }

    /// A document to put in the place of the one of a level.
    struct ReplaceConfigOverride {
        path {
            .. named: LevelPath;
        }
        body {
            /// The document, as text: an object in JSON, with settings under their dotted names. At most
            /// 1,000,000 bytes.
            config_string: String = required(text());
            /// Where the document comes from. A document of the level `branch` must say so; of other levels
            /// it is not kept.
            source: Option<ConfigSource> = optional(config_source());
        }
        example {
            "config_string": "{\"teams.allowClientTeamCreation\": true}",
            "source": {"type": "unlinked"},
        }
    }

    /// Settings to merge into the document of a level.
    struct UpdateConfigOverride {
        path {
            .. named: LevelPath;
        }
        body {
            /// The settings, as text: an object in JSON, with settings under their dotted names. Null
            /// stands for a setting's default, or takes an entry out. At most 1,000,000 bytes.
            config_override_string: String = required(text());
        }
        example {"config_override_string": "{\"teams.allowClientTeamCreation\": true}"}
    }

    /// Keys to take out of the document of a level.
    struct ResetConfigOverrideKeys {
        path {
            /// The level whose document is meant.
            level: Level = required(choice(&LEVELS[1..]));
        }
        body {
            /// The dotted names of settings, or of groups of settings.
            keys: Vec<String> = required(list_of(text()));
        }
        example {"keys": ["teams.allowClientTeamCreation"]}
    }
}

fields! {
    /// What names a level in a path.
    struct LevelPath {
        /// The level whose document is meant. With a server key, only `branch` can be.
        level: Level = required(choice(&LEVELS));
    }

    /// A place in a repository at GitHub.
    struct GithubSource {
        /// What sort of place it is.
        _kind as "type": &'static str = required(one_of(&[GITHUB]));
        /// The owner of the repository.
        owner: String = required(text());
        /// The repository's name.
        repo: String = required(text());
        /// The branch that was pushed from.
        branch: String = required(text());
        /// The commit that was pushed.
        commit_hash: String = required(text());
        /// The path of the configuration file in the repository.
        config_file_path: String = required(text());
    }

    /// Any other place.
    struct OtherSource {
        /// What sort of place it is.
        kind as "type": &'static str = required(one_of(&SOURCES).described(|| json!({"enum": SOURCES[1..]})));
    }
}

const GITHUB: &str = "pushed-from-github";

/// The sorts of places where configuration kept as code comes from.
const SOURCES: [&str; 3] = [GITHUB, "pushed-from-unknown", UNLINKED];

const UNLINKED: &str = "unlinked";

fn config_source() -> impl Shape<Value = ConfigSource> {
    by_type(
        GITHUB,
        (
            |github: GithubSource| ConfigSource::PushedFromGithub {
                owner: github.owner,
                repo: github.repo,
                branch: github.branch,
                commit_hash: github.commit_hash,
                config_file_path: github.config_file_path,
            },
            |other: OtherSource| match other.kind {
                UNLINKED => ConfigSource::Unlinked,
                _ => ConfigSource::PushedFromUnknown,
            },
        ),
    )
}

/// A configuration, or a part of one.
#[derive(Serialize, ToSchema)]
struct ConfigText {
    /// An object in JSON, as text.
    config_string: String,
}

impl ConfigText {
    fn of(config: &impl Serialize) -> ApiResult<Json<Self>> {
        let config_string = serde_json::to_string(config).map_err(LedgerError::from)?;
        Ok(Json(Self { config_string }))
    }
}

/// Where the configuration kept as code comes from.
#[derive(Serialize, ToSchema)]
struct LinkedConfig {
    source: ConfigSourceView,
}

/// A place where configuration comes from.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum ConfigSourceView {
    /// A repository at GitHub.
    PushedFromGithub {
        branch: String,
        commit_hash: String,
        /// The path of the configuration file in the repository.
        config_file_path: String,
        /// The owner of the repository.
        owner: String,
        /// The repository's name.
        repo: String,
    },
    /// A place that is not known.
    PushedFromUnknown,
    /// None: the configuration is edited in the dashboard.
    Unlinked,
}

impl From<ConfigSource> for ConfigSourceView {
    fn from(source: ConfigSource) -> Self {
        match source {
            ConfigSource::PushedFromGithub {
                owner,
                repo,
                branch,
                commit_hash,
                config_file_path,
            } => Self::PushedFromGithub {
                branch,
                commit_hash,
                config_file_path,
                owner,
                repo,
            },
            ConfigSource::PushedFromUnknown => Self::PushedFromUnknown,
            ConfigSource::Unlinked => Self::Unlinked,
        }
    }
}

/// Shows the configuration in effect.
///
/// It is a `ProjectConfig` in JSON, as text.
#[utoipa::path(get, path = "/internal/config", tag = "internal", responses(Errors<CurrentProjectNotFound>))]
async fn get_config(access: AdminAccess, _: NoInput) -> ApiResult<Json<ConfigText>> {
    let project = access.app.projects.find_now(access.project_id()).await?;
    let project =
        project.ok_or_else(|| KnownError::current_project_not_found(access.project_id()))?;
    ConfigText::of(&project.config)
}

/// Shows the override document of a level.
#[utoipa::path(get, path = "/internal/config/override/{level}", tag = "internal",
    responses(Errors<(CurrentProjectNotFound, Text<403>)>))]
async fn get_config_override(
    access: ServerAccess,
    NamedLevel { named }: NamedLevel,
) -> ApiResult<Json<ConfigText>> {
    check_access(&access, named.level)?;
    ConfigText::of(&row(&access).await?.overrides()?.document(named.level))
}

/// Replaces the override document of a level.
///
/// A document of the level `branch` says where it comes from. The settings take effect with the next
/// request.
#[utoipa::path(put, path = "/internal/config/override/{level}", tag = "internal",
    responses(Errors<(Text<400>, Text<403>)>))]
async fn replace_config_override(
    access: ServerAccess,
    wanted: ReplaceConfigOverride,
) -> ApiResult<Json<Success>> {
    let level = wanted.named.level;
    check_access(&access, level)?;
    let document = parse(level, "config_string", &wanted.config_string)?;
    let source = match level {
        Level::Branch => Some(wanted.source.ok_or_else(missing_source)?),
        Level::Project | Level::Environment => None,
    };
    let command = ProjectCommand::ReplaceOverrides {
        level,
        document,
        source,
    };
    change(&access, command).await
}

/// Merges settings into the override document of a level.
///
/// A key replaces what is stored under it and below it. The settings take effect with the next request.
#[utoipa::path(patch, path = "/internal/config/override/{level}", tag = "internal",
    responses(Errors<(Text<400>, Text<403>)>))]
async fn update_config_override(
    access: ServerAccess,
    wanted: UpdateConfigOverride,
) -> ApiResult<Json<Success>> {
    let level = wanted.named.level;
    check_access(&access, level)?;
    let document = wanted.config_override_string;
    let changes = parse(level, "config_override_string", &document)?;
    change(&access, ProjectCommand::Override { level, changes }).await
}

/// Takes keys out of the override document of a level, with everything below them.
#[utoipa::path(post, path = "/internal/config/override/{level}/reset-keys", tag = "internal",
    responses(Errors<Text<400>>))]
async fn reset_config_override_keys(
    access: AdminAccess,
    ResetConfigOverrideKeys { level, keys }: ResetConfigOverrideKeys,
) -> ApiResult<Json<Success>> {
    change(&access, ProjectCommand::ResetOverrides { level, keys }).await
}

/// Says where the configuration kept as code comes from.
#[utoipa::path(get, path = "/internal/config/source", tag = "internal", responses(Errors<CurrentProjectNotFound>))]
async fn get_config_source(access: AdminAccess, _: NoInput) -> ApiResult<Json<LinkedConfig>> {
    let source = row(&access).await?.config_source()?.into();
    Ok(Json(LinkedConfig { source }))
}

/// Forgets where the configuration kept as code came from. The settings stay.
#[utoipa::path(delete, path = "/internal/config/source", tag = "internal", responses(Errors<Text<400>>))]
async fn unlink_config_source(access: AdminAccess, _: NoInput) -> ApiResult<Json<Success>> {
    change(&access, ProjectCommand::UnlinkConfig).await
}

async fn row(access: &ProjectAccess) -> Result<ProjectRow, ApiError> {
    let row = projects::by_id(access.app.pool(), access.project_id()).await?;
    row.ok_or_else(|| KnownError::current_project_not_found(access.project_id()).into())
}

async fn change(access: &ProjectAccess, command: ProjectCommand) -> ApiResult<Json<Success>> {
    let (app, context) = (&access.app, access.event_context());
    app_projects::change(app, context, access.project_id(), vec![command]).await?;
    Ok(Success::ANSWER)
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
