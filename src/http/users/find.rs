//! The user that a request names.

use muniment_domain::{ProjectId, UserId};
use muniment_projections::read_models::users::UserRecord;

use crate::app::App;
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::request::access::ProjectAccess;
use crate::http::request::declare::request;
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::user_id_or_me;

/// The user of that id in the caller's project.
///
/// # Errors
/// `USER_NOT_FOUND`.
pub(crate) async fn find_user(access: &ProjectAccess, id: UserId) -> Result<UserRecord, ApiError> {
    user_of(&access.app, access.project_id(), id).await
}

/// The user of that id in a project.
///
/// # Errors
/// `USER_NOT_FOUND`.
pub(crate) async fn user_of(app: &App, project: &ProjectId, id: UserId) -> ApiResult<UserRecord> {
    let record = app.users.by_id(project, id).await?;
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

/// Requests that name a user, by the field that does: `UpdateUser: user_id`. [`Found`] yields the
/// user of the caller's project, or fails with `USER_NOT_FOUND`.
///
/// [`Found`]: crate::http::request::found::Found
macro_rules! names_user {
    ($($request:ty: $($field:ident).+;)*) => {$(
        impl $crate::http::request::found::NamesThing for $request {
            type Thing = muniment_projections::read_models::users::UserRecord;
            type Missing = $crate::error::codes::UserNotFound;

            async fn find(
                &self,
                app: &$crate::app::App,
                project: &muniment_domain::ProjectId,
            ) -> $crate::error::ApiResult<Self::Thing> {
                $crate::http::users::find::user_of(app, project, self.$($field).+).await
            }
        }
    )*};
}
pub(crate) use names_user;

names_user! {
    UserPath: user_id;
}
