//! Applications, of which a token knows one.

use axum::Json;
use axum::extract::State;
use axum::routing::post;
use muniment_domain::Patch;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use super::access::Access;
use super::error::{SvixError, SvixErrorCode, SvixRefusal, SvixResult};
use super::request::{ApplicationPath, SvixRequest};
use super::shapes::shown_time;
use crate::app::App;
use crate::app::projects::directory::LoadedProject;
use crate::error::ApiError;
use crate::http::answer::Empty;
use crate::http::openapi::operations;
use crate::http::request::declare::request;
use crate::http::request::presence::{nullable, or_default, required};
use crate::http::request::shape::scalars::{query_boolean, text};

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(create_svix_application))
        .route("/app/", post(create_svix_application))
        .routes(operations!(create_svix_portal_access))
}

request! {
    /// The application that is wanted.
    struct CreateSvixApplication {
        query(open) {
            /// Whether the application is answered if it is there already, which it always is.
            get_if_exists: bool = or_default(query_boolean(), "false");
        }
        body(open) {
            /// The application's name. It is the project's, whatever stands here.
            _name as "name": String = required(text());
            /// The application's uid. It has to be the project's id.
            uid: Patch<String> = nullable(text());
        }
    }
}

/// The application of a project.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SvixApplication {
    /// When the project was made, in RFC 3339.
    #[schema(format = DateTime)]
    created_at: String,
    /// The project's id.
    id: String,
    /// Always empty.
    metadata: Empty,
    /// The project's name.
    name: String,
    /// Always null: an application has no limit of its own.
    #[schema(required)]
    rate_limit: Option<u16>,
    /// Always null: an application has no limit of its own.
    #[schema(required)]
    throttle_rate: Option<u16>,
    /// The project's id.
    uid: String,
    /// When the project was made, in RFC 3339.
    #[schema(format = DateTime)]
    updated_at: String,
}

impl SvixApplication {
    fn of(project: &LoadedProject) -> Self {
        let created_at = shown_time(project.created_at.0);
        Self {
            updated_at: created_at.clone(),
            created_at,
            id: project.id.to_string(),
            metadata: Empty {},
            name: project.profile.display_name.clone(),
            rate_limit: None,
            throttle_rate: None,
            uid: project.id.to_string(),
        }
    }
}

/// Shows the project's application.
///
/// It is there as long as the project is, so it has to be asked for with `get_if_exists=true`.
#[utoipa::path(post, path = "/app", tag = "svix", responses(
    (status = 403, description = "insufficient_permissions", body = SvixRefusal),
    (status = 409, description = "conflict", body = SvixRefusal)))]
async fn create_svix_application(
    State(app): State<App>,
    access: Access,
    SvixRequest(wanted): SvixRequest<CreateSvixApplication>,
) -> SvixResult<Json<SvixApplication>> {
    let project = app.projects.find(access.project()).await?;
    let project = project.ok_or_else(SvixError::unauthenticated)?;
    if wanted.uid.into_value().as_deref() != Some(project.id.as_str()) {
        return Err(another_application());
    }
    if !wanted.get_if_exists {
        return Err(SvixError::conflict(
            "The application is there. Ask for it with get_if_exists=true.",
        ));
    }
    Ok(Json(SvixApplication::of(&project)))
}

fn another_application() -> SvixError {
    let detail = "The token is for the application whose uid is the project's id, and no other.";
    SvixError::Refused(SvixErrorCode::InsufficientPermissions, detail.to_owned())
}

/// A token, and where it can be used.
#[derive(Serialize, ToSchema)]
struct SvixPortalAccess {
    /// The token.
    token: String,
    /// A page that tells how the API is used: there is no portal beside the dashboard.
    #[schema(format = "uri")]
    url: String,
}

/// Makes another token for the same application.
///
/// It works as long as the one that it was asked for with.
#[utoipa::path(post, path = "/auth/app-portal-access/{app_id}", tag = "svix")]
async fn create_svix_portal_access(
    State(app): State<App>,
    access: Access,
    _: SvixRequest<ApplicationPath>,
) -> SvixResult<Json<SvixPortalAccess>> {
    let token = app.portal_tokens.reissue(&access.portal);
    Ok(Json(SvixPortalAccess {
        token: token.map_err(ApiError::internal)?,
        url: format!("{}/docs", app.public_url),
    }))
}
