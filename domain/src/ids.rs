//! Identifiers, one type each, so that a team can never be passed where a user is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Declares an id that is a UUID.
macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// The id of a user. Unique across projects.
    UserId
);
uuid_id!(
    /// The id of a project's team.
    TeamId
);
uuid_id!(
    /// The id of a session, which one refresh token stands for. The `refresh_token_id` of an access
    /// token.
    SessionId
);
uuid_id!(
    /// The id of an email address that a user has.
    ContactChannelId
);
uuid_id!(
    /// The id of an entry of the data vault.
    VaultEntryId
);
uuid_id!(
    /// The id of a set of project keys (publishable, secret server, super secret admin).
    KeySetId
);
uuid_id!(
    /// The id of a user's or a team's API key.
    ApiKeyId
);

uuid_id!(
    /// The id of a code that was sent or shown to somebody, to be brought back once.
    VerificationCodeId
);
uuid_id!(
    /// The id of a message to be sent by email.
    OutgoingEmailId
);
uuid_id!(
    /// The id of one attempt of a command-line program to get a session from a browser.
    CliLoginId
);

uuid_id!(
    /// The id of a customer's stream. It follows from the project and from who the customer is.
    CustomerId
);
uuid_id!(
    /// The id of a subscription or a one-time purchase.
    PurchaseId
);

uuid_id!(
    /// The id of a dashboard user's conversation with the assistant.
    AiConversationId
);
uuid_id!(
    /// The id of a conversation between agents and a user of a project.
    SupportConversationId
);

/// The id of a project: a UUID, or the literal `internal` for the project that owns all others.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Debug)]
#[serde(transparent)]
pub struct ProjectId(String);

impl ProjectId {
    /// The id of the project whose users own the other projects.
    pub const INTERNAL: &'static str = "internal";

    /// The id of the `internal` project.
    #[must_use]
    pub fn internal() -> Self {
        Self(Self::INTERNAL.to_owned())
    }

    /// The id of a newly made project.
    #[must_use]
    pub fn from_uuid(id: Uuid) -> Self {
        Self(id.as_hyphenated().to_string())
    }

    /// Takes an id as a caller sent it. No format is demanded: an unknown id is simply not found.
    #[must_use]
    pub fn from_caller(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The id as it stands in tables and tokens.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the project that owns the others.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.0 == Self::INTERNAL
    }
}

impl fmt::Display for ProjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of the one branch that every project has.
pub const MAIN_BRANCH: &str = "main";

/// The id of a permission definition, for example `team_admin` or the system's `$update_team`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Debug)]
#[serde(transparent)]
pub struct PermissionId(String);

impl PermissionId {
    /// Wraps an id that was checked by its parser or is one of the system's own.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PermissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
