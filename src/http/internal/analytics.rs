//! `/internal/analytics/…`: SQL over the project's own rows.

use std::time::{Duration, Instant};

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::MAIN_BRANCH;
use muniment_projections::analytics::{AnalyticsError, AnalyticsStore, QueryTiming, TenantQuery};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::{App, QueryErrors};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::{AdminAccess, ServerAccess};
use crate::http::request::caller::Auth;
use crate::http::request::input::Input;
use crate::http::request::values::{boolean, integer, json_object, non_empty_text};

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
        .routes(routes!(query))
        .routes(routes!(timing))
}

/// The answer to a query.
#[derive(Serialize)]
struct Answer {
    result: Vec<Box<RawValue>>,
    query_id: String,
}

/// Runs a query, in ClickHouse's SQL, over the project's own rows.
#[utoipa::path(post, path = "/internal/analytics/query", tag = "analytics", request_body = Value,
    responses((status = 200, description = "`{result, query_id}`: the rows, each an object"), (status = 400, description = "SCHEMA_ERROR, ANALYTICS_QUERY_ERROR"), (status = 503, description = "There is no analytics store")))]
async fn query(access: AdminAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut body = form.body();
    let text = body.required("query", non_empty_text);
    let params = body.or_default("params", object, Map::new());
    let timeout = body.or_default(
        "timeout_ms",
        integer(TIMEOUT_MILLIS),
        DEFAULT_TIMEOUT_MILLIS,
    );
    let all_branches = body.or_default("include_all_branches", boolean, false);
    body.close();
    let (text, params, timeout, all_branches) =
        form.finish((|| Some((text?, params?, timeout?, all_branches?)))())?;
    if all_branches {
        return Err(ApiError::internal("include_all_branches is not supported"));
    }
    let query_id = format!("{}{}", own_prefix(&access), access.app.random.uuid());
    let query = TenantQuery {
        query_id: &query_id,
        project_id: access.project_id().as_str(),
        branch_id: MAIN_BRANCH,
        text: &text,
        params: &params,
        timeout: Duration::from_millis(timeout.unsigned_abs()),
    };
    let result = run(&access.app, query).await?;
    Ok(Json(Answer { result, query_id }).into_response())
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

/// What a query took.
#[utoipa::path(post, path = "/internal/analytics/query/timing", tag = "analytics", request_body = Value,
    responses((status = 200, description = "`{stats: {cpu_time, wall_clock_time}}`, in milliseconds"), (status = 400, description = "SCHEMA_ERROR"), (status = 404, description = "ITEM_NOT_FOUND"), (status = 503, description = "There is no analytics store")))]
async fn timing(access: ServerAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut body = form.body();
    let query_id = body.required("query_id", non_empty_text);
    body.close();
    let query_id = form.finish(query_id)?;
    if !query_id.starts_with(&own_prefix(&access)) {
        return Err(KnownError::analytics_query_not_found(&query_id).into());
    }
    let timing = logged_timing(store(&access.app)?, &query_id).await?;
    let QueryTiming {
        cpu_millis,
        wall_clock_millis,
    } = timing.ok_or_else(|| KnownError::analytics_query_not_found(&query_id))?;
    let stats = json!({"cpu_time": cpu_millis, "wall_clock_time": wall_clock_millis});
    Ok(Json(json!({"stats": stats})).into_response())
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

fn object(value: &Value) -> Result<Map<String, Value>, String> {
    match json_object(value)? {
        Value::Object(object) => Ok(object),
        _ => Err("must be an object".to_owned()),
    }
}

/// What the ids of a project's queries begin with.
fn own_prefix(auth: &Auth) -> String {
    format!("{}:{MAIN_BRANCH}:", auth.project_id().as_str())
}

/// The store, if there is one.
pub(crate) fn store(app: &App) -> Result<&AnalyticsStore, ApiError> {
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
