//! What opens what, and what voids it.
//!
//! A credential is proved, sent or promised at one time and used at another. What it was given for
//! may be gone by then: the address left the account, the password was changed, the member was
//! removed. So every credential has grounds, and it is asked for all of them in the transaction in
//! which it is used. This is the whole table, in one place: [`Credential::grounds`].
//!
//! Each line has a test of its own through HTTP; `tests/it/grounds.rs` names them all and fails when
//! a line is without.

use crate::verification_code::Purpose;

/// Something that opens something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A password opens its account.
    Password,
    /// A passkey opens its account.
    Passkey,
    /// A code opens what its purpose says, once.
    Code(Purpose),
    /// A refresh token opens its account, again and again, for a year.
    RefreshToken,
    /// An access token acts as its user for some minutes, and, of a user of the `internal` project,
    /// as an administrator of the projects that their teams own.
    AccessToken,
    /// A command-line login hands a browser's session to a program, once.
    CliLogin,
    /// A user's API key says which user its holder is.
    UserApiKey,
    /// A team's API key says which team its holder is. It is the team's: that the member who made it
    /// has left voids nothing.
    TeamApiKey,
}

/// What must still be so when a credential is used. Once it is not, the credential is void.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    /// The account exists.
    Account,
    /// The password is the one that was proved, or that the account had when the code was sent. A
    /// stronger hash of the same password changes nothing.
    Password,
    /// The passkey is the account's.
    Passkey,
    /// The account signs in with the address.
    SignInAddress,
    /// The account that the code was sent to signs in with the address, or another one does by now:
    /// then the code came out of that one's mailbox. A code that was sent when nobody had the
    /// address opens an account that is made for it.
    SomebodysSignInAddress,
    /// The address is one of the account's.
    Address,
    /// The first factor still opens the account.
    FirstFactor,
    /// The session was not ended: by signing out, from another session, by another password.
    Session,
    /// The user was not restricted since.
    Unrestricted,
    /// Neither did a user with the address leave the team since, or was removed from it, nor does
    /// the one who brings the invitation back, at whichever address it was sent to.
    NotRemoved,
    /// The team exists.
    Team,
    /// The customer, a user or a team, was not deleted.
    Customer,
    /// The project exists.
    Project,
    /// Whoever let the platform in, where that is known, belongs to the team that owns the project.
    Owner,
    /// No sibling was used.
    NoSiblingUsed(Siblings),
}

/// Which codes of the same purpose are void once one of them was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Siblings {
    /// All that are about the same account.
    OfAccount,
    /// Those about the same account that were sent to the same address.
    OfChannel,
    /// All that were sent to the same address, once there is an account to sign in to. A code that
    /// was sent before there was one voids none: whoever asks twice and uses both gets in twice.
    OfAddress,
    /// Those that were sent to the same address and lead into the same team.
    OfInvitation,
}

impl Credential {
    /// Every credential there is.
    pub const ALL: [Self; 18] = [
        Self::Password,
        Self::Passkey,
        Self::Code(Purpose::SignIn),
        Self::Code(Purpose::PasswordReset),
        Self::Code(Purpose::ContactChannelVerification),
        Self::Code(Purpose::TeamInvitation),
        Self::Code(Purpose::MfaAttempt),
        Self::Code(Purpose::PasskeyRegistration),
        Self::Code(Purpose::PasskeyAuthentication),
        Self::Code(Purpose::PurchaseUrl),
        Self::Code(Purpose::ProjectTransfer),
        Self::Code(Purpose::IntegrationConfirmation),
        Self::Code(Purpose::IntegrationLogin),
        Self::RefreshToken,
        Self::AccessToken,
        Self::CliLogin,
        Self::UserApiKey,
        Self::TeamApiKey,
    ];

    /// What it rests on. Time, guesses and use are not among it: those are the credential's own.
    #[must_use]
    pub const fn grounds(self) -> &'static [Ground] {
        match self {
            Self::Password => &[Ground::Account, Ground::Password, Ground::SignInAddress],
            Self::Passkey => &[Ground::Account, Ground::Passkey],
            Self::Code(purpose) => purpose.grounds(),
            Self::RefreshToken | Self::CliLogin => &[Ground::Account, Ground::Session],
            Self::AccessToken => &[Ground::Account, Ground::Session, Ground::Unrestricted],
            Self::UserApiKey => &[Ground::Account],
            Self::TeamApiKey => &[Ground::Team],
        }
    }
}

impl Purpose {
    /// What a code of this purpose rests on.
    #[must_use]
    pub const fn grounds(self) -> &'static [Ground] {
        match self {
            Self::SignIn => &[
                Ground::SomebodysSignInAddress,
                Ground::NoSiblingUsed(Siblings::OfAddress),
            ],
            Self::PasswordReset => &[
                Ground::Account,
                Ground::SignInAddress,
                Ground::Password,
                Ground::NoSiblingUsed(Siblings::OfAccount),
            ],
            Self::ContactChannelVerification => &[
                Ground::Account,
                Ground::Address,
                Ground::NoSiblingUsed(Siblings::OfChannel),
            ],
            Self::TeamInvitation => &[
                Ground::Team,
                Ground::NotRemoved,
                Ground::NoSiblingUsed(Siblings::OfInvitation),
            ],
            Self::MfaAttempt => &[Ground::Account, Ground::FirstFactor],
            Self::PasskeyRegistration => &[Ground::Account],
            // The challenge itself opens nothing: the passkey that signs it does.
            Self::PasskeyAuthentication => &[],
            Self::PurchaseUrl => &[Ground::Customer],
            Self::ProjectTransfer => &[Ground::Project],
            // The key that they lead to is asked for grounds of its own, whenever it is used.
            Self::IntegrationConfirmation | Self::IntegrationLogin => {
                &[Ground::Project, Ground::Owner]
            }
        }
    }

    /// Which other codes are void once one of this purpose was used.
    #[must_use]
    pub fn siblings(self) -> Option<Siblings> {
        self.grounds().iter().find_map(|ground| match ground {
            Ground::NoSiblingUsed(siblings) => Some(*siblings),
            _ => None,
        })
    }
}
