//! Endpoints.

use axum::Json;
use axum::extract::State;
use muniment_domain::Patch;
use muniment_projections::webhooks::endpoints::{self, Endpoint};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::access::Access;
use super::answer::SvixPage;
use super::endpoint_settings::EndpointSettings;
use super::error::{SvixRefusal, SvixResult};
use super::page::{Page, WantedPage};
use super::request::{Application, EndpointAccess, NamedEndpoint, SvixRequest, names_endpoint};
use super::shapes::{endpoint_url, shown_time, signing_secret};
use crate::app::App;
use crate::app::webhooks::management;
use crate::http::answer::{Created, NoContent};
use crate::http::openapi::operations;
use crate::http::request::declare::request;
use crate::http::request::presence::{nullable, optional, or_default, required};
use crate::http::request::shape::scalars::one_of;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_svix_endpoints, create_svix_endpoint))
        .routes(operations!(
            get_svix_endpoint,
            replace_svix_endpoint,
            update_svix_endpoint,
            delete_svix_endpoint
        ))
}

request! {
    /// Which endpoints are wanted.
    struct ListSvixEndpoints {
        path {
            .. _application: Application;
        }
        query(open) {
            .. page: WantedPage;
            /// Whether the oldest or the newest come first.
            order: &'static str = or_default(one_of(&["ascending", "descending"]), "ascending");
        }
    }

    /// An endpoint to be made.
    struct CreateSvixEndpoint {
        path {
            .. _application: Application;
        }
        query(open) {}
        body(open) {
            .. settings: EndpointSettings;
            /// Where messages are sent to: an `http` or `https` URL.
            url: String = required(endpoint_url());
            /// What messages are signed with: `whsec_` and the base64 of 24 to 75 bytes. Without it, a
            /// secret is drawn.
            secret: Patch<String> = nullable(signing_secret());
        }
    }

    /// The settings that take the place of all that an endpoint has.
    struct ReplaceSvixEndpoint {
        path {
            .. named: NamedEndpoint;
        }
        query(open) {}
        body(open) {
            .. settings: EndpointSettings;
            /// Where messages are sent to: an `http` or `https` URL.
            url: String = required(endpoint_url());
        }
    }

    /// A change of an endpoint.
    struct UpdateSvixEndpoint {
        path {
            .. named: NamedEndpoint;
        }
        query(open) {}
        body(open) {
            .. settings: EndpointSettings;
            /// Where messages are sent to: an `http` or `https` URL.
            url: Option<String> = optional(endpoint_url());
        }
    }
}

names_endpoint!(ReplaceSvixEndpoint, UpdateSvixEndpoint);

/// An endpoint.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SvixEndpoint {
    /// Names of channels.
    #[schema(required)]
    channels: Option<Vec<String>>,
    /// When the endpoint was made, in RFC 3339.
    #[schema(format = DateTime)]
    created_at: String,
    /// What the endpoint is for.
    description: String,
    /// Whether nothing is sent to it.
    disabled: bool,
    /// The types of events that it wants to hear of. Null for all.
    #[schema(required)]
    event_types: Option<Vec<String>>,
    /// Older libraries' name for `eventTypes`.
    #[schema(required)]
    filter_types: Option<Vec<String>>,
    /// The id: `ep_…`.
    id: String,
    /// Texts that are kept with it, by name.
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    metadata: Value,
    /// Older libraries' name for `throttleRate`.
    #[schema(required)]
    rate_limit: Option<i32>,
    /// How many messages are sent per second, at most. Null for as many as there are.
    #[schema(required)]
    throttle_rate: Option<i32>,
    /// The project's own name for it.
    #[schema(required)]
    uid: Option<String>,
    /// When the settings were last changed, in RFC 3339.
    #[schema(format = DateTime)]
    updated_at: String,
    /// Where messages are sent to.
    #[schema(format = "uri")]
    url: String,
    /// Always 1.
    version: u8,
}

impl From<Endpoint> for SvixEndpoint {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            channels: endpoint.channels,
            created_at: shown_time(endpoint.created_at),
            description: endpoint.description,
            disabled: endpoint.is_disabled,
            event_types: endpoint.filter_types.clone(),
            filter_types: endpoint.filter_types,
            id: endpoint.id,
            metadata: endpoint.metadata,
            rate_limit: endpoint.rate_limit,
            throttle_rate: endpoint.rate_limit,
            uid: endpoint.uid,
            updated_at: shown_time(endpoint.updated_at),
            url: endpoint.url,
            version: 1,
        }
    }
}

/// Lists the application's endpoints.
#[utoipa::path(get, path = "/app/{app_id}/endpoint", tag = "svix")]
async fn list_svix_endpoints(
    State(app): State<App>,
    access: Access,
    SvixRequest(wanted): SvixRequest<ListSvixEndpoints>,
) -> SvixResult<Json<SvixPage<SvixEndpoint>>> {
    let mut all = endpoints::of_project(app.pool(), access.project()).await?;
    if wanted.order == "descending" {
        all.reverse();
    }
    let (endpoints, rest) = Page::from(wanted.page).cut(all, |endpoint| &endpoint.id);
    let data = endpoints.into_iter().map(SvixEndpoint::from).collect();
    Ok(SvixPage::of(data, |endpoint| &endpoint.id, rest))
}

/// Makes an endpoint.
#[utoipa::path(post, path = "/app/{app_id}/endpoint", tag = "svix", responses(
    (status = 400, description = "bad_request", body = SvixRefusal),
    (status = 409, description = "conflict", body = SvixRefusal)))]
async fn create_svix_endpoint(
    State(app): State<App>,
    access: Access,
    SvixRequest(new): SvixRequest<CreateSvixEndpoint>,
) -> SvixResult<Created<SvixEndpoint>> {
    let settings = new.settings.with_url(Some(new.url));
    let secret = new.secret.into_value();
    let (endpoint, _) = management::create(&app, access.project(), settings, secret).await?;
    Ok(Created(endpoint.into()))
}

/// Shows an endpoint.
#[utoipa::path(get, path = "/app/{app_id}/endpoint/{endpoint_id}", tag = "svix")]
async fn get_svix_endpoint(
    EndpointAccess { endpoint, .. }: EndpointAccess,
) -> SvixResult<Json<SvixEndpoint>> {
    Ok(Json(endpoint.into()))
}

/// Puts other settings in the place of all that an endpoint has.
///
/// Its headers stay, unless others are sent.
#[utoipa::path(put, path = "/app/{app_id}/endpoint/{endpoint_id}", tag = "svix",
    responses((status = 409, description = "conflict", body = SvixRefusal)))]
async fn replace_svix_endpoint(
    State(app): State<App>,
    EndpointAccess {
        endpoint, request, ..
    }: EndpointAccess<ReplaceSvixEndpoint>,
) -> SvixResult<Json<SvixEndpoint>> {
    let change = request.settings.with_url(Some(request.url));
    let endpoint = management::change(&app, endpoint, change.of_everything()).await?;
    Ok(Json(endpoint.into()))
}

/// Changes some settings of an endpoint.
#[utoipa::path(patch, path = "/app/{app_id}/endpoint/{endpoint_id}", tag = "svix",
    responses((status = 409, description = "conflict", body = SvixRefusal)))]
async fn update_svix_endpoint(
    State(app): State<App>,
    EndpointAccess {
        endpoint, request, ..
    }: EndpointAccess<UpdateSvixEndpoint>,
) -> SvixResult<Json<SvixEndpoint>> {
    let change = request.settings.with_url(request.url);
    let endpoint = management::change(&app, endpoint, change).await?;
    Ok(Json(endpoint.into()))
}

/// Deletes an endpoint with its attempts.
#[utoipa::path(delete, path = "/app/{app_id}/endpoint/{endpoint_id}", tag = "svix")]
async fn delete_svix_endpoint(
    State(app): State<App>,
    EndpointAccess { endpoint, .. }: EndpointAccess,
) -> SvixResult<NoContent> {
    endpoints::delete(app.pool(), &endpoint.id).await?;
    Ok(NoContent)
}
