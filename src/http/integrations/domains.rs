//! `/integrations/{integration}/domains`: the domains that a project trusts, as a platform sees them.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::project::{Level, ProjectCommand};
use serde_json::{Map, Value, json};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::platform_request::{begin, integration_of, write};
use crate::app::App;
use crate::app::projects::{self as app_projects, string_order};
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{success, whole_list};
use crate::http::internal::projects::fields::web_address;
use crate::http::request::access::AdminAccess;
use crate::http::request::input::Input;
use crate::http::request::values::text;

/// The longest domain, in characters.
const MAX_DOMAIN: usize = 300;
/// How many domains a project may trust before it can be given no more.
const MAX_DOMAINS: usize = 1000;
/// Where the SDK's own pages are, if nobody says.
const HANDLER_PATH: &str = "/handler";

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_domains, trust_domain))
        .routes(routes!(distrust_domain))
}

/// The domains that the project trusts. The integration is `custom` or `neon`.
#[utoipa::path(get, path = "/integrations/{integration}/domains", tag = "integrations", params(("integration" = String, Path)),
    responses((status = 200, description = "`{items: [{domain}], is_paginated}`")))]
async fn list_domains(access: AdminAccess, input: Input) -> ApiResult {
    let (_, form) = begin(&input, &access.caller)?;
    form.no_query().finish(Some(()))?;
    let trusted = access.project.config.domains.trusted_domains.values();
    let mut domains: Vec<&String> = trusted
        .filter_map(|entry| entry.base_url.as_ref())
        .collect();
    domains.sort_by(|a, b| string_order(a, b));
    let items: Vec<Value> = domains
        .into_iter()
        .map(|domain| json!({"domain": domain}))
        .collect();
    Ok(whole_list(&items))
}

/// Trusts another domain. The same one twice is kept twice.
#[utoipa::path(post, path = "/integrations/{integration}/domains", tag = "integrations", params(("integration" = String, Path)), request_body = Value,
    responses((status = 201, description = "`{domain}`"), (status = 400, description = "SCHEMA_ERROR, or there are too many")))]
async fn trust_domain(access: AdminAccess, input: Input) -> ApiResult {
    let (_, form) = begin(&input, &access.caller)?;
    let mut form = form.no_query();
    let mut body = form.body();
    let domain = body.required("domain", origin);
    body.close();
    let domain = form.finish(domain)?;
    if access.project.config.domains.trusted_domains.len() > MAX_DOMAINS {
        let text = format!("The project trusts more than {MAX_DOMAINS} domains already.");
        return Err(ApiError::text(StatusCode::BAD_REQUEST, text));
    }
    let key = format!("domains.trustedDomains.{}", access.app.random.uuid());
    let entry = json!({"baseUrl": domain, "handlerPath": HANDLER_PATH});
    write(&access, Map::from_iter([(key, entry)])).await?;
    Ok((StatusCode::CREATED, Json(json!({"domain": domain}))).into_response())
}

/// Trusts a domain no longer. One that is not trusted is no error.
#[utoipa::path(delete, path = "/integrations/{integration}/domains/{domain}", tag = "integrations", params(("integration" = String, Path), ("domain" = String, Path)),
    responses((status = 200, description = "Trusted no longer")))]
async fn distrust_domain(access: AdminAccess, input: Input) -> ApiResult {
    integration_of(&input)?;
    let mut form = access.form(&input).no_query();
    let mut params = form.params();
    params.ignore("integration");
    let domain = params.required("domain", text);
    params.close();
    let domain = form.finish(domain)?;
    let trusted = access.project.config.domains.trusted_domains.iter();
    let keys = trusted
        .filter(|(_, entry)| entry.base_url.as_ref() == Some(&domain))
        .map(|(id, _)| format!("domains.trustedDomains.{id}"))
        .collect();
    let command = ProjectCommand::ResetOverrides {
        level: Level::Environment,
        keys,
    };
    app_projects::change(
        &access.app,
        access.event_context(),
        access.project_id(),
        vec![command],
    )
    .await?;
    Ok(success())
}

/// A scheme, a host and perhaps a port; the host may hold `*`.
fn origin(value: &Value) -> Result<String, String> {
    let domain = web_address(value)?;
    let rest = domain.split_once("://").map_or("", |(_, rest)| rest);
    if rest.contains(['/', '?', '#', '@', '\\']) {
        return Err("must have no path, query or fragment".to_owned());
    }
    if domain.chars().count() > MAX_DOMAIN {
        return Err(format!("must have at most {MAX_DOMAIN} characters"));
    }
    Ok(domain)
}
