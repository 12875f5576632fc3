//! `/docs`: the reference as a page on which requests can be tried.

use axum::Router;
use axum::http::header;
use axum::routing::get;
use serde_json::{Value, json};
use utoipa_swagger_ui::SwaggerUi;

use crate::app::App;

/// The page's own start-up script. It fills in credentials, which Swagger UI offers no setting for.
const SCRIPT: &str = include_str!("swagger-initializer.js");

/// `/docs` and `/openapi.json`. `credentials` are filled in: values by the names of security schemes.
pub(in crate::http) fn pages(
    document: Value,
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
        .merge(SwaggerUi::new("/docs").external_url_unchecked("/openapi.json", document))
}
