//! `/internal/payments`: the project's own account at Stripe.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::project::{OnboardingStatus, ProjectCommand};
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::payments::stripe_customers::{connected, require_connected};
use crate::app::projects;
use crate::app::projects::directory::LoadedProject;
use crate::clients::stripe::Stripe;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::{AdminAccess, ProjectAccess};
use crate::http::request::input::Input;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(set_up))
        .routes(routes!(account_info))
        .routes(routes!(account_session))
}

/// Sets payments up: makes the project's account if there is none, and says where its owner tells
/// Stripe about themselves.
#[utoipa::path(post, path = "/internal/payments/setup", tag = "payments", request_body = serde_json::Value,
    responses((status = 200, description = "`{url}`"), (status = 400, description = "SCHEMA_ERROR; this server takes no payments"),
        (status = 502, description = "Stripe does not accept the server's key"), (status = 503, description = "Stripe cannot be reached")))]
async fn set_up(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    form.optional_body().close();
    form.finish(Some(()))?;
    let stripe = access.app.stripe.as_ref().ok_or_else(|| {
        ApiError::text(
            StatusCode::BAD_REQUEST,
            "This server takes no payments. Whoever runs it must set STRIPE_SECRET_KEY.",
        )
    })?;
    let account = match &access.project.stripe_account_id {
        Some(account) => account.clone(),
        None => connect(&access, stripe).await?,
    };
    let back = return_url(&access.app, &access.project);
    let link = stripe.create_account_link(&account, &back).await?;
    Ok(Json(json!({"url": link.url})).into_response())
}

/// Makes the project's account. When several requests do, the first one's account counts.
async fn connect(access: &ProjectAccess, stripe: &Stripe) -> ApiResult<String> {
    let project = &access.project;
    let made = stripe.create_account(project.id.as_str()).await?;
    let account_id = made.id.clone();
    let command = ProjectCommand::ConnectStripe { account_id };
    projects::change(
        &access.app,
        access.event_context(),
        &project.id,
        vec![command],
    )
    .await?;
    let now = access.app.projects.find_now(&project.id).await?;
    Ok(now
        .and_then(|project| project.stripe_account_id.clone())
        .unwrap_or(made.id))
}

/// The page of the dashboard where the owner was.
fn return_url(app: &App, project: &LoadedProject) -> String {
    let (dashboard, id) = (&app.dashboard_url, &project.id);
    if project.profile.onboarding_status == OnboardingStatus::PaymentsSetup {
        return format!("{dashboard}/new-project?project_id={id}");
    }
    format!("{dashboard}/projects/{id}/payments")
}

/// What the account may do.
#[utoipa::path(get, path = "/internal/payments/stripe/account-info", tag = "payments",
    responses((status = 200, description = "`{account_id, charges_enabled, details_submitted, payouts_enabled}`"), (status = 404, description = "STRIPE_ACCOUNT_INFO_NOT_FOUND"),
        (status = 503, description = "Stripe cannot be reached")))]
async fn account_info(access: AdminAccess, input: Input) -> ApiResult {
    access.form(&input).no_query().finish(Some(()))?;
    let stripe = connected(&access.app, &access.project)
        .ok_or_else(KnownError::stripe_account_info_not_found)?;
    let account = stripe.platform().retrieve_account(stripe.account()).await?;
    let body = json!({
        "account_id": account.id,
        "charges_enabled": account.charges_enabled,
        "details_submitted": account.details_submitted,
        "payouts_enabled": account.payouts_enabled,
    });
    Ok(Json(body).into_response())
}

/// A session of Stripe's own views, for the dashboard to embed.
#[utoipa::path(post, path = "/internal/payments/stripe-widgets/account-session", tag = "payments", request_body = serde_json::Value,
    responses((status = 200, description = "`{client_secret}`"), (status = 400, description = "SCHEMA_ERROR; payments are not set up"), (status = 503, description = "Stripe cannot be reached")))]
async fn account_session(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    form.optional_body().close();
    form.finish(Some(()))?;
    let stripe = require_connected(&access.app, &access.project)?;
    let platform = stripe.platform();
    let session = platform.create_account_session(stripe.account()).await?;
    Ok(Json(json!({"client_secret": session.client_secret})).into_response())
}
