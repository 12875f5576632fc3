//! `/`, `/check-version` and `/check-feature-support`: small things about the API itself.

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use muniment_event_store::AccessType;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::PlainText;
use crate::http::openapi::describe::{OperationDescription, OperationInput};
use crate::http::openapi::operations;
use crate::http::request::body::Body;
use crate::http::request::caller::{Auth, Caller};
use crate::http::request::declare::{NoInput, request};
use crate::http::request::input::Input;
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::text;

/// The oldest version of the SDK that can talk to this server at all.
const OLDEST_SDK: [u64; 3] = [2, 8, 57];
/// The version of the SDK that this server is made for.
const COMPATIBLE_SDK: [u64; 3] = [2, 8, 108];

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(get_welcome))
        .routes(operations!(check_version))
        .routes(operations!(check_feature_support))
}

request! {
    /// A version of the SDK.
    struct CheckVersion {
        query(open) {}
        body {
            /// The version: major.minor.patch.
            client_version as "clientVersion": String = required(text());
        }
    }
}

/// Whether a version of the SDK fits this server.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct VersionJudgement {
    /// Whether it fits as it is.
    up_to_date: bool,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error: Option<String>,
    /// Whether it may not work at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    severe: Option<bool>,
}

impl VersionJudgement {
    fn outdated(error: String, severe: bool) -> Json<Self> {
        Json(Self {
            up_to_date: false,
            error: Some(error),
            severe: Some(severe),
        })
    }
}

/// Welcomes callers, and tells them how they are authenticated.
#[utoipa::path(get, path = "/", tag = "root")]
pub(super) async fn get_welcome(State(_): State<App>, caller: Caller, _: NoInput) -> PlainText {
    let authentication = caller.auth().map_or_else(|| "None".to_owned(), describe);
    PlainText(format!(
        "This is Muniment, serving the Stack Auth REST API.\n\n\
         Documentation: /docs\n\nAuthentication: {authentication}"
    ))
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

/// Says whether a version of the SDK fits this server.
#[utoipa::path(post, path = "/check-version", tag = "root")]
async fn check_version(
    _: Caller,
    CheckVersion { client_version }: CheckVersion,
) -> ApiResult<Json<VersionJudgement>> {
    let Some(parsed) = parse_version(&client_version) else {
        let error = format!("{client_version} is not a version. Send major.minor.patch.");
        return Ok(VersionJudgement::outdated(error, true));
    };
    let made_for = COMPATIBLE_SDK.map(|part| part.to_string()).join(".");
    if parsed < OLDEST_SDK || parsed[..2] != COMPATIBLE_SDK[..2] {
        let error = format!("Version {client_version} does not fit this server. Use {made_for}.");
        return Ok(VersionJudgement::outdated(error, true));
    }
    if parsed < COMPATIBLE_SDK {
        let error = format!("Version {client_version} is out of date. Update to {made_for}.");
        return Ok(VersionJudgement::outdated(error, false));
    }
    Ok(Json(VersionJudgement {
        up_to_date: true,
        error: None,
        severe: None,
    }))
}

/// `major.minor.patch`; what follows a `-` or `+` does not matter here.
fn parse_version(text: &str) -> Option<[u64; 3]> {
    let core = text.split(['-', '+']).next()?;
    let parts: Option<Vec<u64>> = core.split('.').map(|part| part.parse().ok()).collect();
    parts?.try_into().ok()
}

/// Says that a feature is not supported, in words that the SDK shows to its user.
#[utoipa::path(post, path = "/check-feature-support", tag = "root")]
async fn check_feature_support(_: Caller, feature: NamedFeature) -> PlainText {
    PlainText(format!(
        "{} is not supported by this server yet. Check whether there is a newer version of Muniment.",
        feature.name
    ))
}

/// The feature that a request asks for. Anything is taken: this answers whoever needs help.
struct NamedFeature {
    name: String,
}

impl FromRequestParts<App> for NamedFeature {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let input = Input::from_request_parts(parts, app).await?;
        let name = match &input.body {
            Body::Json(body) => body.get("feature_name").and_then(Value::as_str),
            _ => None,
        };
        Ok(Self {
            name: name.unwrap_or("This feature").to_owned(),
        })
    }
}

impl OperationInput for NamedFeature {
    fn describe(operation: &mut OperationDescription) {
        let schema = json!({
            "type": "object",
            "properties": {"feature_name": {"type": "string", "description": "The feature's name."}},
        });
        let content = json!({"schema": schema, "example": {"feature_name": "OAuth"}});
        operation.body = Some(json!({"content": {"application/json": content}}));
    }
}
