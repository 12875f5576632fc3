//! `/auth/sessions`: refreshing, listing, opening and ending sessions.

use axum::Json;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use muniment_domain::SessionId;
use muniment_domain::session::{EndCause, SessionOrigin};
use muniment_event_store::AccessType;
use muniment_projections::read_models::{sessions, users};
use serde_json::json;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::app::auth::sessions::{
    LIFETIME_MILLIS, NewSession, by_refresh_token, end, issue_access_token, open,
};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{success, whole_list};
use crate::http::request::access::{ClientAccess, ServerAccess};
use crate::http::request::input::Input;
use crate::http::request::values::{boolean, integer, uuid};
use crate::views::SessionView;

/// The longest life of a session that a server opens: 367 days.
const MAX_LIFETIME_MILLIS: i64 = 31_708_800_000;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(sign_out))
        .routes(routes!(refresh))
        .routes(routes!(delete))
}

/// Issues an access token for a refresh token.
#[utoipa::path(post, path = "/auth/sessions/current/refresh", tag = "sessions",
    params(("x-stack-refresh-token" = String, Header)),
    responses((status = 200, description = "`{access_token}`"), (status = 401, description = "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED")))]
async fn refresh(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    if access.caller.refresh_token().is_none() {
        form.violation("headers.x-stack-refresh-token", "is required");
    }
    let token = form.finish(Some(access.caller.refresh_token().unwrap_or_default()))?;
    let (session, record) = by_refresh_token(&access.app, access.project_id(), token).await?;
    let geo = access.geo();
    let token = issue_access_token(&access.app, &access.project, &record.user, session, geo)?;
    Ok(Json(json!({"access_token": token})).into_response())
}

/// Signs out: ends the session that the access token was issued for.
#[utoipa::path(delete, path = "/auth/sessions/current", tag = "sessions",
    responses((status = 200, description = "Signed out"), (status = 401, description = "ACCESS_TOKEN_EXPIRED, REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED")))]
async fn sign_out(access: ClientAccess) -> ApiResult {
    let Some(current) = &access.user else {
        return Err(KnownError::access_token_expired(access.app.now(), None, None, None).into());
    };
    let session = sessions::by_id(access.app.pool(), access.project_id(), current.session).await?;
    session.ok_or_else(KnownError::refresh_token_not_found_or_expired)?;
    end(
        &access.app,
        access.event_context(),
        current.session,
        EndCause::SignOut,
    )
    .await?;
    Ok(success())
}

/// Lists a user's sessions, newest first.
#[utoipa::path(get, path = "/auth/sessions", tag = "sessions", params(("user_id" = String, Query, description = "A user's id, or `me`")),
    responses((status = 200, description = "Sessions"), (status = 400, description = "CANNOT_GET_OWN_USER_WITHOUT_USER"), (status = 403, description = "Another user's sessions")))]
async fn list(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let user = form.query().required_user_id_or_me("user_id");
    let user = form.finish(user)?;
    if access.access_type == AccessType::Client && access.own_user()?.user.user_id() != user {
        let text = "You can only list your own sessions. Set user_id to me.";
        return Err(ApiError::text(StatusCode::FORBIDDEN, text));
    }
    let current = access.user.as_ref().map(|current| current.session);
    let shows_impersonation = access.access_type == AccessType::Admin;
    let records = sessions::of_user(access.app.pool(), access.project_id(), user).await?;
    let items: Vec<SessionView> = records
        .into_iter()
        .filter(|record| shows_impersonation || !record.is_impersonation)
        .map(|record| SessionView::of(&access.app, record, current))
        .collect();
    Ok(whole_list(&items))
}

/// Opens a session for a user, without their doing.
#[utoipa::path(post, path = "/auth/sessions", tag = "sessions", request_body = Value,
    responses((status = 200, description = "`{refresh_token, access_token}`"), (status = 400, description = "SCHEMA_ERROR, USER_ID_DOES_NOT_EXIST")))]
async fn create(access: ServerAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let mut body = form.body();
    let user = body.required_user_id_or_me("user_id");
    let lifetime = body.or_default(
        "expires_in_millis",
        integer(1..=MAX_LIFETIME_MILLIS),
        LIFETIME_MILLIS,
    );
    let is_impersonation = body.or_default("is_impersonation", boolean, false);
    body.close();
    let (user, lifetime, is_impersonation) =
        form.finish((|| Some((user?, lifetime?, is_impersonation?)))())?;
    let record = users::by_id(access.app.pool(), access.project_id(), user).await?;
    let record = record.ok_or_else(|| KnownError::user_id_does_not_exist(user))?;
    let session = NewSession {
        expires_at: access.app.now().plus(lifetime),
        is_impersonation,
        ..NewSession::generate(&access.app, SessionOrigin::Server)
    };
    open(&access.app, access.event_context(), user, &session).await?;
    let geo = access.geo();
    let access_token =
        issue_access_token(&access.app, &access.project, &record.user, session.id, geo)?;
    let tokens = json!({"refresh_token": session.refresh_token, "access_token": access_token});
    Ok(Json(tokens).into_response())
}

/// Ends a session.
#[utoipa::path(delete, path = "/auth/sessions/{id}", tag = "sessions",
    params(("id" = String, Path), ("user_id" = Option<String>, Query, description = "A user's id, or `me`")),
    responses((status = 200, description = "Ended"), (status = 400, description = "CANNOT_DELETE_CURRENT_SESSION"), (status = 404, description = "No such session")))]
async fn delete(access: ClientAccess, input: Input) -> ApiResult {
    let mut form = access.form(&input);
    let id = form.params().required("id", uuid);
    let named = form.query().optional_user_id_or_me("user_id");
    let (id, _) = form.finish((|| Some((SessionId(id?), named?)))())?;
    let session = sessions::by_id(access.app.pool(), access.project_id(), id).await?;
    let own = access.user_id().map(|user| user.0);
    let session = session
        .filter(|session| access.access_type != AccessType::Client || own == Some(session.user_id));
    if session.is_none() {
        let text = "There is no such session of this user.";
        return Err(ApiError::text(StatusCode::NOT_FOUND, text));
    }
    if access
        .user
        .as_ref()
        .is_some_and(|current| current.session == id)
    {
        return Err(KnownError::cannot_delete_current_session().into());
    }
    end(&access.app, access.event_context(), id, EndCause::Revoked).await?;
    Ok(success())
}
