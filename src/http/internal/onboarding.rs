//! `/internal/onboarding`: whom a change of what is demanded of users would affect.

use axum::Json;
use axum::response::IntoResponse;
use muniment_projections::read_models::users;
use serde_json::{Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::ApiResult;
use crate::http::request::access::AdminAccess;
use crate::http::request::input::Input;
use crate::http::request::values::{boolean, integer};

/// How many users are shown if the caller does not say.
const SHOWN: i64 = 10;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(preview))
}

/// The users who would be restricted once email verification is demanded. Nothing is changed.
#[utoipa::path(post, path = "/internal/onboarding/preview-affected-users", tag = "internal", request_body = Value,
    responses((status = 200, description = "`{affected_users, total_affected_count}`"), (status = 400, description = "SCHEMA_ERROR")))]
async fn preview(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut query = form.query();
    let limit = query.or_default("limit", integer(0..=i64::MAX), SHOWN);
    query.close();
    let mut body = form.body();
    let wanted = body.required_object("onboarding", |fields| {
        fields.optional("require_email_verification", boolean)
    });
    body.close();
    let (limit, wanted) = form.finish((|| Some((limit?, wanted?)))())?;
    let present = access.project.config.onboarding.require_email_verification;
    if present || wanted != Some(true) {
        return Ok(Json(json!({"affected_users": [], "total_affected_count": 0})).into_response());
    }
    let (users, total) = users::unverified(access.app.pool(), access.project_id(), limit).await?;
    let users: Vec<Value> = users
        .into_iter()
        .map(|user| {
            json!({
                "id": user.id,
                "display_name": user.display_name,
                "primary_email": user.primary_email,
                "restricted_reason": {"type": "email_not_verified"},
            })
        })
        .collect();
    Ok(Json(json!({"affected_users": users, "total_affected_count": total})).into_response())
}
