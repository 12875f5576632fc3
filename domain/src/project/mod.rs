//! The project: one application's users, settings and keys.

pub mod built_in_emails;
mod command;
pub mod config;
mod default_permissions;
mod event;
pub mod legacy_config;
pub mod legacy_overrides;
mod level;
mod overrides;
pub mod payments;
pub mod schema;
pub mod validation;

use std::collections::BTreeMap;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use command::ProjectCommand;
pub use config::ProjectConfig;
pub use default_permissions::DefaultsOf;
pub use event::{
    ConfigChanges, ConfigOverridden, ConfigReplaced, ConfigSource, KeySetIssued, OnboardingStatus,
    PermissionDefined, ProjectCreated, ProjectEvent, ProjectProfile, ProjectUpdated, StoredKey,
};
pub use level::Level;
pub use overrides::Overrides;

use crate::lifecycle::Lifecycle;
use crate::permission::{self, DefinitionError, Definitions, WantedDefinition};
use crate::{KeySetId, PermissionId};

/// Why a command to a project was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProjectError {
    /// The project never existed, or was deleted.
    #[error("the project does not exist")]
    NotFound,
    /// A project with this id exists already, or existed once.
    #[error("a project with this id exists already")]
    AlreadyExists,
    /// The project has no key set with this id.
    #[error("the project has no key set with this id")]
    KeySetNotFound,
    /// The platform did not make the project, or it was claimed already.
    #[error("the project is not waiting to be claimed: it was transferred already")]
    NotClaimable,
    /// A permission's definition was refused.
    #[error(transparent)]
    Definition(#[from] DefinitionError),
}

/// The state that decisions about a project need.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Project {
    #[serde(rename = "life")]
    lifecycle: Lifecycle,
    profile: ProjectProfile,
    overrides: Overrides,
    #[serde(default)]
    config_source: ConfigSource,
    /// The platform that made the project, until it is claimed.
    #[serde(default)]
    provisioned_by: Option<String>,
    key_sets: BTreeMap<KeySetId, KeySetIssued>,
    #[serde(default)]
    stripe_account_id: Option<String>,
}

impl Project {
    /// Whether the project exists now.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.lifecycle == Lifecycle::Active
    }

    /// Whether the project existed and was deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.lifecycle == Lifecycle::Deleted
    }

    fn decide(&self, command: ProjectCommand) -> Result<Vec<ProjectEvent>, ProjectError> {
        match (self.lifecycle, command) {
            (Lifecycle::Absent, ProjectCommand::Create(created)) => {
                Ok(vec![ProjectEvent::ProjectCreated(created)])
            }
            (_, ProjectCommand::Create(_)) => Err(ProjectError::AlreadyExists),
            (Lifecycle::Absent | Lifecycle::Deleted, _) => Err(ProjectError::NotFound),
            (Lifecycle::Active, command) => self.decide_active(command),
        }
    }

    fn decide_active(&self, command: ProjectCommand) -> Result<Vec<ProjectEvent>, ProjectError> {
        let events = match command {
            ProjectCommand::Create(_) => return Err(ProjectError::AlreadyExists),
            ProjectCommand::Update(update) => self.updated(update),
            ProjectCommand::Override { level, changes } => self.overridden(level, changes),
            ProjectCommand::ReplaceOverrides {
                level,
                document,
                source,
            } => self.replaced(level, document, source),
            ProjectCommand::ResetOverrides { level, keys } => self.reset(level, keys),
            ProjectCommand::UnlinkConfig => (self.config_source != ConfigSource::Unlinked)
                .then_some(ProjectEvent::ConfigUnlinked {}),
            ProjectCommand::DefinePermission { id, wanted } => {
                let definitions = permission::define(&self.definitions(), &id, &wanted)?;
                Some(ProjectEvent::PermissionDefined(PermissionDefined {
                    permission_id: id,
                    definitions,
                }))
            }
            ProjectCommand::RedefinePermission { id, new_id, wanted } => {
                Some(self.redefined(id, new_id, &wanted)?)
            }
            ProjectCommand::RemovePermission { id, scope } => {
                let definitions = permission::remove(&self.definitions(), &id, scope)?;
                Some(ProjectEvent::PermissionRemoved {
                    permission_id: id,
                    definitions,
                })
            }
            ProjectCommand::IssueKeys(issued) => self.issued(issued),
            ProjectCommand::DescribeKeys {
                key_set_id,
                description,
            } => {
                self.require_key_set(key_set_id)?;
                Some(ProjectEvent::KeySetDescribed {
                    key_set_id,
                    description,
                })
            }
            ProjectCommand::RevokeKeys { key_set_id, now } => {
                self.require_key_set(key_set_id)?;
                Some(ProjectEvent::KeySetRevoked {
                    key_set_id,
                    revoked_at: now,
                })
            }
            ProjectCommand::ConnectStripe { account_id } => self.connected(account_id),
            ProjectCommand::Provision { client_id } => {
                Some(ProjectEvent::ProjectProvisioned { client_id })
            }
            ProjectCommand::Claim {
                client_id,
                owner_team_id,
            } => {
                if self.provisioned_by != Some(client_id) {
                    return Err(ProjectError::NotClaimable);
                }
                Some(ProjectEvent::ProjectTransferred { owner_team_id })
            }
            ProjectCommand::Transfer(owner_team_id) => {
                Some(ProjectEvent::ProjectTransferred { owner_team_id })
            }
            ProjectCommand::Delete => Some(ProjectEvent::ProjectDeleted {}),
        };
        Ok(events.into_iter().collect())
    }

    fn updated(&self, update: ProjectUpdated) -> Option<ProjectEvent> {
        let mut profile = self.profile.clone();
        update.clone().apply_to(&mut profile);
        (profile != self.profile).then_some(ProjectEvent::ProjectUpdated(update))
    }

    fn overridden(&self, level: Level, mut changes: Map<String, Value>) -> Option<ProjectEvent> {
        changes.retain(|key, value| self.overrides.would_change(level, key, value));
        if changes.is_empty() {
            return None;
        }
        let keys = changes.keys().cloned().collect();
        let personal = ConfigChanges(changes).into();
        Some(ProjectEvent::ConfigOverridden(ConfigOverridden {
            level,
            keys,
            personal,
        }))
    }

    fn replaced(
        &self,
        level: Level,
        document: Map<String, Value>,
        source: Option<ConfigSource>,
    ) -> Option<ProjectEvent> {
        let keys = self.overrides.differing_keys(level, &document);
        let source = source.filter(|source| *source != self.config_source);
        (!keys.is_empty() || source.is_some()).then(|| {
            ProjectEvent::ConfigReplaced(ConfigReplaced {
                level,
                keys,
                source,
                personal: ConfigChanges(document).into(),
            })
        })
    }

    fn reset(&self, level: Level, mut keys: Vec<String>) -> Option<ProjectEvent> {
        let mut overrides = self.overrides.clone();
        keys.retain(|key| overrides.reset(level, key));
        (!keys.is_empty()).then_some(ProjectEvent::ConfigReset { level, keys })
    }

    /// The permissions that the project's settings define at present.
    #[must_use]
    pub fn definitions(&self) -> Definitions {
        self.overrides.definitions()
    }

    fn redefined(
        &self,
        id: PermissionId,
        new_id: PermissionId,
        wanted: &WantedDefinition,
    ) -> Result<ProjectEvent, ProjectError> {
        let definitions = permission::redefine(&self.definitions(), &id, &new_id, wanted)?;
        if id == new_id {
            return Ok(ProjectEvent::PermissionDefined(PermissionDefined {
                permission_id: id,
                definitions,
            }));
        }
        Ok(ProjectEvent::PermissionRenamed {
            permission_id: id,
            new_permission_id: new_id,
            definitions,
        })
    }

    /// Issues a set, unless the project has it already: seeding issues the same set at every start.
    fn issued(&self, issued: KeySetIssued) -> Option<ProjectEvent> {
        let unchanged = self.key_sets.get(&issued.key_set_id).is_some_and(|known| {
            KeySetIssued {
                created_at: known.created_at,
                ..issued.clone()
            } == *known
        });
        (!unchanged).then_some(ProjectEvent::KeySetIssued(issued))
    }

    /// Connects the first account only. Another one would lead to other customers and other money.
    fn connected(&self, stripe_account_id: String) -> Option<ProjectEvent> {
        self.stripe_account_id
            .is_none()
            .then_some(ProjectEvent::StripeAccountConnected { stripe_account_id })
    }

    fn require_key_set(&self, id: KeySetId) -> Result<(), ProjectError> {
        self.key_sets
            .contains_key(&id)
            .then_some(())
            .ok_or(ProjectError::KeySetNotFound)
    }
}

impl Aggregate for Project {
    const TYPE: &'static str = "project";
    type Command = ProjectCommand;
    type Event = ProjectEvent;
    type Error = ProjectError;
    type Services = ();

    async fn handle(
        &mut self,
        command: ProjectCommand,
        _services: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), ProjectError> {
        for event in self.decide(command)? {
            sink.write(event, self).await;
        }
        Ok(())
    }

    fn apply(&mut self, event: ProjectEvent) {
        match event {
            ProjectEvent::ProjectCreated(created) => {
                self.lifecycle = Lifecycle::Active;
                self.profile = created.profile;
            }
            ProjectEvent::ProjectUpdated(updated) => updated.apply_to(&mut self.profile),
            ProjectEvent::ConfigOverridden(overridden) => {
                self.overrides
                    .merge(overridden.level, overridden.personal.or_erased().0);
            }
            ProjectEvent::ConfigReplaced(replaced) => {
                self.overrides
                    .replace(replaced.level, replaced.personal.or_erased().0);
                if let Some(source) = replaced.source {
                    self.config_source = source;
                }
            }
            ProjectEvent::ConfigReset { level, keys } => {
                for key in keys {
                    self.overrides.reset(level, &key);
                }
            }
            ProjectEvent::ConfigUnlinked {} => self.config_source = ConfigSource::Unlinked,
            ProjectEvent::PermissionDefined(PermissionDefined { definitions, .. })
            | ProjectEvent::PermissionRenamed { definitions, .. }
            | ProjectEvent::PermissionRemoved { definitions, .. } => {
                self.overrides.redefine(definitions);
            }
            ProjectEvent::KeySetIssued(issued) => {
                self.key_sets.insert(issued.key_set_id, issued);
            }
            ProjectEvent::KeySetDescribed {
                key_set_id,
                description,
            } => {
                if let Some(set) = self.key_sets.get_mut(&key_set_id) {
                    set.description = description;
                }
            }
            ProjectEvent::StripeAccountConnected { stripe_account_id } => {
                self.stripe_account_id = Some(stripe_account_id);
            }
            ProjectEvent::ProjectProvisioned { client_id } => {
                self.provisioned_by = Some(client_id);
            }
            ProjectEvent::ProjectTransferred { .. } => self.provisioned_by = None,
            ProjectEvent::KeySetRevoked { .. } => {}
            ProjectEvent::ProjectDeleted {} => {
                *self = Self {
                    lifecycle: Lifecycle::Deleted,
                    ..Self::default()
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Millis, ProjectId, TeamId};
    use uuid::Uuid;

    /// A project after those events.
    fn after(events: impl IntoIterator<Item = ProjectEvent>) -> Project {
        let mut project = Project::default();
        project.apply(ProjectEvent::ProjectCreated(ProjectCreated {
            project_id: ProjectId::from_uuid(Uuid::from_u128(1)),
            created_at: Millis(0),
            owner_team_id: None,
            profile: ProjectProfile::default(),
        }));
        for event in events {
            project.apply(event);
        }
        project
    }

    fn claim(client: &str) -> ProjectCommand {
        ProjectCommand::Claim {
            client_id: client.to_owned(),
            owner_team_id: TeamId(Uuid::from_u128(2)),
        }
    }

    #[test]
    fn a_project_is_claimed_once_from_the_platform_that_made_it() {
        let provisioned = ProjectEvent::ProjectProvisioned {
            client_id: "host".to_owned(),
        };
        let owner_team_id = TeamId(Uuid::from_u128(2));
        let transferred = ProjectEvent::ProjectTransferred { owner_team_id };
        let refused = Err(ProjectError::NotClaimable);
        assert_eq!(after([]).decide(claim("host")), refused);
        let waiting = after([provisioned.clone()]);
        assert_eq!(waiting.decide(claim("rival")), refused);
        assert_eq!(waiting.decide(claim("host")), Ok(vec![transferred.clone()]));
        let owned = after([provisioned, transferred]);
        assert_eq!(owned.decide(claim("host")), refused);
    }
}
