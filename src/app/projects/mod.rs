//! Projects: making, changing and deleting them, and their keys.

pub mod directory;
pub mod internal_admin;
pub mod seed;

use muniment_domain::project::{
    KeySetIssued, Level, Project, ProjectCommand, ProjectCreated, ProjectProfile, ProjectUpdated,
    StoredKey, config,
};
use muniment_domain::{KeySetId, Millis, ProjectId, TeamId};
use muniment_event_store::{EventContext, LedgerError};
use serde_json::{Map, Value};

use super::{App, conversations};
use crate::security::secrets::KeyPrefix;

pub use muniment_domain::project::DefaultsOf;
pub use muniment_domain::project::legacy_config::shared_provider;
pub use muniment_domain::string_order;

/// Runs commands on a project, together.
///
/// # Errors
/// What the project refuses.
pub async fn change(
    app: &App,
    context: &EventContext,
    id: &ProjectId,
    commands: Vec<ProjectCommand>,
) -> Result<(), LedgerError> {
    let done = app
        .log
        .transact(context, |mut unit| {
            let (id, commands) = (id.clone(), commands.clone());
            async move {
                for command in commands {
                    unit.execute::<Project>(&id, command).await?;
                }
                Ok::<_, LedgerError>((unit, ()))
            }
        })
        .await;
    app.projects.forget(id);
    done
}

/// Deletes a project with everything in it, and what was said about it to the assistant.
///
/// # Errors
/// When the project does not exist, or the database fails.
pub async fn delete(app: &App, context: &EventContext, id: &ProjectId) -> Result<(), LedgerError> {
    let done = app
        .log
        .transact(context, |mut unit| async move {
            conversations::delete_about(&mut unit, id).await?;
            unit.execute::<Project>(id, ProjectCommand::Delete).await?;
            Ok::<_, LedgerError>((unit, ()))
        })
        .await;
    app.projects.forget(id);
    done
}

/// Makes a project.
///
/// # Errors
/// When the id is taken, or the database fails.
pub async fn create(
    app: &App,
    context: &EventContext,
    id: &ProjectId,
    owner: Option<TeamId>,
    profile: ProjectProfile,
    settings: Map<String, Value>,
) -> Result<(), LedgerError> {
    let commands = creation(context, id, owner, profile, settings);
    let context = EventContext {
        project_id: id.clone(),
        ..context.clone()
    };
    change(app, &context, id, commands).await
}

/// What it takes to make a project.
pub(super) fn creation(
    context: &EventContext,
    id: &ProjectId,
    owner: Option<TeamId>,
    profile: ProjectProfile,
    settings: Map<String, Value>,
) -> Vec<ProjectCommand> {
    let created = ProjectCreated {
        project_id: id.clone(),
        created_at: context.now,
        owner_team_id: owner,
        profile,
    };
    let mut changes = config::initial_settings();
    changes.extend(settings);
    vec![
        ProjectCommand::Create(created),
        ProjectCommand::Override {
            level: Level::Environment,
            changes,
        },
    ]
}

/// A change of a project's own fields and settings.
#[derive(Clone, Debug, Default)]
pub struct ProjectChange {
    /// The fields.
    pub profile: ProjectUpdated,
    /// The settings, for the environment level.
    pub settings: Map<String, Value>,
}

/// Carries the change out.
///
/// # Errors
/// When the project does not exist, or the database fails.
pub async fn update(
    app: &App,
    context: &EventContext,
    id: &ProjectId,
    update: ProjectChange,
) -> Result<(), LedgerError> {
    let commands = vec![
        ProjectCommand::Update(update.profile),
        ProjectCommand::Override {
            level: Level::Environment,
            changes: update.settings,
        },
    ];
    change(app, context, id, commands).await
}

/// The keys of a new set, as they are shown once.
#[derive(Clone, Debug, Default)]
pub struct NewKeys {
    /// `pck_…`
    pub publishable_client_key: Option<String>,
    /// `ssk_…`
    pub secret_server_key: Option<String>,
    /// `sak_…`
    pub super_secret_admin_key: Option<String>,
}

impl NewKeys {
    /// Generates the wanted ones of a publishable client key, a secret server key and a super secret
    /// admin key.
    #[must_use]
    pub fn generate(app: &App, [publishable, server, admin]: [bool; 3]) -> Self {
        let generate = |wanted: bool, prefix| wanted.then(|| app.random.key(prefix));
        Self {
            publishable_client_key: generate(publishable, KeyPrefix::PublishableClient),
            secret_server_key: generate(server, KeyPrefix::SecretServer),
            super_secret_admin_key: generate(admin, KeyPrefix::SuperSecretAdmin),
        }
    }

    /// The set as it is kept.
    #[must_use]
    pub fn issued(
        &self,
        key_set_id: KeySetId,
        description: String,
        created_at: Millis,
        expires_at: Millis,
    ) -> KeySetIssued {
        let stored = |key: &Option<String>| key.as_deref().map(StoredKey::of);
        KeySetIssued {
            key_set_id,
            description,
            created_at,
            expires_at,
            publishable_client_key: stored(&self.publishable_client_key),
            secret_server_key: stored(&self.secret_server_key),
            super_secret_admin_key: stored(&self.super_secret_admin_key),
        }
    }
}

/// Issues a key set.
///
/// # Errors
/// When the project does not exist, or the database fails.
pub async fn issue_keys(
    app: &App,
    context: &EventContext,
    id: &ProjectId,
    key_set_id: KeySetId,
    description: String,
    expires_at: Millis,
    keys: &NewKeys,
) -> Result<(), LedgerError> {
    let issued = keys.issued(key_set_id, description, context.now, expires_at);
    change(app, context, id, vec![ProjectCommand::IssueKeys(issued)]).await
}
