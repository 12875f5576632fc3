//! Signing up and in: passwords, codes, passkeys and second factors.

use axum::http::StatusCode;
use serde_json::json;

use super::KnownError;

impl KnownError {
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
