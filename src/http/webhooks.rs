//! What the dashboard and the SDK ask of webhooks: a token for Svix, and a test message.

use axum::Json;
use axum::http::StatusCode;
use muniment_domain::ProjectId;
use muniment_projections::webhooks::endpoints;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::app::webhooks::Webhooks;
use crate::app::webhooks::test_delivery::test_delivery;
use crate::clients::svix::{SvixServer, TestOutcome};
use crate::error::codes::{Errors, Text};
use crate::error::{ApiError, ApiResult};
use crate::http::answer::Created;
use crate::http::openapi::operations;
use crate::http::request::access::AdminAccess;
use crate::http::request::declare::request;
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::text;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(create_svix_token))
        .routes(operations!(send_test_webhook))
}

request! {
    /// A request for a token: an empty object.
    struct CreateSvixToken {
        body {}
    }

    /// That an endpoint shall be tested.
    struct SendTestWebhook {
        body {
            /// The endpoint's id.
            endpoint_id: String = required(text());
        }
    }
}

/// A token with which a project's webhooks are managed.
#[derive(Serialize, ToSchema)]
struct SvixToken {
    /// Sent as `Authorization: Bearer …`.
    token: String,
}

/// How the test of an endpoint went.
#[derive(Serialize, ToSchema)]
struct TestWebhookOutcome {
    /// Whether the message was delivered.
    success: bool,
    /// Why it was not, if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    error_message: Option<String>,
}

/// Issues a token with which the project's webhooks are managed.
///
/// It is for the Svix server; or, where this server delivers, for the same API below `/app`.
#[utoipa::path(post, path = "/webhooks/svix-token", tag = "webhooks", responses(Errors<Text<502>>))]
async fn create_svix_token(
    access: AdminAccess,
    _: CreateSvixToken,
) -> ApiResult<Created<SvixToken>> {
    let project = access.project_id();
    let token = match &access.app.webhooks {
        Webhooks::Embedded(_) => {
            let token = access.app.portal_tokens.issue(project, access.app.now());
            token.map_err(ApiError::internal)?
        }
        Webhooks::Svix(server) => {
            let token = server.portal_token(project).await;
            token.map_err(|error| ApiError::text(StatusCode::BAD_GATEWAY, error.to_string()))?
        }
    };
    Ok(Created(SvixToken { token }))
}

/// Sends a message that tests an endpoint.
///
/// The answer says how it went, by its body and not by its status.
#[utoipa::path(post, path = "/internal/send-test-webhook", tag = "webhooks")]
async fn send_test_webhook(
    access: AdminAccess,
    SendTestWebhook { endpoint_id: id }: SendTestWebhook,
) -> ApiResult<Json<TestWebhookOutcome>> {
    let (app, project) = (&access.app, access.project_id());
    let outcome = match &app.webhooks {
        Webhooks::Embedded(_) => test_here(app, project, &id).await?,
        Webhooks::Svix(server) => test_at_svix(app, server, project, &id).await,
    };
    Ok(Json(TestWebhookOutcome {
        success: outcome.is_ok(),
        error_message: outcome.err(),
    }))
}

const UNKNOWN: &str = "The endpoint was not found.";

async fn test_here(
    app: &App,
    project: &ProjectId,
    id: &str,
) -> Result<Result<(), String>, ApiError> {
    let Webhooks::Embedded(delivery_client) = &app.webhooks else {
        return Ok(Err(UNKNOWN.to_owned()));
    };
    let endpoint = endpoints::by_id(app.pool(), id).await?;
    let endpoint = endpoint.filter(|endpoint| endpoint.project_id == project.as_str());
    let Some(endpoint) = endpoint else {
        return Ok(Err(UNKNOWN.to_owned()));
    };
    if endpoint.is_disabled {
        return Ok(Err("The endpoint is disabled.".to_owned()));
    }
    let attempt = test_delivery(app, delivery_client, &endpoint).await?;
    Ok(match attempt.response_status_code {
        200..300 => Ok(()),
        0 => Err(format!(
            "The message was not delivered: {}.",
            attempt.response
        )),
        status => Err(format!(
            "The message was not delivered: the endpoint answered {status}."
        )),
    })
}

async fn test_at_svix(
    app: &App,
    server: &SvixServer,
    project: &ProjectId,
    id: &str,
) -> Result<(), String> {
    let message_id = format!("msg_{}", app.random.base62(27));
    match server.test(project, id, &message_id).await {
        Ok(TestOutcome::Arrived) => Ok(()),
        Ok(TestOutcome::UnknownEndpoint) => Err(UNKNOWN.to_owned()),
        Ok(TestOutcome::NotArrived) => Err("The message was not delivered in time.".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
