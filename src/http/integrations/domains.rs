//! `/integrations/{integration}/domains`: the domains that a project trusts, as a platform sees them.

use axum::Json;
use muniment_domain::project::{Level, ProjectCommand};
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::platform_request::{NamedIntegration, write};
use crate::app::App;
use crate::app::projects::{self as app_projects, string_order};
use crate::error::codes::{Errors, Text};
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{Created, List, Success};
use crate::http::internal::projects::fields::web_address;
use crate::http::openapi::operations;
use crate::http::request::access::AdminAccess;
use crate::http::request::declare::{NoInput, request};
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::text;
use crate::http::request::shape::{Shape, scalar};

/// The longest domain, in characters.
const MAX_DOMAIN: usize = 300;
/// How many domains a project may trust before it can be given no more.
const MAX_DOMAINS: usize = 1000;
/// Where the SDK's own pages are, if nobody says.
const HANDLER_PATH: &str = "/handler";

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_trusted_domains, trust_domain))
        .routes(operations!(distrust_domain))
}

request! {
    /// A domain to be trusted.
    struct TrustDomain {
        body {
            /// A scheme, `http` or `https`, a host and perhaps a port; the host may hold `*`.
            domain: String = required(origin());
        }
        example {"domain": "https://app.example.com"}
    }

    /// A domain that is trusted no longer.
    struct DistrustDomain {
        path(open) {
            /// The domain, as it was given.
            domain: String = required(text());
        }
    }
}

/// A domain that a project trusts.
#[derive(Serialize, ToSchema)]
struct DomainView {
    /// A scheme, a host and perhaps a port.
    domain: String,
}

/// Lists the domains that the project trusts.
#[utoipa::path(
    get,
    path = "/integrations/{integration}/domains",
    tag = "integrations"
)]
async fn list_trusted_domains(
    access: AdminAccess,
    _: NamedIntegration,
    _: NoInput,
) -> ApiResult<Json<List<DomainView>>> {
    let trusted = access.project.config.domains.trusted_domains.values();
    let mut domains: Vec<&String> = trusted
        .filter_map(|entry| entry.base_url.as_ref())
        .collect();
    domains.sort_by(|a, b| string_order(a, b));
    let view = |domain: &String| DomainView {
        domain: domain.clone(),
    };
    Ok(List::of(domains.into_iter().map(view).collect()))
}

/// Trusts another domain.
///
/// The same one twice is kept twice. A project may trust a thousand and one.
#[utoipa::path(post, path = "/integrations/{integration}/domains", tag = "integrations",
    responses(Errors<Text<400>>))]
async fn trust_domain(
    access: AdminAccess,
    _: NamedIntegration,
    TrustDomain { domain }: TrustDomain,
) -> ApiResult<Created<DomainView>> {
    if access.project.config.domains.trusted_domains.len() > MAX_DOMAINS {
        let text = format!("The project trusts more than {MAX_DOMAINS} domains already.");
        return Err(ApiError::bad_request(text));
    }
    let key = format!("domains.trustedDomains.{}", access.app.random.uuid());
    let entry = json!({"baseUrl": domain, "handlerPath": HANDLER_PATH});
    write(&access, Map::from_iter([(key, entry)])).await?;
    Ok(Created(DomainView { domain }))
}

/// Trusts a domain no longer.
///
/// One that is not trusted is no error.
#[utoipa::path(delete, path = "/integrations/{integration}/domains/{domain}", tag = "integrations",
    responses(Errors<Text<400>>))]
async fn distrust_domain(
    access: AdminAccess,
    _: NamedIntegration,
    DistrustDomain { domain }: DistrustDomain,
) -> ApiResult<Json<Success>> {
    let trusted = access.project.config.domains.trusted_domains.iter();
    let keys = trusted
        .filter(|(_, entry)| entry.base_url.as_ref() == Some(&domain))
        .map(|(id, _)| format!("domains.trustedDomains.{id}"))
        .collect();
    let command = ProjectCommand::ResetOverrides {
        level: Level::Environment,
        keys,
    };
    let (app, project) = (&access.app, access.project_id());
    app_projects::change(app, access.event_context(), project, vec![command]).await?;
    Ok(Success::ANSWER)
}

/// A scheme, a host and perhaps a port; the host may hold `*`.
fn origin() -> impl Shape<Value = String> {
    let schema = || {
        json!({
            "type": "string",
            "pattern": r"^https?://[^/?#@\\ ]+$",
            "maxLength": MAX_DOMAIN,
        })
    };
    scalar(read_origin, schema)
}

fn read_origin(value: &Value) -> Result<String, String> {
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
