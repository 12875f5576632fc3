//! Access and refresh tokens, OAuth clients and grants.

use muniment_domain::{Millis, ProjectId, RestrictedReason};

use super::code::{Code, KnownError, codes};
use super::restriction::Restriction;

codes! {
    /// An access token that is none.
    UnparsableAccessToken: UNAUTHORIZED "UNPARSABLE_ACCESS_TOKEN";

    /// An access token past its end.
    AccessTokenExpired: UNAUTHORIZED "ACCESS_TOKEN_EXPIRED" {
        /// When it expired, in milliseconds since 1970.
        expired_at_millis: i64,
        /// The project that issued it, if the token says so.
        #[schema(required)]
        project_id: Option<String>,
        /// Whose it is, if the token says so.
        #[schema(required)]
        user_id: Option<String>,
        /// The session it belongs to, if the token says so.
        #[schema(required)]
        refresh_token_id: Option<String>,
    };

    /// Another project's access token.
    InvalidProjectForAccessToken: UNAUTHORIZED "INVALID_PROJECT_FOR_ACCESS_TOKEN" {
        /// The project of the request.
        expected_project_id: String,
        /// The project that issued the token.
        actual_project_id: String,
    };

    /// A refresh token that does not work.
    RefreshTokenNotFoundOrExpired: UNAUTHORIZED "REFRESH_TOKEN_NOT_FOUND_OR_EXPIRED";

    /// The session in use cannot be deleted.
    CannotDeleteCurrentSession: BAD_REQUEST "CANNOT_DELETE_CURRENT_SESSION";

    /// An anonymous user's token where none is accepted.
    AnonymousAuthenticationNotAllowed: UNAUTHORIZED "ANONYMOUS_AUTHENTICATION_NOT_ALLOWED";

    /// A restricted user's token where none is accepted.
    RestrictedUserNotAllowed: FORBIDDEN "RESTRICTED_USER_NOT_ALLOWED" {
        #[schema(inline)]
        restricted_reason: Restriction,
    };

    /// OAuth client credentials that do not work.
    InvalidOauthClientIdOrSecret: BAD_REQUEST "INVALID_OAUTH_CLIENT_ID_OR_SECRET" {
        /// The id of the client, if there was one.
        #[schema(required)]
        client_id: Option<String>,
    };

    /// An authorization code that was never issued, was used, or has expired.
    InvalidAuthorizationCode: BAD_REQUEST "INVALID_AUTHORIZATION_CODE";
}

impl KnownError {
    /// An access token that is none.
    #[must_use]
    pub fn unparsable_access_token() -> Self {
        UnparsableAccessToken.says("The access token is not valid. Refresh it, or sign in again.")
    }

    /// An access token past its end.
    #[must_use]
    pub fn access_token_expired(
        expired_at: Millis,
        project: Option<&str>,
        user: Option<&str>,
        refresh_token_id: Option<&str>,
    ) -> Self {
        AccessTokenExpired {
            expired_at_millis: expired_at.0,
            project_id: project.map(str::to_owned),
            user_id: user.map(str::to_owned),
            refresh_token_id: refresh_token_id.map(str::to_owned),
        }
        .says("The access token has expired. Refresh it and try again.")
    }

    /// Another project's access token.
    #[must_use]
    pub fn invalid_project_for_access_token(expected: &ProjectId, actual: &ProjectId) -> Self {
        InvalidProjectForAccessToken {
            expected_project_id: expected.to_string(),
            actual_project_id: actual.to_string(),
        }
        .says(format!(
            "The access token was issued by project {actual}, but the request is for {expected}."
        ))
    }

    /// A refresh token that does not work.
    #[must_use]
    pub fn refresh_token_not_found_or_expired() -> Self {
        RefreshTokenNotFoundOrExpired.says(
            "The session has ended: its refresh token is unknown, expired or signed out. Sign \
             in again.",
        )
    }

    /// The session in use cannot be deleted.
    #[must_use]
    pub fn cannot_delete_current_session() -> Self {
        CannotDeleteCurrentSession
            .says("This is the session of the request itself. Sign out instead.")
    }

    /// An anonymous user's token where none is accepted.
    #[must_use]
    pub fn anonymous_authentication_not_allowed() -> Self {
        AnonymousAuthenticationNotAllowed.says(
            "The access token is an anonymous user's. Send x-stack-allow-anonymous-user: true \
             to accept it.",
        )
    }

    /// A restricted user's token where none is accepted.
    #[must_use]
    pub fn restricted_user_not_allowed(reason: RestrictedReason) -> Self {
        RestrictedUserNotAllowed {
            restricted_reason: reason.into(),
        }
        .says(
            "The user is restricted. Lift the restriction, or send \
             x-stack-allow-restricted-user: true.",
        )
    }

    /// OAuth client credentials that do not work.
    #[must_use]
    pub fn invalid_oauth_client_id_or_secret(client_id: Option<&str>) -> Self {
        InvalidOauthClientIdOrSecret {
            client_id: client_id.map(str::to_owned),
        }
        .says(
            "The OAuth client is not valid. client_id is the project's id, client_secret a \
             publishable client key.",
        )
    }

    /// An authorization code that was never issued, was used, or has expired.
    #[must_use]
    pub fn invalid_authorization_code() -> Self {
        InvalidAuthorizationCode
            .says("The authorization code is unknown, used or expired. Start the sign-in again.")
    }
}
