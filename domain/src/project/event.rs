//! What can happen to a project.

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
    /// Settings changed.
    ConfigOverridden(ConfigOverridden),
    /// The settings of a level were replaced by others.
    ConfigReplaced(ConfigReplaced),
    /// Settings of a level went back to their defaults, or to what lower levels say.
    ConfigReset {
        /// Which level.
        level: Level,
        /// The keys that were taken out, with what was below them.
        keys: Vec<String>,
    },
    /// It is no longer known where the configuration was pushed from.
    ConfigUnlinked {},
    /// A permission was defined, or its definition replaced.
    PermissionDefined(PermissionDefined),
    /// A permission got another id, and possibly another definition. Its grants have events of
    /// their own, on the streams of teams and users.
    PermissionRenamed {
        /// The old id.
        permission_id: PermissionId,
        /// The new id.
        new_permission_id: PermissionId,
        /// All definitions that this changed.
        definitions: DefinitionChanges,
    },
    /// A permission's definition was removed. So were its grants, by events of their own.
    PermissionRemoved {
        /// Which.
        permission_id: PermissionId,
        /// All definitions that this changed.
        definitions: DefinitionChanges,
    },
    /// Keys were issued.
    KeySetIssued(KeySetIssued),
    /// A key set's description changed.
    KeySetDescribed {
        /// Which.
        key_set_id: KeySetId,
        /// What it is for.
        description: String,
    },
    /// A key set stopped working.
    KeySetRevoked {
        /// Which.
        key_set_id: KeySetId,
        /// When.
        revoked_at: Millis,
    },
    /// The project has an account of its own at Stripe.
    StripeAccountConnected {
        /// `acct_…`
        stripe_account_id: String,
    },
    /// A hosting platform made the project for somebody who is to claim it.
    ProjectProvisioned {
        /// The platform: a client of the integrations.
        client_id: String,
    },
    /// The project belongs to another team now. A project that was waiting to be claimed no longer
    /// is.
    ProjectTransferred {
        /// The new owner, a team of the `internal` project.
        owner_team_id: TeamId,
    },
    /// The project is gone, with all its data.
    ProjectDeleted {},
}

/// How far its owner has set a project up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnboardingStatus {
    /// Choosing a configuration.
    ConfigChoice,
    /// Choosing apps.
    AppsSelection,
    /// Setting up sign-in.
    AuthSetup,
    /// Setting up domains.
    DomainSetup,
    /// Choosing an email theme.
    EmailThemeSetup,
    /// Setting up payments.
    PaymentsSetup,
    /// Being greeted.
    Welcome,
    /// Done.
    #[default]
    Completed,
}

impl OnboardingStatus {
    /// Every status, by its name on the wire.
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

/// See [`ProjectEvent::ProjectCreated`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProjectCreated {
    /// Which.
    pub project_id: ProjectId,
    /// When.
    pub created_at: Millis,
    /// The owner, a team of the `internal` project.
    pub owner_team_id: Option<TeamId>,
    /// Its fields.
    pub profile: ProjectProfile,
}

/// A project's own fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectProfile {
    /// The name shown.
    pub display_name: String,
    /// What it is for; empty when unset.
    pub description: String,
    /// The logo.
    pub logo_url: Option<String>,
    /// The logo with the name.
    pub logo_full_url: Option<String>,
    /// The logo on dark ground.
    pub logo_dark_mode_url: Option<String>,
    /// The logo with the name, on dark ground.
    pub logo_full_dark_mode_url: Option<String>,
    /// The owner declared it ready for real users.
    pub is_production_mode: bool,
    /// How far it is set up.
    pub onboarding_status: OnboardingStatus,
}

/// See [`ProjectEvent::ProjectUpdated`]. Fields that did not change are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectUpdated {
    /// The name shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The logo.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub logo_url: Patch<String>,
    /// The logo with the name.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub logo_full_url: Patch<String>,
    /// The logo on dark ground.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub logo_dark_mode_url: Patch<String>,
    /// The logo with the name, on dark ground.
    #[serde(skip_serializing_if = "Patch::is_keep")]
    pub logo_full_dark_mode_url: Patch<String>,
    /// The owner declared it ready for real users, or took that back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_production_mode: Option<bool>,
    /// How far it is set up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onboarding_status: Option<OnboardingStatus>,
}

impl ProjectUpdated {
    /// Carries the change out.
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

/// See [`ProjectEvent::PermissionDefined`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PermissionDefined {
    /// Which.
    pub permission_id: PermissionId,
    /// The definition, by its id.
    pub definitions: DefinitionChanges,
}

/// See [`ProjectEvent::ConfigOverridden`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfigOverridden {
    /// The level whose override document changed.
    pub level: Level,
    /// The keys that changed, in the open, for the history.
    pub keys: Vec<String>,
    /// The new values. Sealed: settings hold mail passwords and OAuth secrets.
    pub personal: Personal<ConfigChanges>,
}

/// Where the configuration kept as code comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ConfigSource {
    /// A repository at GitHub.
    PushedFromGithub {
        /// Whose.
        owner: String,
        /// Its name.
        repo: String,
        /// The branch.
        branch: String,
        /// The commit.
        commit_hash: String,
        /// The file.
        config_file_path: String,
    },
    /// Somewhere.
    PushedFromUnknown,
    /// Nowhere: it is edited here.
    #[default]
    Unlinked,
}

/// See [`ProjectEvent::ConfigReplaced`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConfigReplaced {
    /// The level whose override document was replaced.
    pub level: Level,
    /// The keys that changed, in the open, for the history.
    pub keys: Vec<String>,
    /// Where the document comes from, if that is news.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<ConfigSource>,
    /// The whole document. Sealed, as in [`ConfigOverridden`].
    pub personal: Personal<ConfigChanges>,
}

/// The sealed part of [`ConfigOverridden`] and [`ConfigReplaced`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfigChanges(pub Map<String, Value>);

/// One key of a set: its hash, and the end of it that is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredKey {
    /// The hash of the whole key.
    pub hash: SecretHash,
    /// Its last four characters.
    pub last_four: String,
}

impl StoredKey {
    /// Keeps what may be kept of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        let start = key.char_indices().rev().nth(3).map_or(0, |(at, _)| at);
        Self {
            hash: SecretHash::of(key),
            last_four: key[start..].to_owned(),
        }
    }
}

/// See [`ProjectEvent::KeySetIssued`]. Issuing an id again replaces that set: the `internal`
/// project's keys follow the environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeySetIssued {
    /// The set's id.
    pub key_set_id: KeySetId,
    /// What it is for.
    pub description: String,
    /// When.
    pub created_at: Millis,
    /// When its keys stop working.
    pub expires_at: Millis,
    /// `pck_…`
    pub publishable_client_key: Option<StoredKey>,
    /// `ssk_…`
    pub secret_server_key: Option<StoredKey>,
    /// `sak_…`
    pub super_secret_admin_key: Option<StoredKey>,
}

domain_event!(ProjectEvent);
