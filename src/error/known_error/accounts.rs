//! Users and their contact channels.

use axum::http::StatusCode;
use muniment_domain::UserId;
use serde_json::json;

use super::KnownError;

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
}
