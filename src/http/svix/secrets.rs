//! What is sent to an endpoint with every message: the signature's secret, and headers.

use axum::Json;
use axum::extract::State;
use muniment_domain::Patch;
use muniment_projections::webhooks::endpoints::Endpoint;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::error::{SvixError, SvixResult};
use super::request::{EndpointAccess, NamedEndpoint, names_endpoint};
use super::shapes::{custom_headers, signing_secret};
use crate::app::App;
use crate::app::webhooks::management;
use crate::app::webhooks::settings::{self, EndpointChange};
use crate::http::answer::NoContent;
use crate::http::openapi::operations;
use crate::http::request::declare::request;
use crate::http::request::fields::Violation;
use crate::http::request::presence::{nullable, optional, required};
use crate::http::request::shape::scalars::{json_object, text};
use crate::http::request::shape::{Shape, list_of};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(get_svix_endpoint_secret))
        .routes(operations!(rotate_svix_endpoint_secret))
        .routes(operations!(
            get_svix_endpoint_headers,
            replace_svix_endpoint_headers,
            update_svix_endpoint_headers
        ))
}

request! {
    /// Another secret for an endpoint.
    struct RotateSvixEndpointSecret {
        path {
            .. named: NamedEndpoint;
        }
        query(open) {}
        body(optional_open) {
            /// The secret: `whsec_` and the base64 of 24 to 75 bytes. Without it, one is drawn.
            key: Patch<String> = nullable(signing_secret());
        }
    }

    /// The headers that take the place of all that are sent along.
    struct ReplaceSvixEndpointHeaders {
        path {
            .. named: NamedEndpoint;
        }
        query(open) {}
        body(open) {
            /// The headers, by name.
            headers: Value = required(custom_headers());
        }
    }

    /// A change of the headers that are sent along.
    struct UpdateSvixEndpointHeaders {
        path {
            .. named: NamedEndpoint;
        }
        query(open) {}
        body(open) {
            /// Headers by name. Null takes one away.
            headers: Value = required(texts_or_null());
            /// Names of headers that are taken away.
            deleted as "deleteHeaders": Option<Vec<String>> = optional(list_of(text()));
        }
    }
}

names_endpoint!(
    RotateSvixEndpointSecret,
    ReplaceSvixEndpointHeaders,
    UpdateSvixEndpointHeaders,
);

/// What they are is checked once they are put together with those that stay.
fn texts_or_null() -> impl Shape<Value = Value> {
    json_object().described(|| json!({"additionalProperties": {"type": ["string", "null"]}}))
}

/// What messages to an endpoint are signed with.
#[derive(Serialize, ToSchema)]
struct SvixEndpointSecret {
    /// The secret, beginning with `whsec_`.
    #[schema(required)]
    key: Option<String>,
}

/// Shows the secret that messages to an endpoint are signed with.
#[utoipa::path(
    get,
    path = "/app/{app_id}/endpoint/{endpoint_id}/secret",
    tag = "svix"
)]
async fn get_svix_endpoint_secret(
    State(app): State<App>,
    EndpointAccess { endpoint, .. }: EndpointAccess,
) -> SvixResult<Json<SvixEndpointSecret>> {
    let key = management::secret(&app, &endpoint).await?;
    Ok(Json(SvixEndpointSecret { key }))
}

/// Replaces the secret of an endpoint.
///
/// For a day, messages are signed with the old one as well.
#[utoipa::path(
    post,
    path = "/app/{app_id}/endpoint/{endpoint_id}/secret/rotate",
    tag = "svix"
)]
async fn rotate_svix_endpoint_secret(
    State(app): State<App>,
    EndpointAccess {
        endpoint, request, ..
    }: EndpointAccess<RotateSvixEndpointSecret>,
) -> SvixResult<NoContent> {
    management::rotate_secret(&app, &endpoint, request.key.into_value()).await?;
    Ok(NoContent)
}

/// The headers that are sent along with messages.
#[derive(Serialize, ToSchema)]
struct SvixEndpointHeaders {
    /// The headers, by name.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    headers: Value,
    /// Always empty: all headers are shown.
    sensitive: Vec<String>,
}

/// Shows the headers that are sent along.
#[utoipa::path(
    get,
    path = "/app/{app_id}/endpoint/{endpoint_id}/headers",
    tag = "svix"
)]
async fn get_svix_endpoint_headers(
    EndpointAccess { endpoint, .. }: EndpointAccess,
) -> SvixResult<Json<SvixEndpointHeaders>> {
    Ok(Json(SvixEndpointHeaders {
        headers: endpoint.headers,
        sensitive: Vec::new(),
    }))
}

/// Puts other headers in the place of all that are sent along.
#[utoipa::path(
    put,
    path = "/app/{app_id}/endpoint/{endpoint_id}/headers",
    tag = "svix"
)]
async fn replace_svix_endpoint_headers(
    State(app): State<App>,
    EndpointAccess {
        endpoint, request, ..
    }: EndpointAccess<ReplaceSvixEndpointHeaders>,
) -> SvixResult<NoContent> {
    set_headers(&app, endpoint, request.headers).await
}

/// Changes some of the headers that are sent along.
#[utoipa::path(
    patch,
    path = "/app/{app_id}/endpoint/{endpoint_id}/headers",
    tag = "svix"
)]
async fn update_svix_endpoint_headers(
    State(app): State<App>,
    EndpointAccess {
        endpoint, request, ..
    }: EndpointAccess<UpdateSvixEndpointHeaders>,
) -> SvixResult<NoContent> {
    management::edit(&app, endpoint, |current| {
        current.headers = request.applied_to(&current.headers)?;
        Ok::<_, SvixError>(())
    })
    .await?;
    Ok(NoContent)
}

impl UpdateSvixEndpointHeaders {
    fn applied_to(&self, present: &Value) -> Result<Value, SvixError> {
        let mut headers = present.as_object().cloned().unwrap_or_default();
        for name in self.deleted.iter().flatten() {
            headers.remove(name);
        }
        for (name, value) in self.headers.as_object().into_iter().flatten() {
            if value.is_null() {
                headers.remove(name);
            } else {
                headers.insert(name.clone(), value.clone());
            }
        }
        let checked = settings::custom_headers(&Value::Object(headers));
        checked.map_err(|problem| {
            SvixError::from(vec![Violation {
                path: "body.headers".to_owned(),
                problem,
            }])
        })
    }
}

async fn set_headers(app: &App, endpoint: Endpoint, headers: Value) -> SvixResult<NoContent> {
    let change = EndpointChange {
        headers: Some(headers),
        ..EndpointChange::default()
    };
    management::change(app, endpoint, change).await?;
    Ok(NoContent)
}
