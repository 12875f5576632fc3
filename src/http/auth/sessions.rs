//! `/auth/sessions`: refreshing, listing, opening and ending sessions.

use axum::Json;
use muniment_domain::session::{EndCause, SessionOrigin};
use muniment_domain::{SessionId, UserId};
use muniment_event_store::AccessType;
use muniment_projections::read_models::{sessions, users};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::app::auth::sessions::{
    LIFETIME_MILLIS, NewSession, by_refresh_token, end, issue_access_token, open,
};
use crate::error::codes::{
    AccessTokenExpired, CannotDeleteCurrentSession, CannotGetOwnUserWithoutUser, Errors,
    RefreshTokenNotFoundOrExpired, Text, UserIdDoesNotExist,
};
use crate::error::known_error::KnownError;
use crate::error::{ApiError, ApiResult};
use crate::http::answer::{List, Success};
use crate::http::openapi::operations;
use crate::http::request::access::{ClientAccess, ServerAccess};
use crate::http::request::caller::Caller;
use crate::http::request::declare::{Need, request};
use crate::http::request::fields::{Checked, Findings};
use crate::http::request::presence::{optional, or_default, required};
use crate::http::request::shape::Shape;
use crate::http::request::shape::scalars::{boolean, integer, user_id_or_me, uuid};
use crate::views::SessionView;

/// The longest life of a session that a server opens: 367 days.
const MAX_LIFETIME_MILLIS: i64 = 31_708_800_000;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(operations!(list_sessions, create_session))
        .routes(operations!(sign_out))
        .routes(operations!(refresh_access_token))
        .routes(operations!(delete_session))
}

request! {
    /// That a session goes on.
    struct RefreshAccessToken {
        caller {
            refresh_token: String = refresh_token();
        }
        query(open) {}
    }

    /// Whose sessions to list.
    struct ListSessions {
        query {
            /// The user whose sessions they are. Clients may say `me` only.
            user_id: UserId = required(user_id_or_me());
        }
    }

    /// A session to be opened.
    struct CreateSession {
        query(open) {}
        body {
            /// Whose it shall be.
            user_id: UserId = required(user_id_or_me());
            /// How long its refresh token works, in milliseconds: 367 days at most.
            expires_in_millis: i64 = or_default(integer(1..=MAX_LIFETIME_MILLIS), LIFETIME_MILLIS);
            /// Whether an operator acts as the user. Such sessions are shown to administrators only.
            is_impersonation: bool = or_default(boolean(), false);
        }
    }

    /// A session to be ended.
    struct DeleteSession {
        path {
            /// The session's id.
            id: SessionId = required(uuid().map(SessionId));
        }
        query {
            /// The user whose it is. The session's id alone finds it.
            _user_id as "user_id": Option<UserId> = optional(user_id_or_me());
        }
    }
}

struct RefreshToken;

/// That a refresh token is sent along.
fn refresh_token() -> impl Need<Value = String> {
    RefreshToken
}

impl Need for RefreshToken {
    type Value = String;

    fn find(&self, caller: &Caller, findings: &mut Findings) -> Checked<String> {
        let token = caller.refresh_token();
        if token.is_none() {
            findings.note("headers.x-stack-refresh-token", "is required");
        }
        token.map(str::to_owned)
    }
}

/// A fresh access token.
#[derive(Serialize, ToSchema)]
struct AccessToken {
    access_token: String,
}

/// Issues an access token for a refresh token.
#[utoipa::path(post, path = "/auth/sessions/current/refresh", tag = "sessions",
    params(("x-stack-refresh-token" = String, Header, description = "The refresh token of the session.")),
    responses(Errors<RefreshTokenNotFoundOrExpired>))]
async fn refresh_access_token(
    access: ClientAccess,
    wanted: RefreshAccessToken,
) -> ApiResult<Json<AccessToken>> {
    let (app, project) = (&access.app, &access.project);
    let (session, record) = by_refresh_token(app, &project.id, &wanted.refresh_token).await?;
    let access_token = issue_access_token(app, project, &record.user, session, access.geo())?;
    Ok(Json(AccessToken { access_token }))
}

/// Signs out: ends the session that the access token was issued for.
#[utoipa::path(delete, path = "/auth/sessions/current", tag = "sessions",
    responses(Errors<(AccessTokenExpired, RefreshTokenNotFoundOrExpired)>))]
async fn sign_out(access: ClientAccess) -> ApiResult<Json<Success>> {
    let Some(current) = &access.user else {
        return Err(KnownError::access_token_expired(access.app.now(), None, None, None).into());
    };
    let (app, id) = (&access.app, current.session);
    let session = sessions::by_id(app.pool(), access.project_id(), id).await?;
    session.ok_or_else(KnownError::refresh_token_not_found_or_expired)?;
    end(app, access.event_context(), id, EndCause::SignOut).await?;
    Ok(Success::ANSWER)
}

/// Lists a user's sessions, newest first.
#[utoipa::path(get, path = "/auth/sessions", tag = "sessions",
    responses(Errors<(CannotGetOwnUserWithoutUser, Text<403>)>))]
async fn list_sessions(
    access: ClientAccess,
    wanted: ListSessions,
) -> ApiResult<Json<List<SessionView>>> {
    let user = wanted.user_id;
    if access.access_type == AccessType::Client && access.own_user()?.user.user_id() != user {
        let text = "You can only list your own sessions. Set user_id to me.";
        return Err(ApiError::forbidden(text));
    }
    let current = access.user.as_ref().map(|current| current.session);
    let shows_impersonation = access.access_type == AccessType::Admin;
    let records = sessions::of_user(access.app.pool(), access.project_id(), user).await?;
    let records = records.into_iter();
    let shown = records.filter(|record| shows_impersonation || !record.is_impersonation);
    let view = |record| SessionView::of(&access.app, record, current);
    Ok(List::of(shown.map(view).collect()))
}

/// The tokens of a session.
#[derive(Serialize, ToSchema)]
struct SessionTokens {
    access_token: String,
    refresh_token: String,
}

/// Opens a session for a user, without their doing.
#[utoipa::path(post, path = "/auth/sessions", tag = "sessions",
    responses(Errors<UserIdDoesNotExist>))]
async fn create_session(
    access: ServerAccess,
    new: CreateSession,
) -> ApiResult<Json<SessionTokens>> {
    let (app, project, user) = (&access.app, &access.project, new.user_id);
    let record = users::by_id(app.pool(), &project.id, user).await?;
    let record = record.ok_or_else(|| KnownError::user_id_does_not_exist(user))?;
    let session = NewSession {
        expires_at: app.now().plus(new.expires_in_millis),
        is_impersonation: new.is_impersonation,
        ..NewSession::generate(app, SessionOrigin::Server)
    };
    open(app, access.event_context(), user, &session).await?;
    let access_token = issue_access_token(app, project, &record.user, session.id, access.geo())?;
    Ok(Json(SessionTokens {
        access_token,
        refresh_token: session.refresh_token,
    }))
}

/// Ends a session.
#[utoipa::path(delete, path = "/auth/sessions/{id}", tag = "sessions",
    responses(Errors<(CannotDeleteCurrentSession, RefreshTokenNotFoundOrExpired, Text<404>)>))]
async fn delete_session(
    access: ClientAccess,
    DeleteSession { id, .. }: DeleteSession,
) -> ApiResult<Json<Success>> {
    let session = sessions::by_id(access.app.pool(), access.project_id(), id).await?;
    let own = access.user_id().map(|user| user.0);
    let session = session
        .filter(|session| access.access_type != AccessType::Client || own == Some(session.user_id));
    if session.is_none() {
        let text = "There is no such session of this user.";
        return Err(ApiError::not_found(text));
    }
    let current = access.user.as_ref().map(|current| current.session);
    if current == Some(id) {
        return Err(KnownError::cannot_delete_current_session().into());
    }
    end(&access.app, access.event_context(), id, EndCause::Revoked).await?;
    Ok(Success::ANSWER)
}
