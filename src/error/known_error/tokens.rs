//! Access and refresh tokens, OAuth clients and grants.

use axum::http::StatusCode;
use muniment_domain::{Millis, ProjectId, RestrictedReason};
use serde_json::json;

use super::KnownError;

impl KnownError {
    /// An access token that is none.
    #[must_use]
    pub fn unparsable_access_token() -> Self {
        Self::unauthorized(
            "UNPARSABLE_ACCESS_TOKEN",
            "The access token is not valid. Refresh it, or sign in again.",
        )
    }

    /// An access token past its end.
    #[must_use]
    pub fn access_token_expired(
        expired_at: Millis,
        project: Option<&str>,
        user: Option<&str>,
        refresh_token_id: Option<&str>,
    ) -> Self {
        Self::unauthorized(
            "ACCESS_TOKEN_EXPIRED",
            "The access token has expired. Refresh it and try again.",
        )
        .with(json!({
            "expired_at_millis": expired_at,
            "project_id": project,
            "user_id": user,
            "refresh_token_id": refresh_token_id,
        }))
    }

    /// Another project's access token.
    #[must_use]
    pub fn invalid_project_for_access_token(expected: &ProjectId, actual: &ProjectId) -> Self {
        Self::unauthorized(
            "INVALID_PROJECT_FOR_ACCESS_TOKEN",
            format!("The access token was issued by project {actual}, but the request is for {expected}."),
        )
        .with(json!({"expected_project_id": expected, "actual_project_id": actual}))
    }

    /// A refresh token that does not work.
    #[must_use]
    pub fn refresh_token_not_found_or_expired() -> Self {
        Self::unauthorized(
            "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED",
            "The session has ended: its refresh token is unknown, expired or signed out. Sign in again.",
        )
    }

    /// The session in use cannot be deleted.
    #[must_use]
    pub fn cannot_delete_current_session() -> Self {
        Self::bad_request(
            "CANNOT_DELETE_CURRENT_SESSION",
            "This is the session of the request itself. Sign out instead.",
        )
    }

    /// An anonymous user's token where none is accepted.
    #[must_use]
    pub fn anonymous_authentication_not_allowed() -> Self {
        Self::unauthorized(
            "ANONYMOUS_AUTHENTICATION_NOT_ALLOWED",
            "The access token is an anonymous user's. Send x-stack-allow-anonymous-user: true to accept it.",
        )
    }

    /// A restricted user's token where none is accepted.
    #[must_use]
    pub fn restricted_user_not_allowed(reason: RestrictedReason) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "RESTRICTED_USER_NOT_ALLOWED",
            "The user is restricted. Lift the restriction, or send x-stack-allow-restricted-user: true.",
        )
        .with(json!({"restricted_reason": reason}))
    }

    /// OAuth client credentials that do not work.
    #[must_use]
    pub fn invalid_oauth_client_id_or_secret(client_id: Option<&str>) -> Self {
        Self::bad_request(
            "INVALID_OAUTH_CLIENT_ID_OR_SECRET",
            "The OAuth client is not valid. client_id is the project's id, client_secret a publishable client key.",
        )
        .with(json!({"client_id": client_id}))
    }

    /// An authorization code that was never issued, was used, or has expired.
    #[must_use]
    pub fn invalid_authorization_code() -> Self {
        Self::bad_request(
            "INVALID_AUTHORIZATION_CODE",
            "The authorization code is unknown, used or expired. Start the sign-in again.",
        )
    }
}
