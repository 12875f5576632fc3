//! What the requests of hosting platforms have in common: their credentials, and the integration that
//! the path names.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use data_encoding::BASE64;
use muniment_domain::ProjectId;
use muniment_domain::project::{Level, ProjectCommand};
use muniment_event_store::EventContext;
use serde_json::{Map, Value, json};

use crate::app::App;
use crate::app::integrations::Integration;
use crate::app::integrations::clients::Client;
use crate::app::projects as app_projects;
use crate::error::ApiError;
use crate::error::codes::Text;
use crate::http::openapi::describe::{OperationDescription, OperationInput, describe_request};
use crate::http::openapi::security::Credentials;
use crate::http::request::access::ProjectAccess;
use crate::http::request::caller::Caller;
use crate::http::request::declare::{Need, Request};
use crate::http::request::fields::{Checked, Findings};
use crate::http::request::input::{Form, Input, bad_path};

/// Basic credentials (RFC 7617), as sent.
#[derive(Clone, Default)]
pub(super) struct BasicAuth(Option<(String, String)>);

impl BasicAuth {
    /// Those in the header.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self(Self::read(headers))
    }

    fn read(headers: &HeaderMap) -> Option<(String, String)> {
        let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let (scheme, encoded) = header.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let decoded = BASE64.decode(encoded.trim().as_bytes()).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (id, secret) = decoded.split_once(':')?;
        Some((id.to_owned(), secret.to_owned()))
    }

    /// The platform that these are the credentials of.
    pub(super) fn client<'a>(&self, app: &'a App) -> Option<&'a Client> {
        let (id, secret) = self.0.as_ref()?;
        app.integrations.clients.authenticate(id, secret)
    }

    /// The platform, which the endpoint wants as it wants a field.
    fn required<'a>(&self, app: &'a App, form: &mut Form<'_>) -> Checked<&'a Client> {
        let client = self.client(app);
        if client.is_none() {
            form.violation(
                "headers.authorization",
                "must be `Basic` with the client_id and client_secret of a registered client",
            );
        }
        client
    }
}

/// The integration that the path names. It comes before the request in a handler's signature: for
/// one that does not exist the answer is text 404, whatever else is wrong.
pub(super) struct NamedIntegration(pub(super) Integration);

impl FromRequestParts<App> for NamedIntegration {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, app)
            .await
            .map_err(bad_path)?;
        let named = params.iter().find(|(name, _)| *name == "integration");
        let integration = named.and_then(|(_, name)| Integration::named(name));
        let missing =
            || ApiError::not_found("There is no such integration: custom and neon exist.");
        integration.map(Self).ok_or_else(missing)
    }
}

impl OperationInput for NamedIntegration {
    fn describe(operation: &mut OperationDescription) {
        operation.parameters.push(json!({
            "name": "integration",
            "in": "path",
            "required": true,
            "description": "The family of integrations: `custom` for any platform, or `neon`.",
            "schema": {"type": "string", "enum": ["custom", "neon"]},
        }));
        operation.fails_with::<Text<404>>();
    }
}

/// A request of a platform, which proves by Basic credentials who it is. They count as part of the
/// request's form: without them the answer is `SCHEMA_ERROR`, beside all that is wrong with `R`.
pub(super) struct PlatformRequest<R> {
    /// Who called.
    pub(super) caller: Caller,
    /// The platform.
    pub(super) client: Client,
    /// What it wants.
    pub(super) wanted: R,
}

impl<R: Request + Send> FromRequestParts<App> for PlatformRequest<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let input = Input::from_request_parts(parts, app).await?;
        let mut form = input.form_by(&caller);
        let client = BasicAuth::of(&parts.headers).required(app, &mut form);
        let wanted = R::read(&mut form);
        let (client, wanted) = form.finish(client.zip(wanted))?;
        Ok(Self {
            client: client.clone(),
            wanted,
            caller,
        })
    }
}

impl<R: Request> OperationInput for PlatformRequest<R> {
    fn describe(operation: &mut OperationDescription) {
        // Where a project's keys are asked for as well, those are what there is to choose from.
        if operation.credentials == Credentials::Nobody {
            operation.credentials = Credentials::Platform;
        }
        describe_request(operation, &R::describe());
    }
}

struct InternalProject;

/// That the caller's project is `internal`. Some endpoints belong to it, which is a matter of form.
pub(super) fn internal_project() -> impl Need<Value = ()> {
    InternalProject
}

impl Need for InternalProject {
    type Value = ();

    fn find(&self, caller: &Caller, findings: &mut Findings) -> Checked<()> {
        let auth = caller.auth();
        if auth.is_some_and(|auth| auth.project_id().is_internal()) {
            return Some(());
        }
        findings.note("auth.project", "must be the project `internal`");
        None
    }
}

/// The circumstances of what happens in the `internal` project.
pub(super) fn internal_context(app: &App, caller: &Caller) -> EventContext {
    caller.event_context(app, &ProjectId::internal())
}

/// Changes settings of the caller's project.
pub(super) async fn write(
    access: &ProjectAccess,
    changes: Map<String, Value>,
) -> Result<(), ApiError> {
    let command = ProjectCommand::Override {
        level: Level::Environment,
        changes,
    };
    Ok(app_projects::change(
        &access.app,
        access.event_context(),
        access.project_id(),
        vec![command],
    )
    .await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(header: &str) -> Option<(String, String)> {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, header.parse().unwrap());
        BasicAuth::read(&headers)
    }

    #[test]
    fn basic_credentials_end_the_id_at_the_first_colon() {
        let encoded = BASE64.encode(b"id:a:b");
        let expected = Some(("id".to_owned(), "a:b".to_owned()));
        assert_eq!(read(&format!("Basic {encoded}")), expected);
        assert_eq!(read(&format!("basic  {encoded}")), expected);
    }

    #[test]
    fn what_is_no_basic_credentials_is_nothing() {
        let no_colon = BASE64.encode(b"id");
        let no_text = BASE64.encode(b"\xff:\xff");
        for bad in ["Basic", "Basic ", "Basic !", "Bearer aWQ6YQ=="] {
            assert_eq!(read(bad), None, "{bad}");
        }
        assert_eq!(read(&format!("Basic {no_colon}")), None);
        assert_eq!(read(&format!("Basic {no_text}")), None);
    }
}
