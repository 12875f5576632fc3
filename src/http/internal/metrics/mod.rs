//! `/internal/metrics`: a project at a glance, for its dashboard.

mod figures;
mod question;

use axum::Json;
use axum::response::IntoResponse;
use muniment_projections::metrics::{Anonymous, Window};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use self::question::Question;
use crate::app::App;
use crate::error::ApiResult;
use crate::http::request::access::AdminAccess;
use crate::http::request::input::Input;
use crate::http::request::values::query_boolean;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(read))
}

/// A project at a glance: its users, mail, money and traffic, and how they were over the last 31 days.
#[utoipa::path(get, path = "/internal/metrics", tag = "internal",
    params(("include_anonymous" = Option<bool>, Query)),
    responses((status = 200, description = "Users, logins, and one overview each of users, payments, emails and analytics"),
        (status = 400, description = "SCHEMA_ERROR")))]
async fn read(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut query = form.query();
    let anonymous = query.or_default("include_anonymous", query_boolean, false);
    query.close();
    let question = Question {
        app: &access.app,
        auth: &access,
        now: access.app.now(),
        window: Window::until(access.app.now()),
        anonymous: if form.finish(anonymous)? {
            Anonymous::Included
        } else {
            Anonymous::Excluded
        },
    };
    let metrics = question.answer().await?;
    Ok(Json(metrics).into_response())
}
