//! `/internal/payments`: the project's own account at Stripe (contract 06 §8.6–§8.9).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::project::{OnboardingStatus, ProjectCommand};
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::require_connected;
use crate::app::App;
use crate::app::payments::stripe_customers::connected;
use crate::app::projects::{self, LoadedProject};
use crate::clients::stripe::Stripe;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::request::caller::Caller;
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
async fn set_up(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.admin()?;
    let mut form = input.form(auth.user_id()).no_query();
    form.optional_body().close();
    form.finish(Some(()))?;
    let stripe = app.stripe.as_ref().ok_or_else(|| {
        ApiError::text(
            StatusCode::BAD_REQUEST,
            "This server takes no payments. Whoever runs it must set STRIPE_SECRET_KEY.",
        )
    })?;
    let account = match &auth.project.stripe_account_id {
        Some(account) => account.clone(),
        None => connect(&app, stripe, &caller, &auth.project).await?,
    };
    let back = return_url(&app, &auth.project);
    let link = stripe.create_account_link(&account, &back).await?;
    Ok(Json(json!({"url": link.url})).into_response())
}

/// Makes the project's account. When several requests do, the first one's account counts.
async fn connect(
    app: &App,
    stripe: &Stripe,
    caller: &Caller,
    project: &LoadedProject,
) -> ApiResult<String> {
    let made = stripe.create_account(project.id.as_str()).await?;
    let context = caller.event_context(app, &project.id);
    let account_id = made.id.clone();
    let command = ProjectCommand::ConnectStripe { account_id };
    projects::change(app, &context, &project.id, vec![command]).await?;
    let now = app.projects.find_now(&project.id).await?;
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
async fn account_info(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.admin()?;
    input.form(auth.user_id()).no_query().finish(Some(()))?;
    let stripe =
        connected(&app, &auth.project).ok_or_else(KnownError::stripe_account_info_not_found)?;
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
async fn account_session(State(app): State<App>, caller: Caller, input: Input) -> ApiResult {
    let auth = caller.admin()?;
    let mut form = input.form(auth.user_id()).no_query();
    form.optional_body().close();
    form.finish(Some(()))?;
    let stripe = require_connected(&app, &auth.project)?;
    let platform = stripe.platform();
    let session = platform.create_account_session(stripe.account()).await?;
    Ok(Json(json!({"client_secret": session.client_secret})).into_response())
}
