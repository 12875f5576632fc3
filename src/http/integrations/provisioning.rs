//! `/integrations/{integration}/projects/provision`: a platform makes a project.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use muniment_domain::ProjectId;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::platform_request::PlatformRequest;
use crate::app::App;
use crate::app::integrations::Integration;
use crate::app::integrations::provisioning::{self, Connection};
use crate::error::ApiResult;
use crate::http::request::fields::Fields;
use crate::http::request::values::text;

/// The longest name of a branch at Neon: it becomes a key in the settings.
const MAX_BRANCH: usize = 63;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(provision))
}

/// Makes a project that nobody owns yet. Its admin key is shown this once.
#[utoipa::path(post, path = "/integrations/{integration}/projects/provision", tag = "integrations", params(("integration" = String, Path)), request_body = Value,
    responses((status = 200, description = "`{project_id, super_secret_admin_key}`"),
        (status = 400, description = "SCHEMA_ERROR, also for wrong Basic credentials"), (status = 404, description = "There is no such integration")))]
async fn provision(State(app): State<App>, request: PlatformRequest) -> ApiResult {
    let (integration, form, client) = request.begin(&app)?;
    let mut form = form.no_query();
    let mut body = form.body();
    let name = body.required("display_name", text);
    let connections = match integration {
        Integration::Neon => body.optional_list("connection_strings", read_connection),
        Integration::Custom => Some(None),
    };
    body.close();
    let (client, name, connections) = form.finish((|| Some((client?, name?, connections?)))())?;
    let context = request
        .caller
        .event_context(&app, &ProjectId::from_uuid(app.random.uuid()));
    let connections = connections.unwrap_or_default();
    let made = provisioning::provision(&app, &context, client, name, &connections).await?;
    let shown = json!({
        "project_id": made.project_id,
        "super_secret_admin_key": made.super_secret_admin_key,
    });
    Ok(Json(shown).into_response())
}

/// How the database of a branch is reached.
pub(super) fn read_connection(item: &mut Fields<'_>) -> Option<Connection> {
    let branch_id = item.required("branch_id", branch_id);
    let string = item.required("connection_string", text);
    Some(Connection {
        branch_id: branch_id?,
        string: string?,
    })
}

fn branch_id(value: &Value) -> Result<String, String> {
    let id = text(value)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let is_key = !id.is_empty() && !id.starts_with('-') && id.chars().all(fits);
    if is_key && id.len() <= MAX_BRANCH {
        return Ok(id);
    }
    Err(format!(
        "must have 1 to {MAX_BRANCH} letters, digits, _ and -, and must not start with -"
    ))
}
