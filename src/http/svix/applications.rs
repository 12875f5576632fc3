//! Applications, of which a token knows one.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::access::Access;
use super::error::{SvixError, SvixResult};
use super::values::shown_time;
use crate::app::App;
use crate::app::projects::directory::LoadedProject;
use crate::error::ApiError;
use crate::http::request::input::Input;
use crate::http::request::values::{query_boolean, text};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create))
        .route("/app/", post(create))
        .routes(routes!(portal_access))
}

/// The project's application. It is there as long as the project is.
#[utoipa::path(post, path = "/app", tag = "svix", request_body = Value, params(("get_if_exists" = Option<bool>, Query)),
    responses((status = 200, description = "The application"), (status = 401, description = "authentication_failed"), (status = 403, description = "The uid is another project's"),
        (status = 409, description = "It is there, and `get_if_exists` was not asked for"), (status = 422, description = "What is wrong, and where")))]
async fn create(State(app): State<App>, access: Access, input: Input) -> SvixResult {
    let mut form = input.form(None);
    let mut query = form.query();
    let get_if_exists = query.or_default("get_if_exists", query_boolean, false);
    query.close_leniently();
    let mut body = form.body();
    let name = body.required("name", text);
    let uid = body.nullable("uid", text);
    body.close_leniently();
    let (get_if_exists, uid) = form.check((|| {
        name?;
        Some((get_if_exists?, uid?.into_value()))
    })())?;
    let project = app.projects.find(access.project()).await?;
    let project = project.ok_or_else(SvixError::unauthenticated)?;
    if uid.as_deref() != Some(project.id.as_str()) {
        return Err(another_application());
    }
    if !get_if_exists {
        return Err(SvixError::conflict(
            "The application is there. Ask for it with get_if_exists=true.",
        ));
    }
    Ok(Json(view(&project)).into_response())
}

fn another_application() -> SvixError {
    let detail = "The token is for the application whose uid is the project's id, and no other.";
    SvixError::Refused(
        StatusCode::FORBIDDEN,
        "insufficient_permissions",
        detail.to_owned(),
    )
}

fn view(project: &LoadedProject) -> Value {
    let created_at = shown_time(project.created_at.0);
    json!({
        "id": project.id,
        "uid": project.id,
        "name": project.profile.display_name,
        "metadata": {},
        "rateLimit": null,
        "throttleRate": null,
        "createdAt": created_at,
        "updatedAt": created_at,
    })
}

/// Another token for the same application, which works as long as the one it was asked for with.
#[utoipa::path(post, path = "/auth/app-portal-access/{app_id}", tag = "svix", params(("app_id" = String, Path)), request_body = Value,
    responses((status = 200, description = "`{url, token}`"), (status = 401, description = "authentication_failed"), (status = 404, description = "not_found")))]
async fn portal_access(State(app): State<App>, access: Access) -> SvixResult {
    let token = app.portal_tokens.reissue(&access.portal);
    let token = token.map_err(|error| SvixError::Ours(ApiError::internal(error)))?;
    // There is no portal beside the dashboard; the API tells how it is used.
    let url = format!("{}/docs", app.public_url);
    Ok(Json(json!({"url": url, "token": token})).into_response())
}
