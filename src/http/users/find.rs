//! Looking the user up that a request names.

use muniment_domain::UserId;
use muniment_projections::read_models::users::UserRecord;

use crate::error::ApiError;
use crate::error::known_error::KnownError;
use crate::http::request::access::ProjectAccess;

/// The user of that id in the caller's project.
///
/// # Errors
/// `USER_NOT_FOUND`.
pub(crate) async fn find_user(access: &ProjectAccess, id: UserId) -> Result<UserRecord, ApiError> {
    let record = access.app.users.by_id(access.project_id(), id).await?;
    record.ok_or_else(|| KnownError::user_not_found().into())
}
