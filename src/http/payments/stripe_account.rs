//! `/internal/payments`: the project's own account at Stripe.

use axum::Json;
use muniment_domain::project::{OnboardingStatus, ProjectCommand};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::named_customer::StripeRefusals;
use crate::app::App;
use crate::app::payments::stripe_customers::{connected, require_connected};
use crate::app::projects;
use crate::app::projects::directory::LoadedProject;
use crate::clients::stripe::Stripe;
use crate::error::codes::{Errors, StripeAccountInfoNotFound};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::openapi::operations;
use crate::http::request::access::{AdminAccess, ProjectAccess};
use crate::http::request::declare::{NoInput, request};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(set_up_payments))
        .routes(operations!(get_stripe_account))
        .routes(operations!(create_stripe_account_session))
}

request! {
    /// That payments shall be set up.
    struct SetUpPayments {
        body(optional) {}
    }

    /// That Stripe's own views shall be embedded.
    struct CreateStripeAccountSession {
        body(optional) {}
    }
}

/// Where an account at Stripe is set up.
#[derive(Serialize, ToSchema)]
struct StripeAccountLink {
    /// The page at Stripe.
    #[schema(format = "uri")]
    url: String,
}

/// Sets payments up: makes the project's account at Stripe if there is none.
///
/// The answer says where its owner tells Stripe about themselves.
#[utoipa::path(post, path = "/internal/payments/setup", tag = "payments", responses(Errors<StripeRefusals>))]
async fn set_up_payments(
    access: AdminAccess,
    _: SetUpPayments,
) -> ApiResult<Json<StripeAccountLink>> {
    let stripe = access.app.stripe.as_ref().ok_or_else(|| {
        ApiError::bad_request(
            "This server takes no payments. Whoever runs it must set STRIPE_SECRET_KEY.",
        )
    })?;
    let account = match &access.project.stripe_account_id {
        Some(account) => account.clone(),
        None => connect(&access, stripe).await?,
    };
    let back = return_url(&access.app, &access.project);
    let link = stripe.create_account_link(&account, &back).await?;
    Ok(Json(StripeAccountLink { url: link.url }))
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

/// The project's account at Stripe, and what it may do.
#[derive(Serialize, ToSchema)]
struct StripeAccount {
    /// Its id: `acct_…`.
    account_id: String,
    /// Whether it can charge cards.
    charges_enabled: bool,
    /// Whether its owner has told Stripe what it has to know.
    details_submitted: bool,
    /// Whether it is paid out.
    payouts_enabled: bool,
}

/// Says what the project's account at Stripe may do.
#[utoipa::path(get, path = "/internal/payments/stripe/account-info", tag = "payments",
    responses(Errors<(StripeAccountInfoNotFound, StripeRefusals)>))]
async fn get_stripe_account(access: AdminAccess, _: NoInput) -> ApiResult<Json<StripeAccount>> {
    let stripe = connected(&access.app, &access.project)
        .ok_or_else(KnownError::stripe_account_info_not_found)?;
    let account = stripe.platform().retrieve_account(stripe.account()).await?;
    Ok(Json(StripeAccount {
        account_id: account.id,
        charges_enabled: account.charges_enabled,
        details_submitted: account.details_submitted,
        payouts_enabled: account.payouts_enabled,
    }))
}

/// What lets a page embed Stripe's own views.
#[derive(Serialize, ToSchema)]
struct StripeAccountSession {
    /// The secret for the page.
    client_secret: String,
}

/// Makes a session of Stripe's own views, for the dashboard to embed.
#[utoipa::path(post, path = "/internal/payments/stripe-widgets/account-session", tag = "payments",
    responses(Errors<StripeRefusals>))]
async fn create_stripe_account_session(
    access: AdminAccess,
    _: CreateStripeAccountSession,
) -> ApiResult<Json<StripeAccountSession>> {
    let stripe = require_connected(&access.app, &access.project)?;
    let platform = stripe.platform();
    let session = platform.create_account_session(stripe.account()).await?;
    Ok(Json(StripeAccountSession {
        client_secret: session.client_secret,
    }))
}
