//! `/docs`: the reference as a page on which requests can be tried.

use std::sync::OnceLock;

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::app::App;
use crate::error::ApiError;

/// The page's own start-up script. It fills in credentials, which Swagger UI offers no setting for.
const SCRIPT: &str = include_str!("swagger-initializer.js");

/// `/docs`, and at `/openapi.json` what `document` yields. `credentials` are filled in: values by the
/// names of security schemes.
pub(in crate::http) fn pages(
    document: fn() -> Value,
    credentials: &[(&'static str, String)],
) -> Router<App> {
    let credentials: Value = credentials
        .iter()
        .map(|(scheme, value)| ((*scheme).to_owned(), json!(value)))
        .collect();
    // The text stands in a script of its own, not within HTML: JSON is all the escaping it needs.
    let script = SCRIPT.replace("$CREDENTIALS", &credentials.to_string());
    let kind = [(header::CONTENT_TYPE, "text/javascript; charset=utf-8")];
    Router::new()
        .route(
            "/docs/swagger-initializer.js",
            get(move || async move { (kind, script) }),
        )
        .route("/openapi.json", get(move || show(document)))
        .merge(SwaggerUi::new("/docs").config(Config::from("/openapi.json")))
}

/// The document, made when it is asked for first. It is the same for every server of a process.
async fn show(document: fn() -> Value) -> Response {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let make = move || {
        DOCUMENT
            .get_or_init(|| document().to_string().into())
            .clone()
    };
    let kind = [(header::CONTENT_TYPE, "application/json")];
    match tokio::task::spawn_blocking(make).await {
        Ok(document) => (kind, document).into_response(),
        Err(error) => ApiError::internal(error).into_response(),
    }
}
