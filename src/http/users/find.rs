//! The user that a request names.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use muniment_domain::UserId;
use muniment_projections::read_models::users::UserRecord;

use crate::app::App;
use crate::error::ApiError;
use crate::error::codes::UserNotFound;
use crate::error::known_error::KnownError;
use crate::http::openapi::describe::{OperationDescription, OperationInput, describe_request};
use crate::http::request::access::ProjectAccess;
use crate::http::request::caller::Caller;
use crate::http::request::declare::{Request, extract, request};
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::user_id_or_me;

/// The user of that id in the caller's project.
///
/// # Errors
/// `USER_NOT_FOUND`.
pub(crate) async fn find_user(access: &ProjectAccess, id: UserId) -> Result<UserRecord, ApiError> {
    let record = access.app.users.by_id(access.project_id(), id).await?;
    record.ok_or_else(|| KnownError::user_not_found().into())
}

request! {
    /// A request that says all by naming a user.
    pub(crate) struct UserPath {
        path {
            /// A user's id, or `me` for the signed-in user's.
            user_id: UserId = required(user_id_or_me());
        }
    }
}

/// A request that names a user.
pub(crate) trait NamesUser: Request {
    /// The user's id.
    fn user_id(&self) -> UserId;
}

impl NamesUser for UserPath {
    fn user_id(&self) -> UserId {
        self.user_id
    }
}

/// The user of the caller's project that the request `R` names, and the request. It comes after the
/// access in a handler's signature. It fails as `R` does, then with `USER_NOT_FOUND`.
pub(crate) struct FoundUser<R = UserPath>(pub UserRecord, pub R);

impl<R: NamesUser + Send> FromRequestParts<App> for FoundUser<R> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, ApiError> {
        let request: R = extract(parts, app).await?;
        let caller = Caller::from_request_parts(parts, app).await?;
        let project = caller.client()?.project_id();
        let record = app.users.by_id(project, request.user_id()).await?;
        let record = record.ok_or_else(KnownError::user_not_found)?;
        Ok(Self(record, request))
    }
}

impl<R: NamesUser> OperationInput for FoundUser<R> {
    fn describe(operation: &mut OperationDescription) {
        describe_request(operation, &R::describe());
        operation.fails_with::<UserNotFound>();
    }
}
