//! The known errors of the contract (01 §2): one constructor per code.
//!
//! Codes, statuses and the names of details are the contract's. The texts are ours: each says what
//! is wrong and what the caller can do about it.

mod analytics;
mod payments;
mod telemetry;

use axum::http::StatusCode;
use muniment_domain::permission::Scope;
use muniment_domain::{Millis, PermissionId, ProjectId, RestrictedReason, TeamId, UserId};
use muniment_projections::AccessType;
use serde_json::{Value, json};

/// An error that client libraries know by its code.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownError {
    /// The status of the answer.
    pub status: StatusCode,
    /// The code.
    pub code: &'static str,
    /// A text for people.
    pub message: String,
    /// What programs may want to know, if anything.
    pub details: Option<Value>,
}

impl KnownError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            details: None,
        }
    }

    fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    fn unauthorized(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, message)
    }

    fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    fn with(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }

    /// The body as the wire wants it.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = json!({"code": self.code, "error": self.message});
        if let Some(details) = &self.details {
            body["details"] = details.clone();
        }
        body
    }
}

/// Requests that cannot be read.
impl KnownError {
    /// The body is no JSON, too large, or of a type that is not accepted.
    #[must_use]
    pub fn body_parsing_error(why: &str) -> Self {
        Self::bad_request(
            "BODY_PARSING_ERROR",
            format!("The request body could not be read: {why}"),
        )
    }

    /// Fields are missing, wrong or unknown.
    #[must_use]
    pub fn schema_error(message: String) -> Self {
        let details = json!({"message": message});
        Self::bad_request("SCHEMA_ERROR", message).with(details)
    }
}

/// Access to a project.
impl KnownError {
    /// A key without saying as what.
    #[must_use]
    pub fn project_key_without_access_type() -> Self {
        Self::bad_request(
            "PROJECT_KEY_WITHOUT_ACCESS_TYPE",
            "A project key was sent, but no access type. Set x-stack-access-type to client, server or admin.",
        )
    }

    /// An access type that does not exist.
    #[must_use]
    pub fn invalid_access_type() -> Self {
        Self::bad_request(
            "INVALID_ACCESS_TYPE",
            "The access type does not exist. Set x-stack-access-type to client, server or admin.",
        )
    }

    /// An access type without a project.
    #[must_use]
    pub fn access_type_without_project_id(access: AccessType) -> Self {
        let name = access.as_str();
        Self::bad_request(
            "ACCESS_TYPE_WITHOUT_PROJECT_ID",
            format!(
                "Access type {name} needs a project. Set x-stack-project-id to the project's id."
            ),
        )
        .with(json!({"request_type": name}))
    }

    /// No access type at all.
    #[must_use]
    pub fn access_type_required() -> Self {
        Self::bad_request(
            "ACCESS_TYPE_REQUIRED",
            "This endpoint needs access to a project. Set x-stack-access-type and x-stack-project-id.",
        )
    }

    /// An access type that may not do this.
    #[must_use]
    pub fn insufficient_access_type(actual: AccessType, allowed: &[AccessType]) -> Self {
        let allowed: Vec<&str> = allowed.iter().map(|access| access.as_str()).collect();
        let (actual, list) = (actual.as_str(), allowed.join(" or "));
        Self::unauthorized(
            "INSUFFICIENT_ACCESS_TYPE",
            format!("Access type {actual} may not do this; use {list} access with its key."),
        )
        .with(json!({"actual_access_type": actual, "allowed_access_types": allowed}))
    }

    /// A publishable key that does not work.
    #[must_use]
    pub fn invalid_publishable_client_key(project: &ProjectId) -> Self {
        Self::invalid_key(
            "INVALID_PUBLISHABLE_CLIENT_KEY",
            "publishable client key",
            project,
        )
    }

    /// A server key that does not work.
    #[must_use]
    pub fn invalid_secret_server_key(project: &ProjectId) -> Self {
        Self::invalid_key("INVALID_SECRET_SERVER_KEY", "secret server key", project)
    }

    /// An admin key that does not work.
    #[must_use]
    pub fn invalid_super_secret_admin_key(project: &ProjectId) -> Self {
        Self::invalid_key(
            "INVALID_SUPER_SECRET_ADMIN_KEY",
            "super secret admin key",
            project,
        )
    }

    fn invalid_key(code: &'static str, kind: &str, project: &ProjectId) -> Self {
        Self::unauthorized(
            code,
            format!("The {kind} is not valid for project {project}. It may be mistyped, revoked, expired or another project's."),
        )
        .with(json!({"project_id": project}))
    }

    /// The project wants a publishable key.
    #[must_use]
    pub fn publishable_client_key_required_for_project(project: Option<&ProjectId>) -> Self {
        Self::unauthorized(
            "PUBLISHABLE_CLIENT_KEY_REQUIRED_FOR_PROJECT",
            "This project demands a publishable client key. Send it as x-stack-publishable-client-key.",
        )
        .with(json!({"project_id": project}))
    }

    /// Server access without a key.
    #[must_use]
    pub fn server_authentication_required() -> Self {
        Self::unauthorized(
            "SERVER_AUTHENTICATION_REQUIRED",
            "Server access needs the secret server key. Send it as x-stack-secret-server-key.",
        )
    }

    /// Admin access without a key.
    #[must_use]
    pub fn admin_authentication_required() -> Self {
        Self::unauthorized(
            "ADMIN_AUTHENTICATION_REQUIRED",
            "Admin access needs the super secret admin key, or an admin access token.",
        )
    }

    /// An admin access token that is none.
    #[must_use]
    pub fn unparsable_admin_access_token() -> Self {
        Self::unauthorized(
            "UNPARSABLE_ADMIN_ACCESS_TOKEN",
            "The admin access token is not valid. Sign in to the internal project again.",
        )
    }

    /// An admin access token past its end.
    #[must_use]
    pub fn admin_access_token_expired(expired_at: Millis) -> Self {
        Self::unauthorized(
            "ADMIN_ACCESS_TOKEN_EXPIRED",
            "The admin access token has expired. Refresh it and try again.",
        )
        .with(json!({"expired_at_millis": expired_at}))
    }

    /// An admin access token of somebody without rights to the project.
    #[must_use]
    pub fn admin_access_token_is_not_admin() -> Self {
        Self::unauthorized(
            "ADMIN_ACCESS_TOKEN_IS_NOT_ADMIN",
            "The user of the admin access token does not belong to the team that owns this project.",
        )
    }

    /// An endpoint of the `internal` project only.
    #[must_use]
    pub fn expected_internal_project() -> Self {
        Self::unauthorized(
            "EXPECTED_INTERNAL_PROJECT",
            "This endpoint works in project `internal` only. Set x-stack-project-id to internal.",
        )
    }

    /// The project of the header does not exist.
    #[must_use]
    pub fn current_project_not_found(project: &ProjectId) -> Self {
        Self::bad_request(
            "CURRENT_PROJECT_NOT_FOUND",
            format!("There is no project {project}. Check x-stack-project-id."),
        )
        .with(json!({"project_id": project}))
    }

    /// The project spoken of does not exist.
    #[must_use]
    pub fn project_not_found(project: &ProjectId) -> Self {
        Self::not_found(
            "PROJECT_NOT_FOUND",
            format!("There is no project {project}."),
        )
        .with(json!({"project_id": project}))
    }

    /// The branch does not exist.
    #[must_use]
    pub fn branch_does_not_exist(branch: &str) -> Self {
        Self::bad_request(
            "BRANCH_DOES_NOT_EXIST",
            format!("There is no branch {branch}. Leave x-stack-branch-id out, or set it to main."),
        )
        .with(json!({"branch_id": branch}))
    }
}

/// Access and refresh tokens.
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
}

/// OAuth grants.
impl KnownError {
    /// An authorization code that was never issued, was used, or has expired.
    #[must_use]
    pub fn invalid_authorization_code() -> Self {
        Self::bad_request(
            "INVALID_AUTHORIZATION_CODE",
            "The authorization code is unknown, used or expired. Start the sign-in again.",
        )
    }
}

/// Users and signing up and in.
impl KnownError {
    /// Nobody is signed in.
    #[must_use]
    pub fn cannot_get_own_user_without_user() -> Self {
        Self::bad_request(
            "CANNOT_GET_OWN_USER_WITHOUT_USER",
            "Nobody is signed in. Send the user's access token as x-stack-access-token.",
        )
    }

    /// Nobody is signed in, where somebody must be.
    #[must_use]
    pub fn user_authentication_required() -> Self {
        Self::unauthorized(
            "USER_AUTHENTICATION_REQUIRED",
            "A signed-in user is needed. Send the user's access token as x-stack-access-token.",
        )
    }

    /// The user addressed does not exist.
    #[must_use]
    pub fn user_not_found() -> Self {
        Self::not_found("USER_NOT_FOUND", "The project has no user with this id.")
    }

    /// The user spoken of does not exist.
    #[must_use]
    pub fn user_id_does_not_exist(user: UserId) -> Self {
        Self::bad_request(
            "USER_ID_DOES_NOT_EXIST",
            format!("The project has no user {user}."),
        )
        .with(json!({"user_id": user}))
    }

    /// Somebody signs in with the address already.
    #[must_use]
    pub fn user_email_already_exists(email: &str) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "USER_EMAIL_ALREADY_EXISTS",
            format!("Another user signs in with {email}. Sign in to that account, or use another address."),
        )
        .with(json!({"email": email, "would_work_if_email_was_verified": false}))
    }

    /// Strangers may not sign up.
    #[must_use]
    pub fn sign_up_not_enabled() -> Self {
        Self::bad_request(
            "SIGN_UP_NOT_ENABLED",
            "Signing up is switched off in this project.",
        )
    }

    /// A rule refuses the sign-up. Which one is not for who signs up to know.
    #[must_use]
    pub fn sign_up_rejected() -> Self {
        let message = "This sign-up was refused. If you think that is wrong, ask the operator of the application.";
        Self::new(StatusCode::FORBIDDEN, "SIGN_UP_REJECTED", message)
            .with(json!({"message": message}))
    }

    /// Passwords are switched off.
    #[must_use]
    pub fn password_authentication_not_enabled() -> Self {
        Self::bad_request(
            "PASSWORD_AUTHENTICATION_NOT_ENABLED",
            "Password sign-in is switched off in this project.",
        )
    }

    /// Unknown address or wrong password.
    #[must_use]
    pub fn email_password_mismatch() -> Self {
        Self::bad_request(
            "EMAIL_PASSWORD_MISMATCH",
            "The email address or the password is wrong.",
        )
    }

    /// A password of less than eight characters.
    #[must_use]
    pub fn password_too_short() -> Self {
        Self::bad_request(
            "PASSWORD_TOO_SHORT",
            "A password needs at least 8 characters.",
        )
        .with(json!({"min_length": 8}))
    }

    /// A password of more than seventy characters, or too many bytes.
    #[must_use]
    pub fn password_too_long() -> Self {
        Self::bad_request(
            "PASSWORD_TOO_LONG",
            "A password may have at most 70 characters.",
        )
        .with(json!({"maxLength": 70}))
    }

    /// A URL that the project does not trust.
    #[must_use]
    pub fn redirect_url_not_whitelisted() -> Self {
        Self::bad_request(
            "REDIRECT_URL_NOT_WHITELISTED",
            "The callback URL is not on a trusted domain. Add its domain to the project's settings.",
        )
    }

    /// Somebody signs in with the address, but has not proved it: a code would not prove it either.
    #[must_use]
    pub fn user_email_exists_unverified(email: &str) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "USER_EMAIL_ALREADY_EXISTS",
            format!("An account uses {email} but has not verified it. Sign in to it another way and verify the address."),
        )
        .with(json!({"email": email, "would_work_if_email_was_verified": true}))
    }

    /// A changed password, where there is none.
    #[must_use]
    pub fn user_does_not_have_password() -> Self {
        Self::bad_request(
            "USER_DOES_NOT_HAVE_PASSWORD",
            "The account has no password yet. Set one at /auth/password/set.",
        )
    }

    /// A changed password, and the old one is wrong.
    #[must_use]
    pub fn password_confirmation_mismatch() -> Self {
        Self::bad_request(
            "PASSWORD_CONFIRMATION_MISMATCH",
            "The old password is wrong.",
        )
    }

    /// A code that was never issued for this purpose in this project.
    #[must_use]
    pub fn verification_code_not_found() -> Self {
        Self::not_found(
            "VERIFICATION_CODE_NOT_FOUND",
            "There is no such code here. Check it, or ask for a new one.".to_owned(),
        )
    }

    /// A code that came too late.
    #[must_use]
    pub fn verification_code_expired() -> Self {
        Self::bad_request(
            "VERIFICATION_CODE_EXPIRED",
            "The code has expired. Ask for a new one.",
        )
    }

    /// A code that was used before.
    #[must_use]
    pub fn verification_code_already_used() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "VERIFICATION_CODE_ALREADY_USED",
            "The code was used already. Ask for a new one.".to_owned(),
        )
    }

    /// A code that was guessed at too often.
    #[must_use]
    pub fn verification_code_max_attempts_reached() -> Self {
        Self::bad_request(
            "VERIFICATION_CODE_MAX_ATTEMPTS_REACHED",
            "There were too many attempts at this code. Ask for a new one.",
        )
    }

    /// An address that needs no proof any more.
    #[must_use]
    pub fn email_already_verified() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "EMAIL_ALREADY_VERIFIED",
            "The address is verified already.".to_owned(),
        )
    }

    /// An address that is not the one shown.
    #[must_use]
    pub fn email_is_not_primary_email(email: &str, primary: Option<&str>) -> Self {
        Self::bad_request(
            "EMAIL_IS_NOT_PRIMARY_EMAIL",
            "The address is not the user's primary one. Verify others by their contact channel.",
        )
        .with(json!({"email": email, "primary_email": primary}))
    }

    /// An address that somebody else signs in with.
    #[must_use]
    pub fn contact_channel_already_used_for_auth(value: Option<&str>) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE",
            "Somebody else signs in with this address.".to_owned(),
        )
        .with(json!({
            "type": "email",
            "contact_channel_value": value,
            "would_work_if_email_was_verified": false,
        }))
    }

    /// Passkeys are switched off.
    #[must_use]
    pub fn passkey_authentication_not_enabled() -> Self {
        Self::bad_request(
            "PASSKEY_AUTHENTICATION_NOT_ENABLED",
            "Passkey sign-in is switched off in this project.",
        )
    }

    /// What the authenticator made cannot be accepted.
    #[must_use]
    pub fn passkey_registration_failed() -> Self {
        Self::bad_request(
            "PASSKEY_REGISTRATION_FAILED",
            "The passkey could not be registered. Check that the site is a trusted domain, and begin anew.",
        )
    }

    /// What the authenticator signed cannot be accepted.
    #[must_use]
    pub fn passkey_authentication_failed() -> Self {
        Self::bad_request(
            "PASSKEY_AUTHENTICATION_FAILED",
            "The passkey was not accepted. It may be unknown here, or the site no trusted domain.",
        )
    }

    /// A wrong second factor.
    #[must_use]
    pub fn invalid_totp_code() -> Self {
        Self::bad_request(
            "INVALID_TOTP_CODE",
            "The code is wrong, or was used already. Enter the next one.",
        )
    }

    /// A program that asks for a login that was never begun.
    #[must_use]
    pub fn invalid_polling_code() -> Self {
        Self::bad_request(
            "INVALID_POLLING_CODE",
            "There is no such login. Begin anew at /auth/cli.",
        )
    }

    /// The second factor is still to come.
    #[must_use]
    pub fn multi_factor_authentication_required(attempt_code: &str) -> Self {
        Self::bad_request(
            "MULTI_FACTOR_AUTHENTICATION_REQUIRED",
            "The account has a second factor. Finish at /auth/mfa/sign-in with the attempt code.",
        )
        .with(json!({"attempt_code": attempt_code}))
    }
}

/// Teams, permissions and keys.
impl KnownError {
    /// The team does not exist.
    #[must_use]
    pub fn team_not_found(team: TeamId) -> Self {
        Self::not_found("TEAM_NOT_FOUND", format!("The project has no team {team}."))
            .with(json!({"team_id": team}))
    }

    /// The user is not in the team.
    #[must_use]
    pub fn team_membership_not_found(team: TeamId, user: UserId) -> Self {
        Self::not_found(
            "TEAM_MEMBERSHIP_NOT_FOUND",
            format!("User {user} is not a member of team {team}."),
        )
        .with(json!({"team_id": team, "user_id": user}))
    }

    /// The user is in the team already.
    #[must_use]
    pub fn team_membership_already_exists() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "TEAM_MEMBERSHIP_ALREADY_EXISTS",
            "The user is a member of the team already.",
        )
    }

    /// Somebody who may not use the project yet, and so may not accept an invitation.
    #[must_use]
    pub fn team_invitation_restricted_user(reason: RestrictedReason) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "TEAM_INVITATION_RESTRICTED_USER_NOT_ALLOWED",
            "The user is restricted, and cannot accept invitations before that is lifted.",
        )
        .with(json!({"restricted_reason": reason}))
    }

    /// A member without the permission.
    #[must_use]
    pub fn team_permission_required(team: TeamId, user: UserId, permission: &PermissionId) -> Self {
        Self::unauthorized(
            "TEAM_PERMISSION_REQUIRED",
            format!("User {user} needs the permission {permission} in team {team}."),
        )
        .with(json!({"team_id": team, "user_id": user, "permission_id": permission}))
    }

    /// The member was not granted the permission directly.
    #[must_use]
    pub fn team_permission_not_found(
        team: TeamId,
        user: UserId,
        permission: &PermissionId,
    ) -> Self {
        Self::unauthorized(
            "TEAM_PERMISSION_NOT_FOUND",
            format!(
                "The permission {permission} is not granted to user {user} in team {team} directly."
            ),
        )
        .with(json!({"team_id": team, "user_id": user, "permission_id": permission}))
    }

    /// No permission of that id, or not one that this can be done with.
    #[must_use]
    pub fn permission_not_found(permission: &PermissionId) -> Self {
        Self::not_found(
            "PERMISSION_NOT_FOUND",
            format!("There is no permission {permission} that this could be done with."),
        )
        .with(json!({"permission_id": permission}))
    }

    /// A permission of the other scope.
    #[must_use]
    pub fn wrong_permission_scope(
        permission: &PermissionId,
        expected: Scope,
        actual: Scope,
    ) -> Self {
        let (expected, actual) = (expected.as_str(), actual.as_str());
        Self::not_found(
            "WRONG_PERMISSION_SCOPE",
            format!("{permission} is a {actual} permission; a {expected} permission is needed."),
        )
        .with(json!({
            "permission_id": permission,
            "expected_scope": expected,
            "actual_scope": actual,
        }))
    }

    /// A definition that contains what does not exist in its scope.
    #[must_use]
    pub fn contained_permission_not_found(permission: &PermissionId) -> Self {
        Self::bad_request(
            "CONTAINED_PERMISSION_NOT_FOUND",
            format!("The contained permission {permission} is not defined in the same scope."),
        )
        .with(json!({"permission_id": permission}))
    }

    /// A definition under an id that is taken.
    #[must_use]
    pub fn permission_id_already_exists(permission: &PermissionId) -> Self {
        Self::bad_request(
            "PERMISSION_ID_ALREADY_EXISTS",
            format!("A permission {permission} is defined already. Choose another id."),
        )
        .with(json!({"permission_id": permission}))
    }

    /// A key that was revoked.
    #[must_use]
    pub fn api_key_revoked() -> Self {
        Self::unauthorized("API_KEY_REVOKED", "The API key was revoked.")
    }

    /// A key past its end.
    #[must_use]
    pub fn api_key_expired() -> Self {
        Self::unauthorized("API_KEY_EXPIRED", "The API key has expired.")
    }

    /// A user's key where a team's is wanted, or the other way round.
    #[must_use]
    pub fn wrong_api_key_type(expected: &str, actual: &str) -> Self {
        Self::bad_request(
            "WRONG_API_KEY_TYPE",
            format!("This is a {actual}'s API key; a {expected}'s is needed."),
        )
        .with(json!({"expected_type": expected, "actual_type": actual}))
    }

    /// A scanner reported a key that everybody may see.
    #[must_use]
    pub fn public_api_key_cannot_be_revoked() -> Self {
        Self::bad_request(
            "PUBLIC_API_KEY_CANNOT_BE_REVOKED",
            "The API key is a public one: it may be seen, so being found is no reason to revoke it.",
        )
    }

    /// A store of the data vault that the project did not configure.
    #[must_use]
    pub fn data_vault_store_does_not_exist(store: &str) -> Self {
        Self::bad_request(
            "DATA_VAULT_STORE_DOES_NOT_EXIST",
            format!("The data vault has no store {store}. Stores are made in the configuration."),
        )
        .with(json!({"store_id": store}))
    }

    /// Nothing is kept under that key.
    #[must_use]
    pub fn data_vault_store_hashed_key_does_not_exist(store: &str, hashed_key: &str) -> Self {
        Self::bad_request(
            "DATA_VAULT_STORE_HASHED_KEY_DOES_NOT_EXIST",
            format!("The store {store} of the data vault keeps nothing under this key."),
        )
        .with(json!({"store_id": store, "hashed_key": hashed_key}))
    }

    /// No key of that id.
    #[must_use]
    pub fn api_key_not_found() -> Self {
        Self::not_found("API_KEY_NOT_FOUND", "There is no such API key.")
    }
}
