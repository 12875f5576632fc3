//! The events on the stream of a project.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use strum::{IntoStaticStr, VariantNames};

use super::level::Level;
use crate::event::domain_event;
use crate::permission::DefinitionChanges;
use crate::{KeySetId, Millis, Patch, PermissionId, Personal, ProjectId, SecretHash, TeamId};

/// An event on a project's stream.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "type")]
pub enum ProjectEvent {
    /// The project came into being.
    ProjectCreated(ProjectCreated),
    /// The project's own fields changed.
    ProjectUpdated(ProjectUpdated),
    /// Some settings of a level changed.
    ConfigOverridden(ConfigOverridden),
    /// The settings of a level were replaced by others.
    ConfigReplaced(ConfigReplaced),
    /// Settings of a level went back to their defaults, or to what lower levels say.
    ConfigReset {
        /// The level whose settings went back.
        level: Level,
        /// The keys that were taken out, with what was below them.
        keys: Vec<String>,
    },
    /// The project no longer knows where its configuration was pushed from.
    ConfigUnlinked {},
    /// A permission was defined, or its definition replaced.
    PermissionDefined(PermissionDefined),
    /// A permission got another id, and possibly another definition. Its grants have events of
    /// their own, on the streams of teams and users.
    PermissionRenamed {
        /// The permission's id until then.
        permission_id: PermissionId,
        /// The permission's id from then on.
        new_permission_id: PermissionId,
        /// All definitions that changed with it, by id.
        definitions: DefinitionChanges,
    },
    /// A permission's definition was removed. So were its grants, by events of their own.
    PermissionRemoved {
        /// The permission that was removed.
        permission_id: PermissionId,
        /// All definitions that changed with it, by id.
        definitions: DefinitionChanges,
    },
    /// A set of keys was issued, or replaced.
    KeySetIssued(KeySetIssued),
    /// A key set's description changed.
    KeySetDescribed {
        /// The key set that was described.
        key_set_id: KeySetId,
        /// The purpose of the keys, for operators.
        description: String,
    },
    /// A key set stopped working.
    KeySetRevoked {
        /// The key set whose keys stopped working.
        key_set_id: KeySetId,
        /// When the keys stopped working.
        revoked_at: Millis,
    },
    /// The project takes payments through its own account at Stripe.
    StripeAccountConnected {
        /// The account's id at Stripe: `acct_…`
        stripe_account_id: String,
    },
    /// A hosting platform made the project for somebody who is to claim it.
    ProjectProvisioned {
        /// The platform, a client of the integrations.
        client_id: String,
    },
    /// The project belongs to another team from then on. It no longer waits to be claimed.
    ProjectTransferred {
        /// The new owner, a team of the `internal` project.
        owner_team_id: TeamId,
    },
    /// The project is gone, with all its data.
    ProjectDeleted {},
}

/// How far its owner has come in setting a project up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnboardingStatus {
    /// The owner is choosing a configuration.
    ConfigChoice,
    /// The owner is choosing apps.
    AppsSelection,
    /// The owner is setting up sign-in.
    AuthSetup,
    /// The owner is setting up domains.
    DomainSetup,
    /// The owner is choosing an email theme.
    EmailThemeSetup,
    /// The owner is setting up payments.
    PaymentsSetup,
    /// The owner is being greeted.
    Welcome,
    /// The project is set up.
    #[default]
    Completed,
}

impl OnboardingStatus {
    /// The name of every status on the wire.
    pub const NAMES: [&'static str; 8] = [
        "config_choice",
        "apps_selection",
        "auth_setup",
        "domain_setup",
        "email_theme_setup",
        "payments_setup",
        "welcome",
        "completed",
    ];
}

/// The content of [`ProjectEvent::ProjectCreated`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProjectCreated {
    /// The id of the new project.
    pub project_id: ProjectId,
    /// When the project was created.
    pub created_at: Millis,
    /// The owner, a team of the `internal` project.
    pub owner_team_id: Option<TeamId>,
    /// The project's own fields at the start.
    pub profile: ProjectProfile,
}

/// A project's own fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectProfile {
    /// The name that users see.
    pub display_name: String,
    /// The project's purpose; empty when unset.
    pub description: String,
    /// The address of the logo.
    pub logo_url: Option<String>,
    /// The address of the logo with the name.
    pub logo_full_url: Option<String>,
    /// The address of the logo for dark backgrounds.
    pub logo_dark_mode_url: Option<String>,
    /// The address of the logo with the name for dark backgrounds.
    pub logo_full_dark_mode_url: Option<String>,
    /// Whether the owner declared the project ready for real users.
    pub is_production_mode: bool,
    /// How far the owner has come in setting the project up.
    pub onboarding_status: OnboardingStatus,
}

/// The content of [`ProjectEvent::ProjectUpdated`]. Fields that did not change are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectUpdated {
    /// The name that users see.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The project's purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The address of the logo.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub logo_url: Patch<String>,
    /// The address of the logo with the name.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub logo_full_url: Patch<String>,
    /// The address of the logo for dark backgrounds.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub logo_dark_mode_url: Patch<String>,
    /// The address of the logo with the name for dark backgrounds.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub logo_full_dark_mode_url: Patch<String>,
    /// Whether the owner declares the project ready for real users, or takes that back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_production_mode: Option<bool>,
    /// How far the owner has come in setting the project up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onboarding_status: Option<OnboardingStatus>,
}

impl ProjectUpdated {
    /// Applies the change to the project's fields.
    pub fn apply_to(self, profile: &mut ProjectProfile) {
        if let Some(name) = self.display_name {
            profile.display_name = name;
        }
        if let Some(description) = self.description {
            profile.description = description;
        }
        self.logo_url.apply_to(&mut profile.logo_url);
        self.logo_full_url.apply_to(&mut profile.logo_full_url);
        self.logo_dark_mode_url
            .apply_to(&mut profile.logo_dark_mode_url);
        self.logo_full_dark_mode_url
            .apply_to(&mut profile.logo_full_dark_mode_url);
        profile.is_production_mode = self
            .is_production_mode
            .unwrap_or(profile.is_production_mode);
        profile.onboarding_status = self.onboarding_status.unwrap_or(profile.onboarding_status);
    }
}

/// The content of [`ProjectEvent::PermissionDefined`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PermissionDefined {
    /// The permission that was defined.
    pub permission_id: PermissionId,
    /// Its definition, by its id.
    pub definitions: DefinitionChanges,
}

/// The content of [`ProjectEvent::ConfigOverridden`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfigOverridden {
    /// The level whose override document changed.
    pub level: Level,
    /// The keys that changed, in the open, for the history.
    pub keys: Vec<String>,
    /// The new values. Sealed: settings hold mail passwords and OAuth secrets.
    pub personal: Personal<ConfigChanges>,
}

/// The source of the configuration that is kept as code.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ConfigSource {
    /// The configuration was pushed from a repository at GitHub.
    PushedFromGithub {
        /// The owner of the repository.
        owner: String,
        /// The repository's name.
        repo: String,
        /// The branch that was pushed from.
        branch: String,
        /// The commit that was pushed.
        commit_hash: String,
        /// The path of the configuration file in the repository.
        config_file_path: String,
    },
    /// The configuration was pushed from a place that is not known.
    PushedFromUnknown,
    /// The configuration was not pushed: it is edited in the dashboard.
    #[default]
    Unlinked,
}

/// The content of [`ProjectEvent::ConfigReplaced`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfigReplaced {
    /// The level whose override document was replaced.
    pub level: Level,
    /// The keys that changed, in the open, for the history.
    pub keys: Vec<String>,
    /// Where the document comes from, if that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ConfigSource>,
    /// The whole document. Sealed, as in [`ConfigOverridden`].
    pub personal: Personal<ConfigChanges>,
}

/// The sealed part of [`ConfigOverridden`] and [`ConfigReplaced`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfigChanges(pub Map<String, Value>);

/// One key of a set: its hash, and the end of the key, which is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredKey {
    /// The hash of the whole key.
    pub hash: SecretHash,
    /// The last four characters of the key.
    pub last_four: String,
}

impl StoredKey {
    /// Keeps only the hash and the end of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        let start = key.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
        Self {
            hash: SecretHash::of(key),
            last_four: key[start..].to_owned(),
        }
    }
}

/// The content of [`ProjectEvent::KeySetIssued`]. Issuing an id again replaces that set, because
/// the `internal` project's keys follow the environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeySetIssued {
    /// The set's id.
    pub key_set_id: KeySetId,
    /// The purpose of the keys, for operators.
    pub description: String,
    /// When the keys were issued.
    pub created_at: Millis,
    /// When the keys stop working.
    pub expires_at: Millis,
    /// The key of public clients: `pck_…`
    pub publishable_client_key: Option<StoredKey>,
    /// The key of servers: `ssk_…`
    pub secret_server_key: Option<StoredKey>,
    /// The key of administrators: `sak_…`
    pub super_secret_admin_key: Option<StoredKey>,
}

domain_event!(ProjectEvent);
