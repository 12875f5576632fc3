//! What the requests of hosting platforms have in common: their credentials, and the integration that
//! the path names.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use data_encoding::BASE64;
use muniment_domain::ProjectId;
use muniment_domain::project::{Level, ProjectCommand};
use muniment_event_store::EventContext;
use serde_json::{Map, Value};

use crate::app::App;
use crate::app::integrations::Integration;
use crate::app::integrations::clients::Client;
use crate::app::projects as app_projects;
use crate::error::ApiError;
use crate::http::request::access::ProjectAccess;
use crate::http::request::caller::{Auth, Caller};
use crate::http::request::fields::Checked;
use crate::http::request::input::{Form, Input};

/// Basic credentials (RFC 7617), as sent.
#[derive(Clone, Default)]
pub(super) struct BasicAuth(Option<(String, String)>);

impl BasicAuth {
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
    pub(super) fn required<'a>(&self, app: &'a App, form: &mut Form<'_>) -> Checked<&'a Client> {
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

impl<S: Send + Sync> FromRequestParts<S> for BasicAuth {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(Self::read(&parts.headers)))
    }
}

/// The integration that the path names.
///
/// # Errors
/// Text 404 for one that does not exist.
pub(super) fn integration_of(input: &Input) -> Result<Integration, ApiError> {
    let name = input.params.get("integration").and_then(Value::as_str);
    name.and_then(Integration::named).ok_or_else(|| {
        let text = "There is no such integration: custom and neon exist.";
        ApiError::text(StatusCode::NOT_FOUND, text)
    })
}

/// Begins to read a request whose path names nothing but the integration.
///
/// # Errors
/// Text 404 for an integration that does not exist.
pub(super) fn begin<'i>(
    input: &'i Input,
    caller: &Caller,
) -> Result<(Integration, Form<'i>), ApiError> {
    let integration = integration_of(input)?;
    let mut form = input.form(caller.user_id());
    form.params().ignore("integration");
    Ok((integration, form))
}

/// A request of a platform whose path names nothing but the integration.
pub(super) struct PlatformRequest {
    pub(super) caller: Caller,
    credentials: BasicAuth,
    input: Input,
}

impl PlatformRequest {
    /// Begins to read it: which integration it is about, and which platform sent it.
    ///
    /// # Errors
    /// Text 404 for an integration that does not exist.
    pub(super) fn begin<'r>(
        &'r self,
        app: &'r App,
    ) -> Result<(Integration, Form<'r>, Checked<&'r Client>), ApiError> {
        let (integration, mut form) = begin(&self.input, &self.caller)?;
        let client = self.credentials.required(app, &mut form);
        Ok((integration, form, client))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PlatformRequest {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Ok(credentials) = BasicAuth::from_request_parts(parts, state).await;
        Ok(Self {
            caller: Caller::from_request_parts(parts, state).await?,
            credentials,
            input: Input::from_request_parts(parts, state).await?,
        })
    }
}

/// Some endpoints belong to the `internal` project, which is a matter of form.
pub(super) fn require_internal(auth: &Auth, form: &mut Form<'_>) {
    if !auth.project_id().is_internal() {
        form.violation("auth.project", "must be the project `internal`");
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
