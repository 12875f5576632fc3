//! Access to a project, which a handler names among its arguments: what stands in the signature has
//! been checked when the first line runs.
//!
//! ```text
//! async fn delete_user(access: ServerAccess, Found(user, _): Found<UserPath>) -> ApiResult<Json<Success>> {
//!     accounts::close(&access.app, access.event_context(), user.user.user_id()).await?;
//!     Ok(Success::ANSWER)
//! }
//! ```
//!
//! Access is checked before anything in the request is: a caller without it is not told what is wrong
//! with their request. Only a path that is no text is refused earlier.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use muniment_domain::ProjectId;
use muniment_event_store::EventContext;
use muniment_projections::read_models::users::UserRecord;

use super::caller::{Auth, Caller};
use super::input::bad_path;
use crate::app::App;
use crate::app::auth::geo::GeoLocation;
use crate::app::request_context::RequestContext;
use crate::error::ApiError;
use crate::error::codes::{
    AccessTypeRequired, CannotGetOwnUserWithoutUser, InsufficientAccessType,
};
use crate::error::known_error::KnownError;
use crate::http::openapi::describe::{OperationDescription, OperationInput};
use crate::http::openapi::security::Credentials;
use crate::security::limits::Limit;

/// A request by somebody with access to a project. Handlers get it inside of [`ClientAccess`],
/// [`ServerAccess`] or [`AdminAccess`], which say how much access it took.
pub(crate) struct ProjectAccess {
    /// The application.
    pub app: App,
    /// The caller, with what is known of them whether they have access or not.
    pub caller: Caller,
    auth: Auth,
    context: OnceLock<EventContext>,
}

impl Deref for ProjectAccess {
    type Target = Auth;

    fn deref(&self) -> &Auth {
        &self.auth
    }
}

impl ProjectAccess {
    /// What the events of this request carry in the project's log. Their time is that of the first
    /// call.
    pub(crate) fn event_context(&self) -> &EventContext {
        self.context
            .get_or_init(|| self.event_context_of(self.auth.project_id()))
    }

    /// What events of this request carry in the log of another project.
    #[must_use]
    pub(crate) fn event_context_of(&self, project: &ProjectId) -> EventContext {
        self.caller.event_context(&self.app, project)
    }

    /// The request as use cases see it.
    #[must_use]
    pub(crate) fn request_context(&self) -> RequestContext<'_> {
        RequestContext {
            app: &self.app,
            context: self.event_context(),
            project: &self.auth.project,
            geo: self.geo(),
        }
    }

    /// Where the end user seems to be.
    #[must_use]
    pub(crate) fn geo(&self) -> Option<&GeoLocation> {
        self.caller.end_user().geo.as_ref()
    }

    /// Takes one of the tries that a limit grants each IP; see [`Caller::limit`].
    ///
    /// # Errors
    /// 429 when there is none left.
    pub(crate) fn limit(&self, limit: Limit) -> Result<(), ApiError> {
        self.caller.limit(&self.app, limit)
    }
}

/// Establishes access from a request, if `check` lets its caller through.
async fn establish(
    parts: &mut Parts,
    app: &App,
    check: fn(&Caller) -> Result<&Auth, ApiError>,
) -> Result<ProjectAccess, ApiError> {
    RawPathParams::from_request_parts(parts, app)
        .await
        .map_err(bad_path)?;
    let caller = Caller::from_request_parts(parts, app).await?;
    Ok(ProjectAccess {
        app: app.clone(),
        auth: check(&caller)?.clone(),
        caller,
        context: OnceLock::new(),
    })
}

/// Access of any kind: the caller is a client, a server or an administrator.
pub(crate) struct ClientAccess(ProjectAccess);

/// Access of servers and administrators.
pub(crate) struct ServerAccess(ProjectAccess);

/// Access of administrators.
pub(crate) struct AdminAccess(ProjectAccess);

macro_rules! extract_access {
    ($($access:ident: $check:path, $credentials:ident, $errors:ty;)*) => {$(
        impl OperationInput for $access {
            fn describe(operation: &mut OperationDescription) {
                operation.credentials = Credentials::$credentials;
                operation.fails_with::<$errors>();
            }
        }

        impl Deref for $access {
            type Target = ProjectAccess;

            fn deref(&self) -> &ProjectAccess {
                &self.0
            }
        }

        impl FromRequestParts<App> for $access {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
                establish(parts, app, $check).await.map(Self)
            }
        }
    )*};
}

extract_access! {
    ClientAccess: Caller::client, Client, AccessTypeRequired;
    ServerAccess: Caller::server, Server, (AccessTypeRequired, InsufficientAccessType);
    AdminAccess: Caller::admin, Admin, (AccessTypeRequired, InsufficientAccessType);
}

/// Access of any kind by a signed-in user, to their own account. Without a user the answer is
/// `CANNOT_GET_OWN_USER_WITHOUT_USER`.
pub(crate) struct OwnUserAccess {
    access: ProjectAccess,
    /// The user.
    pub own: Arc<UserRecord>,
}

impl Deref for OwnUserAccess {
    type Target = ProjectAccess;

    fn deref(&self) -> &ProjectAccess {
        &self.access
    }
}

impl OperationInput for OwnUserAccess {
    fn describe(operation: &mut OperationDescription) {
        operation.credentials = Credentials::ClientWithUser;
        operation.fails_with::<(AccessTypeRequired, CannotGetOwnUserWithoutUser)>();
    }
}

impl FromRequestParts<App> for OwnUserAccess {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let access = establish(parts, app, Caller::client).await?;
        let own = access
            .user
            .as_ref()
            .map(|current| Arc::clone(&current.record));
        let own = own.ok_or_else(KnownError::cannot_get_own_user_without_user)?;
        Ok(Self { access, own })
    }
}
