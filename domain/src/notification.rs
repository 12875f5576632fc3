//! Categories of mails, and whether a user wants to receive them.

use serde::{Deserialize, Serialize};
use uuid::{Uuid, uuid};

/// A category of mails. The categories are fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationCategory {
    /// Mails about what the user does.
    Transactional,
    /// Mails that advertise something.
    Marketing,
}

/// Whether a user wants mails of a category.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preference {
    /// The user receives mails of the category.
    Wanted,
    /// The user receives no mails of the category.
    Unwanted,
}

impl NotificationCategory {
    /// All categories, in the order in which they are listed.
    pub const ALL: [Self; 2] = [Self::Transactional, Self::Marketing];

    /// The category's id on the wire.
    #[must_use]
    pub fn id(self) -> Uuid {
        match self {
            Self::Transactional => uuid!("7bb82d33-2f54-4a3d-9d23-82739e0d66ef"),
            Self::Marketing => uuid!("4f6f8873-3d04-46bd-8bef-18338b1a1b4c"),
        }
    }

    /// The category with that id on the wire.
    #[must_use]
    pub fn by_id(id: Uuid) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.id() == id)
    }

    /// The category's name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Transactional => "Transactional",
            Self::Marketing => "Marketing",
        }
    }

    /// The preference of a user who has not chosen.
    #[must_use]
    pub fn default_preference(self) -> Preference {
        match self {
            Self::Transactional | Self::Marketing => Preference::Wanted,
        }
    }

    /// Whether users are shown a way to switch the category off. Doing so is never refused.
    #[must_use]
    pub fn can_disable(self) -> bool {
        match self {
            Self::Transactional => false,
            Self::Marketing => true,
        }
    }
}

impl Preference {
    /// Reads the preference from the wire, where it is a switch.
    #[must_use]
    pub fn from_enabled(enabled: bool) -> Self {
        if enabled {
            Self::Wanted
        } else {
            Self::Unwanted
        }
    }

    /// The preference as a switch on the wire.
    #[must_use]
    pub fn is_enabled(self) -> bool {
        self == Self::Wanted
    }
}
