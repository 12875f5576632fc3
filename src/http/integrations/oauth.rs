//! `/integrations/{integration}/oauth`: how a platform is let into a project that exists already. A
//! thin front of the [identity provider](super::identity_provider).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect};
use muniment_domain::ProjectId;
use serde::Serialize;
use url::Url;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::identity_provider::OidcError;
use super::platform_request::{
    NamedIntegration, PlatformRequest, internal_context, internal_project,
};
use crate::app::App;
use crate::app::integrations::login::{self, Exchange};
use crate::error::codes::{Errors, ProjectNotFound, Text};
use crate::error::{ApiError, ApiResult};
use crate::http::answer::PlainText;
use crate::http::openapi::operations;
use crate::http::request::access::ServerAccess;
use crate::http::request::declare::{NoInput, request};
use crate::http::request::presence::{optional, required};
use crate::http::request::shape::scalars::{non_empty_text, one_of, text};
use crate::security::limits::Limit;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(get_platform_oauth_overview))
        .routes(operations!(authorize_platform))
        .routes(operations!(exchange_platform_code))
        .routes(operations!(confirm_platform_interaction))
}

request! {
    /// A platform's request to be let into a project.
    struct AuthorizePlatform {
        query {
            /// The platform's id.
            client_id: String = required(text());
            /// Where the answer goes: one of the URIs that the platform registered.
            redirect_uri: String = required(text());
            /// What the platform wants back with the answer.
            state: String = required(text());
            /// The hash of what the platform will show with the code (RFC 7636).
            code_challenge: String = required(text());
            /// How that was hashed.
            code_challenge_method: &'static str = required(one_of(&["S256"]));
            /// What the answer shall be.
            response_type: &'static str = required(one_of(&["code"]));
        }
    }

    /// A login code to be exchanged.
    struct ExchangePlatformCode {
        body {
            /// What is exchanged.
            _grant_type as "grant_type": &'static str = required(one_of(&["authorization_code"]));
            /// The login code.
            code: String = required(text());
            /// What the challenge of the request is the hash of (RFC 7636).
            code_verifier: String = required(text());
            /// Where the answer went.
            redirect_uri: String = required(text());
        }
    }

    /// An owner's agreement to let a platform into a project.
    struct ConfirmPlatformInteraction {
        caller {
            _project: () = internal_project();
        }
        body {
            /// The id of the interaction in which the platform asked.
            interaction_uid: String = required(non_empty_text());
            /// The project.
            project_id: String = required(text());
            /// What the platform calls the project.
            external_project_name: Option<String> = optional(text());
        }
    }
}

/// Says where a platform begins, and where it fetches its key.
#[utoipa::path(get, path = "/integrations/{integration}/oauth", tag = "integrations")]
async fn get_platform_oauth_overview(
    State(app): State<App>,
    NamedIntegration(integration): NamedIntegration,
    _: NoInput,
) -> ApiResult<PlainText> {
    let base = format!("{}/api/v1/integrations/{integration}/oauth", app.public_url);
    Ok(PlainText(format!(
        "Let people into their projects with OAuth 2.0 (code flow, PKCE with S256).\n\
         Authorization URL: {base}/authorize\n\
         Token URL: {base}/token\n"
    )))
}

/// Sends the browser of somebody who lets a platform in to the identity provider.
#[utoipa::path(get, path = "/integrations/{integration}/oauth/authorize", tag = "integrations",
    responses((status = 307, description = "To the identity provider.")))]
async fn authorize_platform(
    State(app): State<App>,
    NamedIntegration(integration): NamedIntegration,
    wanted: AuthorizePlatform,
) -> ApiResult {
    let auth = format!("{}/auth", login::issuer(&app, integration));
    let mut url = Url::parse(&auth).map_err(ApiError::internal)?;
    url.query_pairs_mut()
        .append_pair("client_id", &wanted.client_id)
        .append_pair("redirect_uri", &wanted.redirect_uri)
        .append_pair("state", &wanted.state)
        .append_pair("code_challenge", &wanted.code_challenge)
        .append_pair("code_challenge_method", wanted.code_challenge_method)
        .append_pair("response_type", wanted.response_type)
        .append_pair("scope", "openid");
    Ok(Redirect::temporary(url.as_str()).into_response())
}

/// A key to the project that a platform was let into.
#[derive(Serialize, ToSchema)]
struct PlatformKey {
    /// An admin key.
    access_token: String,
    /// The project's id.
    #[schema(value_type = String)]
    project_id: ProjectId,
    token_type: PlatformKeyType,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PlatformKeyType {
    ApiKey,
}

/// Exchanges a login code for an admin key of the project that the platform was let into.
///
/// What the identity provider refuses is told as its error, in a text.
#[utoipa::path(post, path = "/integrations/{integration}/oauth/token", tag = "integrations",
    responses(Errors<(Text<400>, Text<429>)>))]
async fn exchange_platform_code(
    State(app): State<App>,
    NamedIntegration(integration): NamedIntegration,
    request: PlatformRequest<ExchangePlatformCode>,
) -> ApiResult<Json<PlatformKey>> {
    request.caller.limit(&app, Limit::CodeCheckFromIp)?;
    let shown = Exchange {
        code: &request.wanted.code,
        code_verifier: &request.wanted.code_verifier,
        redirect_uri: &request.wanted.redirect_uri,
    };
    let context = internal_context(&app, &request.caller);
    let granted = login::exchange(&app, &context, integration, &request.client, &shown).await?;
    let granted = granted.ok_or_else(|| OidcError::invalid_grant().into_text())?;
    Ok(Json(PlatformKey {
        access_token: granted.super_secret_admin_key,
        project_id: granted.project_id,
        token_type: PlatformKeyType::ApiKey,
    }))
}

/// What goes on with an interaction.
#[derive(Serialize, ToSchema)]
struct PlatformInteractionConfirmed {
    /// What the browser ends the interaction with.
    authorization_code: String,
}

/// Lets whoever asked in an interaction into a project.
///
/// The dashboard says so, once the owner has agreed and it has made sure that they own the project.
#[utoipa::path(post, path = "/integrations/{integration}/internal/confirm", tag = "integrations",
    responses(Errors<(ProjectNotFound, Text<400>)>))]
async fn confirm_platform_interaction(
    access: ServerAccess,
    NamedIntegration(integration): NamedIntegration,
    agreed: ConfirmPlatformInteraction,
) -> ApiResult<Json<PlatformInteractionConfirmed>> {
    let description = match agreed.external_project_name {
        Some(name) => format!("Issued to {name} by the integration {integration}"),
        None => format!("Issued by the integration {integration}"),
    };
    let context = internal_context(&access.app, &access.caller);
    let (uid, project) = (
        agreed.interaction_uid,
        ProjectId::from_caller(&agreed.project_id),
    );
    let agreed = (description, access.user_id());
    let confirmed = login::confirm(&access.app, &context, uid, project, agreed);
    Ok(Json(PlatformInteractionConfirmed {
        authorization_code: confirmed.await?,
    }))
}
