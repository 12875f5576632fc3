//! Users and their contact channels.

use muniment_domain::UserId;
use uuid::Uuid;

use super::code::{Code, KnownError, codes};

codes! {
    /// Nobody is signed in.
    CannotGetOwnUserWithoutUser: BAD_REQUEST "CANNOT_GET_OWN_USER_WITHOUT_USER";

    /// Nobody is signed in, where somebody must be.
    UserAuthenticationRequired: UNAUTHORIZED "USER_AUTHENTICATION_REQUIRED";

    /// The user addressed does not exist.
    UserNotFound: NOT_FOUND "USER_NOT_FOUND";

    /// The user spoken of does not exist.
    UserIdDoesNotExist: BAD_REQUEST "USER_ID_DOES_NOT_EXIST" {
        /// The id.
        user_id: Uuid,
    };

    /// Somebody signs in with the address already, or has an account with it but has not proved it.
    UserEmailAlreadyExists: CONFLICT "USER_EMAIL_ALREADY_EXISTS" {
        /// The address.
        email: String,
        /// Whether it would have worked, had the account that has the address proved it.
        would_work_if_email_was_verified: bool,
    };

    /// An address that needs no proof any more.
    EmailAlreadyVerified: CONFLICT "EMAIL_ALREADY_VERIFIED";

    /// An address that is not the one shown.
    EmailIsNotPrimaryEmail: BAD_REQUEST "EMAIL_IS_NOT_PRIMARY_EMAIL" {
        /// The address.
        email: String,
        /// The user's primary address, if there is one.
        #[schema(required)]
        primary_email: Option<String>,
    };

    /// An address that somebody else signs in with.
    ContactChannelAlreadyUsedForAuthBySomeoneElse: CONFLICT "CONTACT_CHANNEL_ALREADY_USED_FOR_AUTH_BY_SOMEONE_ELSE" {
        /// The kind of the contact channel: `email`.
        #[serde(rename = "type")]
        kind: &'static str,
        /// The address, if it may be told.
        #[schema(required)]
        contact_channel_value: Option<String>,
        /// Whether it would have worked with a proved address.
        would_work_if_email_was_verified: bool,
    };
}

impl KnownError {
    /// Nobody is signed in.
    #[must_use]
    pub fn cannot_get_own_user_without_user() -> Self {
        CannotGetOwnUserWithoutUser
            .says("Nobody is signed in. Send the user's access token as x-stack-access-token.")
    }

    /// Nobody is signed in, where somebody must be.
    #[must_use]
    pub fn user_authentication_required() -> Self {
        UserAuthenticationRequired.says(
            "A signed-in user is needed. Send the user's access token as x-stack-access-token.",
        )
    }

    /// The user addressed does not exist.
    #[must_use]
    pub fn user_not_found() -> Self {
        UserNotFound.says("The project has no user with this id.")
    }

    /// The user spoken of does not exist.
    #[must_use]
    pub fn user_id_does_not_exist(user: UserId) -> Self {
        UserIdDoesNotExist { user_id: user.0 }.says(format!("The project has no user {user}."))
    }

    /// Somebody signs in with the address already.
    #[must_use]
    pub fn user_email_already_exists(email: &str) -> Self {
        UserEmailAlreadyExists {
            email: email.to_owned(),
            would_work_if_email_was_verified: false,
        }
        .says(format!(
            "Another user signs in with {email}. Sign in to that account, or use another address."
        ))
    }

    /// Somebody signs in with the address, but has not proved it: a code would not prove it either.
    #[must_use]
    pub fn user_email_exists_unverified(email: &str) -> Self {
        UserEmailAlreadyExists {
            email: email.to_owned(),
            would_work_if_email_was_verified: true,
        }
        .says(format!(
            "An account uses {email} but has not verified it. Sign in to it another way and \
             verify the address."
        ))
    }

    /// An address that needs no proof any more.
    #[must_use]
    pub fn email_already_verified() -> Self {
        EmailAlreadyVerified.says("The address is verified already.")
    }

    /// An address that is not the one shown.
    #[must_use]
    pub fn email_is_not_primary_email(email: &str, primary: Option<&str>) -> Self {
        EmailIsNotPrimaryEmail {
            email: email.to_owned(),
            primary_email: primary.map(str::to_owned),
        }
        .says("The address is not the user's primary one. Verify others by their contact channel.")
    }

    /// An address that somebody else signs in with.
    #[must_use]
    pub fn contact_channel_already_used_for_auth(value: Option<&str>) -> Self {
        ContactChannelAlreadyUsedForAuthBySomeoneElse {
            kind: "email",
            contact_channel_value: value.map(str::to_owned),
            would_work_if_email_was_verified: false,
        }
        .says("Somebody else signs in with this address.")
    }
}
