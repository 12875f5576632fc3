//! `/integrations/{integration}/projects/transfer`: a project that a platform made gets its owner.

use axum::Json;
use axum::extract::State;
use muniment_domain::ProjectId;
use muniment_domain::verification_code::Purpose;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::platform_request::{
    NamedIntegration, PlatformRequest, internal_context, internal_project,
};
use crate::app::App;
use crate::app::auth::presented_code::{self, Handling};
use crate::app::integrations::clients::Client;
use crate::app::integrations::{provisioning, transfer};
use crate::error::ApiResult;
use crate::error::codes::{Errors, Text, UserAuthenticationRequired, UserNotFound};
use crate::http::auth::codes::{CodeErrors, CodeIsValid};
use crate::http::openapi::operations;
use crate::http::request::access::ClientAccess;
use crate::http::request::declare::request;
use crate::http::request::presence::required;
use crate::http::request::shape::Shape;
use crate::http::request::shape::scalars::{text, verification_code};
use crate::security::limits::Limit;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(
            preview_project_transfer,
            initiate_project_transfer
        ))
        .routes(operations!(initiate_project_transfer_by_alias))
        .routes(operations!(check_project_transfer_code))
        .routes(operations!(confirm_project_transfer))
}

request! {
    /// A project that might be transferred.
    struct PreviewProjectTransfer {
        query {
            /// The project, which the client made.
            project_id: ProjectId = required(project_id());
        }
    }

    /// A project to be transferred.
    struct InitiateProjectTransfer {
        body {
            /// The project, which the client made.
            project_id: ProjectId = required(project_id());
        }
    }

    /// The code of a link that transfers a project.
    struct ProjectTransferCode {
        caller {
            _project: () = internal_project();
        }
        body {
            /// The code, 45 characters; in capitals or not.
            code: String = required(verification_code());
        }
    }
}

/// A project's id, which may be anything.
fn project_id() -> impl Shape<Value = ProjectId> {
    text().map(|id| ProjectId::from_caller(&id))
}

/// That a project can be transferred.
#[derive(Serialize, ToSchema)]
struct ProjectTransferPreview {
    /// A sentence, for whoever asked.
    message: &'static str,
}

/// Says whether a project can be transferred to an owner.
///
/// It can if the client made it and it has no owner yet.
#[utoipa::path(get, path = "/integrations/{integration}/projects/transfer", tag = "integrations",
    responses(Errors<Text<400>>))]
async fn preview_project_transfer(
    State(app): State<App>,
    _: NamedIntegration,
    PlatformRequest { client, wanted, .. }: PlatformRequest<PreviewProjectTransfer>,
) -> ApiResult<Json<ProjectTransferPreview>> {
    require_unclaimed(&app, &client, &wanted.project_id).await?;
    Ok(Json(ProjectTransferPreview {
        message: "The project can be transferred. POST to this path for a link that does it.",
    }))
}

/// A link that transfers a project.
#[derive(Serialize, ToSchema)]
struct ProjectTransferLink {
    /// Where its owner-to-be goes.
    confirmation_url: String,
}

/// Makes a link that transfers a project.
///
/// The project goes to whoever follows the link and signs in to the dashboard. It works for an hour.
#[utoipa::path(post, path = "/integrations/{integration}/projects/transfer", tag = "integrations",
    responses(Errors<Text<400>>))]
async fn initiate_project_transfer(
    State(app): State<App>,
    NamedIntegration(integration): NamedIntegration,
    request: PlatformRequest<InitiateProjectTransfer>,
) -> ApiResult<Json<ProjectTransferLink>> {
    let (client, project) = (&request.client, &request.wanted.project_id);
    require_unclaimed(&app, client, project).await?;
    let context = internal_context(&app, &request.caller);
    let confirmation_url = transfer::initiate(&app, &context, integration, client, project).await?;
    Ok(Json(ProjectTransferLink { confirmation_url }))
}

/// Makes a link that transfers a project, under another path.
#[utoipa::path(post, path = "/integrations/{integration}/projects/transfer/initiate", tag = "integrations",
    responses(Errors<Text<400>>))]
async fn initiate_project_transfer_by_alias(
    app: State<App>,
    integration: NamedIntegration,
    request: PlatformRequest<InitiateProjectTransfer>,
) -> ApiResult<Json<ProjectTransferLink>> {
    initiate_project_transfer(app, integration, request).await
}

async fn require_unclaimed(app: &App, client: &Client, project: &ProjectId) -> ApiResult<()> {
    match provisioning::unclaimed(app, client, project).await? {
        Some(_) => Ok(()),
        None => Err(transfer::not_waiting(project)),
    }
}

/// Says whether a link's code would work, without using it up.
///
/// The look counts as an attempt.
#[utoipa::path(post, path = "/integrations/{integration}/projects/transfer/confirm/check", tag = "integrations",
    responses(Errors<CodeErrors>))]
async fn check_project_transfer_code(
    access: ClientAccess,
    _: NamedIntegration,
    given: ProjectTransferCode,
) -> ApiResult<Json<CodeIsValid>> {
    access.limit(Limit::CodeCheckFromIp)?;
    let (app, context) = (&access.app, access.event_context());
    let purpose = Purpose::ProjectTransfer;
    presented_code::take(app, context, purpose, &given.code, Handling::Check).await?;
    Ok(CodeIsValid::ANSWER)
}

/// The project that was transferred.
#[derive(Serialize, ToSchema)]
struct TransferredProject {
    /// The project's id.
    #[schema(value_type = String)]
    project_id: ProjectId,
}

/// Makes the signed-in user the owner of the project behind a link.
///
/// The user is one of the project `internal`. They own the project by a new team of theirs.
#[utoipa::path(post, path = "/integrations/{integration}/projects/transfer/confirm", tag = "integrations",
    responses(Errors<(CodeErrors, UserAuthenticationRequired, UserNotFound, Text<400>)>))]
async fn confirm_project_transfer(
    access: ClientAccess,
    _: NamedIntegration,
    given: ProjectTransferCode,
) -> ApiResult<Json<TransferredProject>> {
    let user = &access.signed_in()?.user;
    access.limit(Limit::CodeCheckFromIp)?;
    let request = access.request_context();
    let project_id = transfer::confirm(request, &given.code, user).await?;
    Ok(Json(TransferredProject { project_id }))
}
