//! Deliveries to an endpoint: how they stand, and doing them again.

use axum::Json;
use axum::extract::State;
use muniment_domain::{Millis, Patch};
use muniment_projections::webhooks::queue;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::answer::Accepted;
use super::error::SvixResult;
use super::request::{EndpointAccess, NamedEndpoint, names_endpoint};
use super::shapes::{shown_time, time};
use crate::app::App;
use crate::app::webhooks::management;
use crate::http::internal::webhooks::MAX_MILLIS;
use crate::http::openapi::operations;
use crate::http::request::declare::request;
use crate::http::request::presence::{nullable, optional, required};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(get_svix_endpoint_stats))
        .routes(operations!(recover_svix_endpoint))
        .routes(operations!(replay_missing_svix_messages))
}

request! {
    /// Of which messages the deliveries are counted.
    struct GetSvixEndpointStats {
        path {
            .. named: NamedEndpoint;
        }
        query(open) {
            /// Of messages from this time on. Without it, from the first.
            since: Option<Millis> = optional(time());
            /// Of messages before this time. Without it, to the last.
            until: Option<Millis> = optional(time());
        }
    }

    /// Of which messages those are sent that did not arrive, or never were sent.
    struct SvixStretch {
        path {
            .. named: NamedEndpoint;
        }
        query(open) {}
        body(open) {
            /// Those from this time on.
            since: Millis = required(time());
            /// Those before this time. Without it, or with null, to the last.
            until: Patch<Millis> = nullable(time());
        }
    }
}

names_endpoint!(GetSvixEndpointStats, SvixStretch);

impl From<SvixStretch> for (Millis, Millis) {
    fn from(stretch: SvixStretch) -> Self {
        let until = stretch.until.into_value();
        (stretch.since, until.unwrap_or(Millis(MAX_MILLIS)))
    }
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
    }: EndpointAccess<SvixStretch>,
) -> SvixResult<Accepted<SvixTask>> {
    let stretch = request.into();
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
    }: EndpointAccess<SvixStretch>,
) -> SvixResult<Accepted<SvixTask>> {
    let stretch = request.into();
    management::replay(&app, &access.delivery_client, &endpoint, stretch).await?;
    let (status, task) = (SvixTaskStatus::Running, SvixTaskKind::Replay);
    Ok(SvixTask::of(&app, status, task))
}
