//! What the dashboard and the SDK ask of webhooks: a token for Svix, and a test message.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::ProjectId;
use muniment_projections::webhooks::endpoints;
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::webhooks::Webhooks;
use crate::app::webhooks::test_delivery::test_delivery;
use crate::clients::svix::{SvixServer, TestOutcome};
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::AdminAccess;
use crate::http::request::input::Input;
use crate::http::request::values::text;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(svix_token))
        .routes(routes!(send_test))
}

/// A token with which the project's endpoints are managed at the Svix server; or, where this server
/// delivers, by the same API below `/app`.
#[utoipa::path(post, path = "/webhooks/svix-token", tag = "webhooks", request_body = serde_json::Value,
    responses((status = 201, description = "`{token}`"), (status = 400, description = "SCHEMA_ERROR"), (status = 502, description = "Svix does not answer")))]
async fn svix_token(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    form.body().close();
    form.finish(Some(()))?;
    let token = match &access.app.webhooks {
        Webhooks::Embedded(_) => {
            let token = access
                .app
                .portal_tokens
                .issue(access.project_id(), access.app.now());
            token.map_err(ApiError::internal)?
        }
        Webhooks::Svix(server) => {
            let token = server.portal_token(access.project_id()).await;
            token.map_err(|error| ApiError::text(StatusCode::BAD_GATEWAY, error.to_string()))?
        }
    };
    Ok((StatusCode::CREATED, Json(json!({"token": token}))).into_response())
}

/// Sends a message that tests an endpoint. Says in its answer, not by its status, how it went.
#[utoipa::path(post, path = "/internal/send-test-webhook", tag = "webhooks", request_body = serde_json::Value,
    responses((status = 200, description = "`{success, error_message?}`"), (status = 400, description = "SCHEMA_ERROR")))]
async fn send_test(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut body = form.body();
    let id = body.required("endpoint_id", text);
    body.close();
    let id = form.finish(id)?;
    let outcome = match &access.app.webhooks {
        Webhooks::Embedded(_) => test_here(&access.app, access.project_id(), &id).await?,
        Webhooks::Svix(server) => test_at_svix(&access.app, server, access.project_id(), &id).await,
    };
    let body = match outcome {
        Ok(()) => json!({"success": true}),
        Err(message) => json!({"success": false, "error_message": message}),
    };
    Ok(Json(body).into_response())
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
