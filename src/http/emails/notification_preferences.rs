//! `/emails/notification-preference`: which mails a user wants.

use axum::Json;
use muniment_domain::UserId;
use muniment_domain::notification::{NotificationCategory, Preference};
use muniment_domain::user::{User, UserCommand};
use muniment_event_store::AccessType;
use muniment_projections::read_models::notifications;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

use crate::app::App;
use crate::error::codes::{Errors, Text, UserAuthenticationRequired, UserNotFound};
use crate::error::{ApiError, ApiResult};
use crate::http::answer::List;
use crate::http::openapi::operations;
use crate::http::request::access::{ClientAccess, ProjectAccess};
use crate::http::request::declare::request;
use crate::http::request::presence::required;
use crate::http::request::shape::scalars::{boolean, user_id_or_me, uuid};
use crate::http::users::find::{UserPath, find_user};
use crate::views::NotificationPreferenceView;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_notification_preferences))
        .routes(operations!(update_notification_preference))
}

request! {
    /// What a user wants of a category of mails.
    struct UpdateNotificationPreference {
        path {
            /// A user's id, or `me` for the signed-in user's.
            user_id: UserId = required(user_id_or_me());
            /// The category's id.
            notification_category_id: Uuid = required(uuid());
        }
        body {
            /// Whether the user wants such mails.
            enabled: bool = required(boolean());
        }
    }
}

/// Whose preferences are nobody's to see or change.
type NotReachable = (UserAuthenticationRequired, UserNotFound, Text<403>);

/// Lists the categories of mails, and whether the user wants them.
///
/// Clients see the signed-in user's preferences only.
#[utoipa::path(get, path = "/emails/notification-preference/{user_id}", tag = "emails",
    responses(Errors<NotReachable>))]
async fn list_notification_preferences(
    access: ClientAccess,
    UserPath { user_id }: UserPath,
) -> ApiResult<Json<List<NotificationPreferenceView>>> {
    require_own(&access, user_id).await?;
    let preferences = notifications::of_user(access.app.pool(), user_id).await?;
    let views = preferences
        .into_iter()
        .map(|(category, preference)| NotificationPreferenceView::new(category, preference));
    Ok(List::of(views.collect()))
}

/// Says whether the user wants mails of a category.
///
/// Clients change the signed-in user's preferences only.
#[utoipa::path(patch, path = "/emails/notification-preference/{user_id}/{notification_category_id}", tag = "emails",
    responses(Errors<(NotReachable, Text<404>)>))]
async fn update_notification_preference(
    access: ClientAccess,
    wanted: UpdateNotificationPreference,
) -> ApiResult<Json<NotificationPreferenceView>> {
    let category = NotificationCategory::by_id(wanted.notification_category_id);
    let missing = || ApiError::not_found("There is no such category of mails.");
    let (user, category) = (wanted.user_id, category.ok_or_else(missing)?);
    require_own(&access, user).await?;
    let preference = Preference::from_enabled(wanted.enabled);
    let prefer = UserCommand::PreferNotifications(category, preference);
    let (app, context) = (&access.app, access.event_context());
    app.execute::<User>(context, &user, &prefer).await?;
    Ok(Json(NotificationPreferenceView::new(category, preference)))
}

/// Clients speak of their own user only; servers of any that exists.
async fn require_own(access: &ProjectAccess, user: UserId) -> Result<(), ApiError> {
    if access.access_type == AccessType::Client && access.signed_in()?.user.user_id() != user {
        let text = "You can only see and change your own notification preferences.";
        return Err(ApiError::forbidden(text));
    }
    find_user(access, user).await?;
    Ok(())
}
