//! Endpoints: their settings, and how deliveries to them stand.

use axum::Json;
use axum::extract::State;
use muniment_domain::{Millis, Patch};
use muniment_projections::webhooks::endpoints::{self, Endpoint};
use muniment_projections::webhooks::queue;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::access::Access;
use super::answer::{Accepted, SvixPage};
use super::error::{SvixRefusal, SvixResult};
use super::page::{Page, WantedPage};
use super::request::{Application, EndpointAccess, SvixRequest, names_endpoint};
use super::shapes::{
    channels, custom_headers, description, endpoint_url, event_types, metadata, shown_time,
    signing_secret, time, uid,
};
use crate::app::App;
use crate::app::webhooks::management;
use crate::app::webhooks::settings::EndpointChange;
use crate::http::answer::{Created, NoContent};
use crate::http::internal::webhooks::MAX_MILLIS;
use crate::http::openapi::operations;
use crate::http::request::declare::{fields, request};
use crate::http::request::presence::{nullable, optional, or_default, required};
use crate::http::request::shape::Shape;
use crate::http::request::shape::scalars::{boolean, integer, one_of, text};

/// The most messages per second that an endpoint may be limited to.
const MAX_RATE: i64 = 10_000;

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
        .routes(operations!(get_svix_endpoint_stats))
        .routes(operations!(recover_svix_endpoint))
        .routes(operations!(replay_missing_svix_messages))
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
            .. _application: Application;
            /// The endpoint's id or uid.
            endpoint_id: String = required(text());
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
            .. _application: Application;
            /// The endpoint's id or uid.
            endpoint_id: String = required(text());
        }
        query(open) {}
        body(open) {
            .. settings: EndpointSettings;
            /// Where messages are sent to: an `http` or `https` URL.
            url: Option<String> = optional(endpoint_url());
        }
    }

    /// Of which messages the deliveries are counted.
    struct GetSvixEndpointStats {
        path {
            .. _application: Application;
            /// The endpoint's id or uid.
            endpoint_id: String = required(text());
        }
        query(open) {
            /// Of messages from this time on. Without it, from the first.
            since: Option<Millis> = optional(time());
            /// Of messages before this time. Without it, to the last.
            until: Option<Millis> = optional(time());
        }
    }

    /// Of which messages those are sent that did not arrive.
    struct RecoverSvixEndpoint {
        path {
            .. _application: Application;
            /// The endpoint's id or uid.
            endpoint_id: String = required(text());
        }
        query(open) {}
        body(open) {
            .. stretch: Stretch;
        }
    }

    /// Of which messages those are sent that never were.
    struct ReplayMissingSvixMessages {
        path {
            .. _application: Application;
            /// The endpoint's id or uid.
            endpoint_id: String = required(text());
        }
        query(open) {}
        body(open) {
            .. stretch: Stretch;
        }
    }
}

names_endpoint!(
    ReplaceSvixEndpoint,
    UpdateSvixEndpoint,
    GetSvixEndpointStats,
    RecoverSvixEndpoint,
    ReplayMissingSvixMessages,
);

fields! {
    /// What an endpoint is set to, but for its URL and its secret. Null stands for what an endpoint has
    /// from the start.
    struct EndpointSettings {
        /// What the endpoint is for. Null for nothing in particular.
        description: Patch<String> = nullable(description());
        /// Whether nothing is sent to the endpoint. Null for false.
        disabled: Patch<bool> = nullable(boolean());
        /// Headers that are sent along, by name. Null for none.
        headers: Patch<Value> = nullable(custom_headers());
        /// Texts that are kept with the endpoint, by name. Null for none.
        metadata: Patch<Value> = nullable(metadata());
        /// The project's own name for the endpoint, of 1 to 256 letters, digits, `-`, `_` and `.`. Null
        /// for none.
        uid: Patch<String> = nullable(uid());
        /// Names of channels. Null for none.
        channels: Patch<Vec<String>> = nullable(channels());
        /// Older libraries' name for `eventTypes`, which wins.
        filter_types as "filterTypes": Patch<Vec<String>> = nullable(event_types());
        /// The types of events that the endpoint wants to hear of. Null, or none, for all.
        event_types as "eventTypes": Patch<Vec<String>> = nullable(event_types());
        /// Older libraries' name for `throttleRate`, which wins.
        rate_limit as "rateLimit": Patch<i32> = nullable(rate());
        /// How many messages are sent per second, at most. Null for as many as there are.
        throttle_rate as "throttleRate": Patch<i32> = nullable(rate());
    }

    /// A stretch of time.
    struct Stretch {
        /// From this time on.
        since: Millis = required(time());
        /// Before this time. Without it, or with null, to the end.
        until: Patch<Millis> = nullable(time());
    }
}

fn rate() -> impl Shape<Value = i32> {
    integer(1..=MAX_RATE).refine(|rate| i32::try_from(rate).map_err(|error| error.to_string()))
}

impl EndpointSettings {
    fn with_url(self, url: Option<String>) -> EndpointChange {
        EndpointChange {
            url,
            description: or_first(self.description, String::new()),
            is_disabled: or_first(self.disabled, false),
            filter_types: newest(self.event_types, self.filter_types),
            headers: or_first(self.headers, json!({})),
            uid: self.uid,
            channels: self.channels,
            metadata: or_first(self.metadata, json!({})),
            rate_limit: newest(self.throttle_rate, self.rate_limit),
        }
    }
}

fn or_first<T>(patch: Patch<T>, first: T) -> Option<T> {
    match patch {
        Patch::Keep => None,
        Patch::Clear => Some(first),
        Patch::Set(value) => Some(value),
    }
}

/// The field under its newer name, if it was mentioned; else under the older one.
fn newest<T>(newer: Patch<T>, older: Patch<T>) -> Patch<T> {
    if newer.is_keep() { older } else { newer }
}

impl From<Stretch> for (Millis, Millis) {
    fn from(stretch: Stretch) -> Self {
        let until = stretch.until.into_value();
        (stretch.since, until.unwrap_or(Millis(MAX_MILLIS)))
    }
}

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

/// How many deliveries stand how.
#[derive(Serialize, ToSchema)]
struct SvixEndpointStats {
    /// Always 0.
    canceled: u8,
    /// How many were given up.
    fail: i64,
    /// How many are to be tried, for the first time or again.
    pending: i64,
    /// Always 0: what is on its way counts as pending, because it becomes something else within seconds.
    sending: u8,
    /// How many arrived.
    success: i64,
}

/// Counts the deliveries to an endpoint, by how they stand.
#[utoipa::path(get, path = "/app/{app_id}/endpoint/{endpoint_id}/stats", tag = "svix")]
async fn get_svix_endpoint_stats(
    State(app): State<App>,
    EndpointAccess {
        endpoint, request, ..
    }: EndpointAccess<GetSvixEndpointStats>,
) -> SvixResult<Json<SvixEndpointStats>> {
    let stretch = (
        request.since.unwrap_or(Millis(0)),
        request.until.unwrap_or(Millis(MAX_MILLIS)),
    );
    let stats = queue::stats(app.pool(), &endpoint.id, stretch).await?;
    Ok(Json(SvixEndpointStats {
        canceled: 0,
        fail: stats.fail,
        pending: stats.pending,
        sending: 0,
        success: stats.success,
    }))
}

/// Something that takes a while.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SvixTask {
    /// The id: `qtask_…`.
    id: String,
    status: SvixTaskStatus,
    task: SvixTaskKind,
    /// When the status was last changed, in RFC 3339.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// How a task stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SvixTaskStatus {
    /// It goes on.
    Running,
    /// It is done.
    Finished,
}

/// What a task does.
#[derive(Serialize, ToSchema)]
enum SvixTaskKind {
    /// It sends again what failed.
    #[serde(rename = "endpoint.recover")]
    Recover,
    /// It sends what was never sent.
    #[serde(rename = "endpoint.replay")]
    Replay,
}

impl SvixTask {
    fn of(app: &App, status: SvixTaskStatus, task: SvixTaskKind) -> Accepted<Self> {
        Accepted(Self {
            id: format!("qtask_{}", app.random.base62(27)),
            status,
            task,
            updated_at: shown_time(app.now().0),
        })
    }
}

/// Sends again what failed, of the messages of a stretch of time.
#[utoipa::path(
    post,
    path = "/app/{app_id}/endpoint/{endpoint_id}/recover",
    tag = "svix"
)]
async fn recover_svix_endpoint(
    State(app): State<App>,
    EndpointAccess {
        access,
        endpoint,
        request,
    }: EndpointAccess<RecoverSvixEndpoint>,
) -> SvixResult<Accepted<SvixTask>> {
    let stretch = request.stretch.into();
    management::recover(&app, &access.delivery_client, &endpoint, stretch).await?;
    let (status, task) = (SvixTaskStatus::Finished, SvixTaskKind::Recover);
    Ok(SvixTask::of(&app, status, task))
}

/// Sends what was never sent to the endpoint, of the messages of a stretch of time.
#[utoipa::path(
    post,
    path = "/app/{app_id}/endpoint/{endpoint_id}/replay-missing",
    tag = "svix"
)]
async fn replay_missing_svix_messages(
    State(app): State<App>,
    EndpointAccess {
        access,
        endpoint,
        request,
    }: EndpointAccess<ReplayMissingSvixMessages>,
) -> SvixResult<Accepted<SvixTask>> {
    let stretch = request.stretch.into();
    management::replay(&app, &access.delivery_client, &endpoint, stretch).await?;
    let (status, task) = (SvixTaskStatus::Running, SvixTaskKind::Replay);
    Ok(SvixTask::of(&app, status, task))
}
