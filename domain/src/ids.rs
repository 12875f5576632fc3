//! Identifiers, one type each, so that a team can never be passed where a user is meant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Declares a UUID newtype.
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
    /// A user of a project. Unique across projects.
    UserId
);
uuid_id!(
    /// A team of a project.
    TeamId
);
uuid_id!(
    /// A session: what one refresh token stands for. The `refresh_token_id` of an access token.
    SessionId
);
uuid_id!(
    /// An email address held by a user.
    ContactChannelId
);
uuid_id!(
    /// An entry of the data vault.
    VaultEntryId
);
uuid_id!(
    /// A set of project keys (publishable, secret server, super secret admin).
    KeySetId
);
uuid_id!(
    /// An API key of a user or a team.
    ApiKeyId
);

uuid_id!(
    /// A code that was sent or shown to somebody, to be brought back once.
    VerificationCodeId
);
uuid_id!(
    /// A message to be sent by email.
    OutgoingEmailId
);
uuid_id!(
    /// One attempt of a command-line program to get a session from a browser.
    CliLoginId
);

uuid_id!(
    /// A customer's stream. It follows from the project and who the customer is.
    CustomerId
);
uuid_id!(
    /// A subscription or a one-time purchase.
    PurchaseId
);

uuid_id!(
    /// A conversation of a dashboard user with the assistant.
    AiConversationId
);
uuid_id!(
    /// A conversation between agents and a user of a project.
    SupportConversationId
);

/// A project: a UUID, or the literal `internal` for the project that owns all others.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, Debug)]
#[serde(transparent)]
pub struct ProjectId(String);

impl ProjectId {
    /// The project whose users own the other projects.
    pub const INTERNAL: &'static str = "internal";

    /// The `internal` project.
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

/// The id of the one branch that every project has (contract 04).
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
