//! `/health` and `/metrics`, for operators of the server.

use axum::Json;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use muniment_event_store::subscription::{self, count_set_aside};
use muniment_projections::telemetry::spool;
use muniment_projections::webhooks::queue;
use serde_json::json;
use std::collections::HashMap;
use std::sync::OnceLock;

use crate::app::App;

/// The subscription that makes messages of events.
const WEBHOOKS: &str = "webhooks";

/// The metrics of this process.
#[derive(Clone)]
pub struct Metrics(Option<PrometheusHandle>);

impl Metrics {
    /// Starts to collect. Servers in one process, as in tests, share what they collect.
    #[must_use]
    pub fn collect() -> Self {
        static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
        let install = || PrometheusBuilder::new().install_recorder().ok();
        Self(HANDLE.get_or_init(install).clone())
    }
}

/// The routes of this file.
pub(super) fn router(metrics: Metrics) -> Router<App> {
    Router::new()
        .route("/health", get(health).options(health_options))
        .route(
            "/metrics",
            get(move |app: State<App>| render_metrics(app, metrics)),
        )
}

/// Whether the server is up, and with `?db=…` whether it can write to the database. Load balancers ask
/// the former, so that a database that restarts does not take every server out of rotation.
async fn health(State(app): State<App>, Query(query): Query<HashMap<String, String>>) -> Response {
    let asks_for_database = query.get("db").is_some_and(|value| !value.is_empty());
    if asks_for_database {
        let is_read_only = sqlx::query_scalar!(
            r#"SELECT current_setting('transaction_read_only')::boolean AS "is_read_only!""#
        );
        let trouble = match is_read_only.fetch_one(app.pool()).await {
            Ok(false) => None,
            Ok(true) => Some("The database is read-only."),
            Err(error) => {
                tracing::error!(%error, "the database is not reachable");
                Some("The database is not reachable.")
            }
        };
        if let Some(text) = trouble {
            return open_to_all((StatusCode::INTERNAL_SERVER_ERROR, text).into_response());
        }
    }
    let mut status = json!({"status": "ok"});
    if asks_for_database && let Ok(unreadable @ 1..) = count_set_aside(app.pool()).await {
        status["unreadable_events"] = json!(unreadable);
    }
    open_to_all(Json(status).into_response())
}

async fn health_options() -> Response {
    open_to_all(StatusCode::OK.into_response())
}

fn open_to_all(mut response: Response) -> Response {
    for name in [
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        header::ACCESS_CONTROL_ALLOW_METHODS,
        header::ACCESS_CONTROL_ALLOW_HEADERS,
    ] {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static("*"));
    }
    response
}

async fn render_metrics(State(app): State<App>, Metrics(handle): Metrics) -> Response {
    let Some(handle) = handle else {
        let text = "Another recorder collects this process's metrics.";
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    };
    let mut untold = 0.0;
    match subscription::lags(app.pool()).await {
        Ok(lags) => {
            for lag in lags {
                if lag.name == WEBHOOKS {
                    untold = lag.seconds;
                }
                let events = metrics::gauge!("muniment_subscription_lag_events", "subscription" => lag.name.clone());
                #[allow(clippy::cast_precision_loss, reason = "at most 10,000")]
                events.set(lag.events as f64);
                metrics::gauge!("muniment_subscription_lag_seconds", "subscription" => lag.name)
                    .set(lag.seconds);
            }
        }
        Err(error) => tracing::warn!(%error, "the subscriptions' lag could not be read"),
    }
    note_unreadable(&app).await;
    note_slow_appenders(&app).await;
    note_webhooks(&app, untold).await;
    note_telemetry(&app).await;
    let pool = app.pool();
    metrics::gauge!("muniment_database_connections").set(f64::from(pool.size()));
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], handle.render()).into_response()
}

/// How many events the subscriptions passed over because they could not be read.
async fn note_unreadable(app: &App) {
    match count_set_aside(app.pool()).await {
        #[allow(clippy::cast_precision_loss, reason = "a count")]
        Ok(count) => metrics::gauge!("muniment_unreadable_events").set(count as f64),
        Err(error) => tracing::warn!(%error, "events that were set aside could not be counted"),
    }
}

/// How much telemetry waits for the analytics store, and since when.
async fn note_telemetry(app: &App) {
    match spool::backlog(app.pool()).await {
        Ok(backlog) => {
            let waiting = backlog.oldest.map_or(0, |oldest| app.now().0 - oldest);
            #[allow(clippy::cast_precision_loss, reason = "counts, and milliseconds")]
            let (rows, refused, waiting) = (
                backlog.waiting as f64,
                backlog.refused as f64,
                waiting.max(0) as f64 / 1000.0,
            );
            metrics::gauge!("muniment_telemetry_spool_rows").set(rows);
            metrics::gauge!("muniment_telemetry_spool_age_seconds").set(waiting);
            metrics::gauge!("muniment_telemetry_refused_rows").set(refused);
        }
        Err(error) => tracing::warn!(%error, "the telemetry spool could not be read"),
    }
}

/// For how long the oldest append has been running, which all subscriptions wait for.
async fn note_slow_appenders(app: &App) {
    match subscription::slow_appenders(app.pool(), 0.0).await {
        Ok(slow) => {
            let oldest = slow.first().map_or(0.0, |slow| slow.seconds);
            metrics::gauge!("muniment_append_running_seconds").set(oldest);
        }
        Err(error) => tracing::warn!(%error, "running appends could not be read"),
    }
}

/// How many webhooks are due, and for how long the oldest of them has been: since it was to be sent, or
/// since the event that no message has been made of yet, `untold` seconds ago.
async fn note_webhooks(app: &App, untold: f64) {
    let now = app.now();
    match queue::backlog(app.pool(), now).await {
        Ok(backlog) => {
            let waiting = backlog.oldest.map_or(0, |oldest| now.0 - oldest);
            #[allow(
                clippy::cast_precision_loss,
                reason = "at most 20,000, and milliseconds"
            )]
            let (due, waiting) = (backlog.due as f64, waiting as f64 / 1000.0);
            metrics::gauge!("muniment_webhook_backlog").set(due);
            metrics::gauge!("muniment_webhook_lag_seconds").set(waiting.max(untold));
        }
        Err(error) => tracing::warn!(%error, "the backlog of webhooks could not be read"),
    }
}
