//! Who may call Svix's API: those who hold a token of the project whose application it is about.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use muniment_domain::ProjectId;
use muniment_projections::webhooks::endpoints::Endpoint;
use muniment_projections::webhooks::queue::{self, Message};

use super::error::{SvixError, SvixRefusal, SvixResult};
use crate::app::App;
use crate::app::webhooks::{Webhooks, management};
use crate::clients::delivery_client::DeliveryClient;
use crate::http::openapi::describe::{OperationDescription, OperationInput};
use crate::http::openapi::security::Credentials;
use crate::security::portal_tokens::Portal;

/// The parameter of paths that names the application.
const APPLICATION: &str = "app_id";

/// A caller with a token that works, for the application in the path if there is one there.
pub(super) struct Access {
    /// What the token stands for.
    pub portal: Portal,
    /// What delivers.
    pub delivery_client: DeliveryClient,
}

impl Access {
    /// The project whose webhooks may be managed.
    #[must_use]
    pub(super) fn project(&self) -> &ProjectId {
        &self.portal.project
    }

    /// The endpoint of that id or uid.
    ///
    /// # Errors
    /// `not_found`.
    pub(super) async fn endpoint(&self, app: &App, name: &str) -> SvixResult<Endpoint> {
        let found = management::find(app, self.project(), name).await?;
        found.ok_or_else(|| SvixError::not_found("The application has no such endpoint."))
    }

    /// The message of that id or event id.
    ///
    /// # Errors
    /// `not_found`.
    pub(super) async fn message(&self, app: &App, name: &str) -> SvixResult<Message> {
        let found = queue::message(app.pool(), self.project(), name).await?;
        found.ok_or_else(|| SvixError::not_found("The application has no such message."))
    }
}

impl OperationInput for Access {
    fn describe(operation: &mut OperationDescription) {
        operation.credentials = Credentials::WebhooksToken;
        operation.answers_json::<SvixRefusal>(401, "authentication_failed");
        operation.answers_json::<SvixRefusal>(404, "not_found");
    }
}

impl FromRequestParts<App> for Access {
    type Rejection = SvixError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> SvixResult<Self> {
        let delivery_client = match &app.webhooks {
            Webhooks::Embedded(delivery_client) => delivery_client.clone(),
            Webhooks::Svix(server) => {
                let place = server.address();
                let detail = format!(
                    "Webhooks are delivered by the Svix server at {place}. Its API is there."
                );
                return Err(SvixError::not_found(detail));
            }
        };
        let bearer = parts.headers.get(AUTHORIZATION);
        let bearer = bearer.and_then(|value| value.to_str().ok());
        let token = bearer.and_then(|value| value.strip_prefix("Bearer "));
        let portal = token.and_then(|token| app.portal_tokens.verify(token, app.now()));
        let portal = portal.ok_or_else(SvixError::unauthenticated)?;
        // A token outlives its project.
        if app.projects.find(&portal.project).await?.is_none() {
            return Err(SvixError::unauthenticated());
        }
        let params = RawPathParams::from_request_parts(parts, app).await;
        let params = params.map_err(|_| SvixError::not_found("The path is not UTF-8."))?;
        let mut applications = params.iter().filter(|(name, _)| *name == APPLICATION);
        if applications.any(|(_, id)| id != portal.project.as_str()) {
            let detail = "There is no such application for this token. Its id is the project's.";
            return Err(SvixError::not_found(detail));
        }
        Ok(Self {
            portal,
            delivery_client,
        })
    }
}
