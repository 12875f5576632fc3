//! `/internal/metrics`: a project at a glance, for its dashboard.

mod figures;
mod question;
mod views;

use axum::Json;
use muniment_projections::metrics::{Anonymous, Window};
use utoipa_axum::router::OpenApiRouter;

use self::question::Question;
use self::views::ProjectMetrics;
use crate::app::App;
use crate::error::ApiResult;
use crate::http::openapi::operations;
use crate::http::request::access::AdminAccess;
use crate::http::request::declare::request;
use crate::http::request::presence::or_default;
use crate::http::request::shape::Shape;
use crate::http::request::shape::scalars::query_boolean;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(operations!(get_project_metrics))
}

request! {
    /// Whose figures are wanted.
    struct GetProjectMetrics {
        query {
            /// Whether anonymous users count.
            anonymous as "include_anonymous": Anonymous = or_default(anonymous(), "false");
        }
    }
}

fn anonymous() -> impl Shape<Value = Anonymous> {
    query_boolean().map(|included| {
        if included {
            Anonymous::Included
        } else {
            Anonymous::Excluded
        }
    })
}

/// Shows a project at a glance.
///
/// Its users, mail, money and traffic, and how they were over the last 31 days.
#[utoipa::path(get, path = "/internal/metrics", tag = "internal")]
async fn get_project_metrics(
    access: AdminAccess,
    GetProjectMetrics { anonymous }: GetProjectMetrics,
) -> ApiResult<Json<ProjectMetrics>> {
    let now = access.app.now();
    let question = Question {
        app: &access.app,
        auth: &access,
        now,
        window: Window::until(now),
        anonymous,
    };
    Ok(Json(question.answer().await?))
}
