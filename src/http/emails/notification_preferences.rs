//! `/emails/notification-preference`: which mails a user wants.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::UserId;
use muniment_domain::notification::{NotificationCategory, Preference};
use muniment_domain::user::{User, UserCommand};
use muniment_event_store::AccessType;
use muniment_projections::read_models::notifications;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::whole_list;
use crate::http::request::access::{ClientAccess, ProjectAccess};
use crate::http::request::input::Input;
use crate::http::request::values::{boolean, uuid};
use crate::http::users::find::find_user;
use crate::views::NotificationPreferenceView;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(update))
}

/// Lists the categories of mails, and whether the user wants them.
#[utoipa::path(get, path = "/emails/notification-preference/{user_id}", tag = "emails",
    params(("user_id" = String, Path, description = "A user's id, or `me`")),
    responses((status = 200, description = "Preferences"), (status = 400, description = "CANNOT_GET_OWN_USER_WITHOUT_USER"),
        (status = 401, description = "USER_AUTHENTICATION_REQUIRED"), (status = 403, description = "Another user's"), (status = 404, description = "USER_NOT_FOUND")))]
async fn list(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let user = form.params().required_user_id_or_me("user_id");
    let user = form.finish(user)?;
    require_own(&access, user).await?;
    let preferences = notifications::of_user(access.app.pool(), user).await?;
    let items: Vec<NotificationPreferenceView> = preferences
        .into_iter()
        .map(|(category, preference)| NotificationPreferenceView::new(category, preference))
        .collect();
    Ok(whole_list(&items))
}

/// Says whether the user wants mails of a category.
#[utoipa::path(patch, path = "/emails/notification-preference/{user_id}/{notification_category_id}", tag = "emails", request_body = Value,
    params(("user_id" = String, Path, description = "A user's id, or `me`"), ("notification_category_id" = String, Path)),
    responses((status = 200, body = NotificationPreferenceView), (status = 400, description = "SCHEMA_ERROR, CANNOT_GET_OWN_USER_WITHOUT_USER"),
        (status = 401, description = "USER_AUTHENTICATION_REQUIRED"), (status = 403, description = "Another user's"), (status = 404, description = "USER_NOT_FOUND; no such category")))]
async fn update(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input).no_query();
    let mut params = form.params();
    let user = params.required_user_id_or_me("user_id");
    let category = params.required("notification_category_id", uuid);
    params.close();
    let mut body = form.body();
    let enabled = body.required("enabled", boolean);
    body.close();
    let (user, category, enabled) = form.finish((|| Some((user?, category?, enabled?)))())?;
    let category = NotificationCategory::by_id(category).ok_or_else(|| {
        ApiError::text(StatusCode::NOT_FOUND, "There is no such category of mails.")
    })?;
    require_own(&access, user).await?;
    let preference = Preference::from_enabled(enabled);
    let prefer = UserCommand::PreferNotifications(category, preference);
    access
        .app
        .execute::<User>(access.event_context(), &user, &prefer)
        .await?;
    Ok(Json(NotificationPreferenceView::new(category, preference)).into_response())
}

/// Clients speak of their own user only; servers of any that exists.
async fn require_own(access: &ProjectAccess, user: UserId) -> Result<(), ApiError> {
    if access.access_type == AccessType::Client && access.signed_in()?.user.user_id() != user {
        let text = "You can only see and change your own notification preferences.";
        return Err(ApiError::text(StatusCode::FORBIDDEN, text));
    }
    find_user(access, user).await?;
    Ok(())
}
