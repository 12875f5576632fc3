//! `/internal/analytics/…`: SQL over the project's own rows.

use std::time::{Duration, Instant};

use axum::Json;
use axum::http::StatusCode;
use muniment_domain::MAIN_BRANCH;
use muniment_projections::analytics::{AnalyticsError, AnalyticsStore, QueryTiming, TenantQuery};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::app::{App, QueryErrors};
use crate::error::codes::{AnalyticsQueryError, Errors, ItemNotFound, Text};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::openapi::operations;
use crate::http::request::access::{AdminAccess, ServerAccess};
use crate::http::request::caller::Auth;
use crate::http::request::declare::request;
use crate::http::request::presence::{or_default, required};
use crate::http::request::shape::Shape;
use crate::http::request::shape::scalars::{boolean, integer, json_object, non_empty_text};

/// How long a query may run, in milliseconds.
const TIMEOUT_MILLIS: std::ops::RangeInclusive<i64> = 1_000..=120_000;
const DEFAULT_TIMEOUT_MILLIS: i64 = 10_000;
/// ClickHouse's codes of errors whose text says nothing of other people's tables: syntax, limits,
/// settings in a query, `merge`.
const VISIBLE_CODES: [u32; 6] = [62, 158, 159, 164, 396, 636];
/// Codes of errors that callers make, and whose texts name what they may not know of.
const HIDDEN_CODES: [u32; 6] = [36, 43, 47, 60, 386, 497];
/// A server writes its query log every few seconds.
const TIMING_PAUSES: [Duration; 7] = [
    Duration::from_millis(75),
    Duration::from_millis(150),
    Duration::from_millis(300),
    Duration::from_millis(600),
    Duration::from_millis(1_200),
    Duration::from_millis(2_400),
    Duration::from_millis(4_800),
];

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(run_analytics_query))
        .routes(operations!(get_analytics_query_timing))
}

request! {
    /// A query to run.
    struct RunAnalyticsQuery {
        body {
            /// The query, in ClickHouse's SQL.
            query: String = required(non_empty_text());
            /// The values of the parameters that the query has as `{name:Type}`, by their names.
            params: Map<String, Value> = or_default(json_object().map(members), Map::new());
            /// How long the query may run, in milliseconds.
            timeout as "timeout_ms": Duration = or_default(timeout(), DEFAULT_TIMEOUT_MILLIS);
            /// Whether rows of all branches are to be queried, which this server cannot do.
            all_branches as "include_all_branches": bool = or_default(boolean(), false);
        }
        example {"query": "SELECT event_type, count() FROM events GROUP BY event_type"}
    }

    /// The query whose timing is asked for.
    struct GetAnalyticsQueryTiming {
        body {
            /// The query's id, as it was answered.
            query_id: String = required(non_empty_text());
        }
    }
}

fn timeout() -> impl Shape<Value = Duration> {
    integer(TIMEOUT_MILLIS).map(|millis| Duration::from_millis(millis.unsigned_abs()))
}

fn members(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

/// What a query yielded.
#[derive(Serialize, ToSchema)]
struct AnalyticsQueryResult {
    /// The rows, each an object with a member for every column.
    #[schema(value_type = Vec<Object>)]
    result: Vec<Box<RawValue>>,
    /// The query's id, by which its timing can be asked for.
    query_id: String,
}

/// What a query took.
#[derive(Serialize, ToSchema)]
struct AnalyticsQueryTiming {
    stats: AnalyticsQueryStats,
}

/// What a query took, summed over threads.
#[derive(Serialize, ToSchema)]
struct AnalyticsQueryStats {
    /// Time of the processor, in milliseconds.
    cpu_time: f64,
    /// Time as the clock on the wall has it, in milliseconds.
    wall_clock_time: f64,
}

/// Runs a query over the project's own rows.
///
/// The query is in ClickHouse's SQL, and may only read.
#[utoipa::path(post, path = "/internal/analytics/query", tag = "analytics",
    responses(Errors<(AnalyticsQueryError, Text<503>)>))]
async fn run_analytics_query(
    access: AdminAccess,
    wanted: RunAnalyticsQuery,
) -> ApiResult<Json<AnalyticsQueryResult>> {
    if wanted.all_branches {
        return Err(ApiError::internal("include_all_branches is not supported"));
    }
    let query_id = format!("{}{}", own_prefix(&access), access.app.random.uuid());
    let query = TenantQuery {
        query_id: &query_id,
        project_id: access.project_id().as_str(),
        branch_id: MAIN_BRANCH,
        text: &wanted.query,
        params: &wanted.params,
        timeout: wanted.timeout,
    };
    let result = run(&access.app, query).await?;
    Ok(Json(AnalyticsQueryResult { result, query_id }))
}

/// Runs a query, and measures it. Yields its rows.
async fn run(app: &App, query: TenantQuery<'_>) -> ApiResult<Vec<Box<RawValue>>> {
    let store = store(app)?;
    let started = Instant::now();
    let answer = store.tenant_query(query).await;
    metrics::histogram!("muniment_analytics_query_seconds").record(started.elapsed());
    let outcome = if answer.is_ok() { "answered" } else { "failed" };
    metrics::counter!("muniment_analytics_queries_total", "outcome" => outcome).increment(1);
    let answer = answer.map_err(|error| failure(&error, app.query_errors))?;
    Ok(answer.rows)
}

/// Says what a query took.
#[utoipa::path(post, path = "/internal/analytics/query/timing", tag = "analytics",
    responses(Errors<(ItemNotFound, Text<503>)>))]
async fn get_analytics_query_timing(
    access: ServerAccess,
    GetAnalyticsQueryTiming { query_id }: GetAnalyticsQueryTiming,
) -> ApiResult<Json<AnalyticsQueryTiming>> {
    let unknown = || KnownError::analytics_query_not_found(&query_id);
    if !query_id.starts_with(&own_prefix(&access)) {
        return Err(unknown().into());
    }
    let timing = logged_timing(store(&access.app)?, &query_id).await?;
    let timing = timing.ok_or_else(unknown)?;
    let stats = AnalyticsQueryStats {
        cpu_time: timing.cpu_millis,
        wall_clock_time: timing.wall_clock_millis,
    };
    Ok(Json(AnalyticsQueryTiming { stats }))
}

/// Looks into the query log until the query is there, or patience ends.
async fn logged_timing(
    store: &AnalyticsStore,
    query_id: &str,
) -> Result<Option<QueryTiming>, ApiError> {
    for pause in TIMING_PAUSES {
        let timing = store.timing(query_id).await.map_err(ApiError::internal)?;
        if timing.is_some() {
            return Ok(timing);
        }
        tokio::time::sleep(pause).await;
    }
    store.timing(query_id).await.map_err(ApiError::internal)
}

/// What the ids of a project's queries begin with.
fn own_prefix(auth: &Auth) -> String {
    format!("{}:{MAIN_BRANCH}:", auth.project_id().as_str())
}

/// The store, if there is one.
fn store(app: &App) -> Result<&AnalyticsStore, ApiError> {
    app.analytics.as_ref().ok_or_else(|| {
        ApiError::text(
            StatusCode::SERVICE_UNAVAILABLE,
            "This server has no analytics store. Whoever runs it can name a ClickHouse server in CLICKHOUSE_URL.",
        )
    })
}

/// What the caller learns of a failure.
fn failure(error: &AnalyticsError, shown: QueryErrors) -> ApiError {
    match error {
        AnalyticsError::Refused { code, message } if VISIBLE_CODES.contains(code) => {
            KnownError::analytics_query_error(message.clone()).into()
        }
        AnalyticsError::Refused { code, message } => {
            if !HIDDEN_CODES.contains(code) {
                tracing::error!(%error, "a query failed for a reason of the analytics store's");
            }
            hidden(&format!("{code} {message}"), shown)
        }
        AnalyticsError::Unreachable(why) => {
            tracing::error!(%error, "a query did not reach the analytics store");
            hidden(why, shown)
        }
        AnalyticsError::Unreadable(why) => ApiError::internal(why.clone()),
    }
}

fn hidden(why: &str, shown: QueryErrors) -> ApiError {
    let mut text = "The query could not be run. Check that the tables, columns and functions it names exist, that \
        types match, and that it only reads."
        .to_owned();
    if shown == QueryErrors::Shown {
        text.push_str("\n\nShown in development only: ");
        text.push_str(why);
    }
    KnownError::analytics_query_error(text).into()
}
