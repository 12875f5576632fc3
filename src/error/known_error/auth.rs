//! Signing up and in: passwords, codes, passkeys and second factors.

use super::code::{Code, KnownError, codes};

codes! {
    /// Strangers may not sign up.
    SignUpNotEnabled: BAD_REQUEST "SIGN_UP_NOT_ENABLED";

    /// A rule refuses the sign-up. Which one is not for who signs up to know.
    SignUpRejected: FORBIDDEN "SIGN_UP_REJECTED" {
        /// The text for people.
        message: &'static str,
    };

    /// Passwords are switched off.
    PasswordAuthenticationNotEnabled: BAD_REQUEST "PASSWORD_AUTHENTICATION_NOT_ENABLED";

    /// Unknown address or wrong password.
    EmailPasswordMismatch: BAD_REQUEST "EMAIL_PASSWORD_MISMATCH";

    /// A password of less than eight characters.
    PasswordTooShort: BAD_REQUEST "PASSWORD_TOO_SHORT" {
        /// How many characters a password needs.
        min_length: u32,
    };

    /// A password of more than seventy characters, or too many bytes.
    PasswordTooLong: BAD_REQUEST "PASSWORD_TOO_LONG" {
        /// How many characters a password may have.
        #[serde(rename = "maxLength")]
        max_length: u32,
    };

    /// A URL that the project does not trust.
    RedirectUrlNotWhitelisted: BAD_REQUEST "REDIRECT_URL_NOT_WHITELISTED";

    /// A changed password, where there is none.
    UserDoesNotHavePassword: BAD_REQUEST "USER_DOES_NOT_HAVE_PASSWORD";

    /// A changed password, and the old one is wrong.
    PasswordConfirmationMismatch: BAD_REQUEST "PASSWORD_CONFIRMATION_MISMATCH";

    /// A code that was never issued for this purpose in this project.
    VerificationCodeNotFound: NOT_FOUND "VERIFICATION_CODE_NOT_FOUND";

    /// A code that came too late.
    VerificationCodeExpired: BAD_REQUEST "VERIFICATION_CODE_EXPIRED";

    /// A code that was used before.
    VerificationCodeAlreadyUsed: CONFLICT "VERIFICATION_CODE_ALREADY_USED";

    /// A code that was guessed at too often.
    VerificationCodeMaxAttemptsReached: BAD_REQUEST "VERIFICATION_CODE_MAX_ATTEMPTS_REACHED";

    /// Passkeys are switched off.
    PasskeyAuthenticationNotEnabled: BAD_REQUEST "PASSKEY_AUTHENTICATION_NOT_ENABLED";

    /// What the authenticator made cannot be accepted.
    PasskeyRegistrationFailed: BAD_REQUEST "PASSKEY_REGISTRATION_FAILED";

    /// What the authenticator signed cannot be accepted.
    PasskeyAuthenticationFailed: BAD_REQUEST "PASSKEY_AUTHENTICATION_FAILED";

    /// A wrong second factor.
    InvalidTotpCode: BAD_REQUEST "INVALID_TOTP_CODE";

    /// A program that asks for a login that was never begun.
    InvalidPollingCode: BAD_REQUEST "INVALID_POLLING_CODE";

    /// The second factor is still to come.
    MultiFactorAuthenticationRequired: BAD_REQUEST "MULTI_FACTOR_AUTHENTICATION_REQUIRED" {
        /// What `/auth/mfa/sign-in` takes, together with the second factor.
        attempt_code: String,
    };
}

impl KnownError {
    /// Strangers may not sign up.
    #[must_use]
    pub fn sign_up_not_enabled() -> Self {
        SignUpNotEnabled.says("Signing up is switched off in this project.")
    }

    /// A rule refuses the sign-up. Which one is not for who signs up to know.
    #[must_use]
    pub fn sign_up_rejected() -> Self {
        let message = "This sign-up was refused. If you think that is wrong, ask the operator of \
                       the application.";
        SignUpRejected { message }.says(message)
    }

    /// Passwords are switched off.
    #[must_use]
    pub fn password_authentication_not_enabled() -> Self {
        PasswordAuthenticationNotEnabled.says("Password sign-in is switched off in this project.")
    }

    /// Unknown address or wrong password.
    #[must_use]
    pub fn email_password_mismatch() -> Self {
        EmailPasswordMismatch.says("The email address or the password is wrong.")
    }

    /// A password of less than eight characters.
    #[must_use]
    pub fn password_too_short() -> Self {
        PasswordTooShort { min_length: 8 }.says("A password needs at least 8 characters.")
    }

    /// A password of more than seventy characters, or too many bytes.
    #[must_use]
    pub fn password_too_long() -> Self {
        PasswordTooLong { max_length: 70 }.says("A password may have at most 70 characters.")
    }

    /// A URL that the project does not trust.
    #[must_use]
    pub fn redirect_url_not_whitelisted() -> Self {
        RedirectUrlNotWhitelisted.says(
            "The callback URL is not on a trusted domain. Add its domain to the project's \
             settings.",
        )
    }

    /// A changed password, where there is none.
    #[must_use]
    pub fn user_does_not_have_password() -> Self {
        UserDoesNotHavePassword
            .says("The account has no password yet. Set one at /auth/password/set.")
    }

    /// A changed password, and the old one is wrong.
    #[must_use]
    pub fn password_confirmation_mismatch() -> Self {
        PasswordConfirmationMismatch.says("The old password is wrong.")
    }

    /// A code that was never issued for this purpose in this project.
    #[must_use]
    pub fn verification_code_not_found() -> Self {
        VerificationCodeNotFound.says("There is no such code here. Check it, or ask for a new one.")
    }

    /// A code that came too late.
    #[must_use]
    pub fn verification_code_expired() -> Self {
        VerificationCodeExpired.says("The code has expired. Ask for a new one.")
    }

    /// A code that was used before.
    #[must_use]
    pub fn verification_code_already_used() -> Self {
        VerificationCodeAlreadyUsed.says("The code was used already. Ask for a new one.")
    }

    /// A code that was guessed at too often.
    #[must_use]
    pub fn verification_code_max_attempts_reached() -> Self {
        VerificationCodeMaxAttemptsReached
            .says("There were too many attempts at this code. Ask for a new one.")
    }

    /// Passkeys are switched off.
    #[must_use]
    pub fn passkey_authentication_not_enabled() -> Self {
        PasskeyAuthenticationNotEnabled.says("Passkey sign-in is switched off in this project.")
    }

    /// What the authenticator made cannot be accepted.
    #[must_use]
    pub fn passkey_registration_failed() -> Self {
        PasskeyRegistrationFailed.says(
            "The passkey could not be registered. Check that the site is a trusted domain, and \
             begin anew.",
        )
    }

    /// What the authenticator signed cannot be accepted.
    #[must_use]
    pub fn passkey_authentication_failed() -> Self {
        PasskeyAuthenticationFailed.says(
            "The passkey was not accepted. It may be unknown here, or the site no trusted domain.",
        )
    }

    /// A wrong second factor.
    #[must_use]
    pub fn invalid_totp_code() -> Self {
        InvalidTotpCode.says("The code is wrong, or was used already. Enter the next one.")
    }

    /// A program that asks for a login that was never begun.
    #[must_use]
    pub fn invalid_polling_code() -> Self {
        InvalidPollingCode.says("There is no such login. Begin anew at /auth/cli.")
    }

    /// The second factor is still to come.
    #[must_use]
    pub fn multi_factor_authentication_required(attempt_code: &str) -> Self {
        MultiFactorAuthenticationRequired {
            attempt_code: attempt_code.to_owned(),
        }
        .says("The account has a second factor. Finish at /auth/mfa/sign-in with the attempt code.")
    }
}
