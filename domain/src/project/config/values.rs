//! The values of settings that are neither plain nor tables of settings themselves, and their form
//! in documents.

use std::collections::BTreeMap;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::PermissionId;
use crate::permission::Definition;
use crate::project::level::Level;
use crate::project::schema::{Field, RecordKey, Setting, Shape, default_of, no_entries};
use crate::sign_up_rules::{self, DefaultAction, Rules, SignUpRule};

/// The names of [`AccountMergeStrategy`] on the wire.
pub const MERGE_STRATEGIES: [&str; 3] = ["link_method", "raise_error", "allow_duplicates"];

/// The OAuth providers that exist.
pub const PROVIDERS: [&str; 12] = [
    "google",
    "github",
    "microsoft",
    "spotify",
    "facebook",
    "discord",
    "gitlab",
    "bitbucket",
    "linkedin",
    "apple",
    "x",
    "twitch",
];

/// Where a project's data is: `sourceOfTruth.type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataSource {
    /// The data is in this server's own database.
    #[default]
    Hosted,
    /// The data is at Neon.
    Neon,
    /// The data is in another Postgres.
    Postgres,
}

impl Setting for DataSource {
    const SHAPE: Shape = Shape::OneOf(&["hosted", "neon", "postgres"]);
}

/// What happens when an OAuth sign-in brings an email that an account has already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountMergeStrategy {
    /// The OAuth account is linked to it, if both emails are verified.
    #[default]
    LinkMethod,
    /// The sign-in is refused.
    RaiseError,
    /// A second account is created.
    AllowDuplicates,
}

impl Setting for AccountMergeStrategy {
    const SHAPE: Shape = Shape::OneOf(&MERGE_STRATEGIES);
}

impl Setting for DefaultAction {
    const SHAPE: Shape = Shape::OneOf(&["allow", "reject"]);
}

impl Setting for Definition {
    const SHAPE: Shape = Shape::Object {
        fields: &[
            branch("description", &Shape::Text),
            branch("scope", &Shape::OneOf(&["team", "project"])),
            branch(
                "containedPermissionIds",
                &<BTreeMap<PermissionId, bool>>::SHAPE,
            ),
        ],
        default: default_of::<Self>,
    };
}

impl Setting for SignUpRule {
    const SHAPE: Shape = Shape::Object {
        fields: &[
            branch("enabled", &Shape::Boolean),
            branch("displayName", &Shape::Text),
            branch("priority", &Shape::Number),
            branch("condition", &Shape::Condition),
            branch("action", &sign_up_rules::Action::SHAPE),
        ],
        default: default_of::<Self>,
    };
}

impl Setting for sign_up_rules::Action {
    const SHAPE: Shape = Shape::Object {
        fields: &[
            branch(
                "type",
                &Shape::OneOf(&["allow", "reject", "restrict", "log"]),
            ),
            branch("message", &Shape::Text),
        ],
        default: default_of::<Self>,
    };
}

const fn branch(name: &'static str, shape: &'static Shape) -> Field {
    Field {
        name,
        level: Level::Branch,
        shape,
    }
}

pub(super) const fn by_uuid(entry: &'static Shape) -> Shape {
    Shape::Record {
        key: RecordKey::Uuid,
        entry,
        default: no_entries,
    }
}

/// Serializes rules in the order in which they are asked.
pub(super) fn in_order<S: Serializer>(rules: &Rules, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(rules.len()))?;
    for (id, rule) in sign_up_rules::in_order(rules) {
        map.serialize_entry(id, rule)?;
    }
    map.end()
}
