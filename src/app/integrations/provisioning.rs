//! Projects that a platform makes for its customers. They have no owner until somebody claims them.

use std::sync::Arc;

use muniment_domain::project::{Level, Project, ProjectCommand, ProjectProfile};
use muniment_domain::vault_entry::{VaultEntry, VaultEntryCommand, VaultValue, VaultValueSet};
use muniment_domain::{KeySetId, ProjectId, VaultEntryId};
use muniment_event_store::{EventContext, LedgerError};
use serde_json::{Map, Value, json};

use super::clients::Client;
use super::key_expiry;
use crate::app::App;
use crate::app::projects::directory::LoadedProject;
use crate::app::projects::{NewKeys, creation, shared_provider};
use crate::security::secrets::KeyPrefix;

/// The store of the `internal` project's data vault that holds how to reach Neon's databases.
pub const CONNECTION_STORE: &str = "neon-connection-strings";

/// How to reach the database of a branch at Neon.
#[derive(Clone)]
pub struct Connection {
    /// The branch at Neon.
    pub branch_id: String,
    /// The connection string, password included.
    pub string: String,
}

/// A project that was made for a platform.
pub struct Provisioned {
    /// Its id.
    pub project_id: ProjectId,
    /// An admin key, shown this once.
    pub super_secret_admin_key: String,
}

/// Makes a project without an owner, with an admin key.
///
/// # Errors
/// When the database fails.
pub async fn provision(
    app: &App,
    context: &EventContext,
    client: &Client,
    display_name: String,
    connections: &[Connection],
) -> Result<Provisioned, LedgerError> {
    let id = context.project_id.clone();
    let profile = ProjectProfile {
        display_name,
        description: format!("Made by {}.", client.id),
        ..ProjectProfile::default()
    };
    let settings = Map::from_iter([
        ("domains.allowLocalhost".to_owned(), json!(true)),
        ("auth.password.allowSignIn".to_owned(), json!(true)),
        (
            "auth.oauth.providers".to_owned(),
            json!({"google": shared_provider("google"), "github": shared_provider("github")}),
        ),
    ]);
    let keys = NewKeys {
        super_secret_admin_key: Some(app.random.key(KeyPrefix::SuperSecretAdmin)),
        ..NewKeys::default()
    };
    let set = KeySetId(app.random.uuid());
    let description = format!("Issued to {}", client.id);
    let mut commands = creation(context, &id, None, profile, settings);
    commands.push(ProjectCommand::Provision {
        client_id: client.id.clone(),
    });
    commands.push(ProjectCommand::IssueKeys(keys.issued(
        set,
        description,
        context.now,
        key_expiry(context.now),
    )));
    carry_out(app, context, &id, &commands, connections).await?;
    Ok(Provisioned {
        project_id: id,
        super_secret_admin_key: keys.super_secret_admin_key.unwrap_or_default(),
    })
}

/// Replaces how Neon's databases of a project are reached.
///
/// # Errors
/// When the project is gone by now, or the database fails.
pub async fn connect(
    app: &App,
    context: &EventContext,
    connections: &[Connection],
) -> Result<(), LedgerError> {
    carry_out(app, context, &context.project_id, &[], connections).await
}

/// The project, if that platform made it and nobody has claimed it yet.
///
/// # Errors
/// When the database fails.
pub async fn unclaimed(
    app: &App,
    client: &Client,
    id: &ProjectId,
) -> Result<Option<Arc<LoadedProject>>, LedgerError> {
    let project = app.projects.find_now(id).await?;
    Ok(project.filter(|project| project.provisioned_by.as_ref() == Some(&client.id)))
}

/// Runs commands on a project. Connection strings hold passwords: they are sealed in the vault, and
/// the settings say where.
async fn carry_out(
    app: &App,
    context: &EventContext,
    id: &ProjectId,
    commands: &[ProjectCommand],
    connections: &[Connection],
) -> Result<(), LedgerError> {
    let kept: &Vec<(String, VaultValueSet)> = &connections
        .iter()
        .map(|connection| keep(app, connection))
        .collect();
    let done = app
        .log
        .transact(context, |mut unit| async move {
            for command in commands {
                unit.execute::<Project>(id, command.clone()).await?;
            }
            if !kept.is_empty() {
                unit.execute::<Project>(id, refer_to(kept)).await?;
            }
            for (_, set) in kept {
                let entry = VaultEntryId::of(&set.project_id, &set.store_id, &set.hashed_key);
                unit.create::<VaultEntry>(&entry, VaultEntryCommand::Set(set.clone()))
                    .await?;
            }
            Ok::<_, LedgerError>((unit, ()))
        })
        .await;
    app.projects.forget(id);
    done
}

/// The branch, and the entry in the vault.
fn keep(app: &App, connection: &Connection) -> (String, VaultValueSet) {
    let value = VaultValue {
        encrypted: connection.string.clone(),
    };
    let set = VaultValueSet {
        project_id: ProjectId::internal(),
        store_id: CONNECTION_STORE.to_owned(),
        hashed_key: app.random.uuid().to_string(),
        personal: value.into(),
    };
    (connection.branch_id.clone(), set)
}

fn refer_to(kept: &[(String, VaultValueSet)]) -> ProjectCommand {
    let references: Map<String, Value> = kept
        .iter()
        .map(|(branch, set)| (branch.clone(), json!(set.hashed_key)))
        .collect();
    let source = json!({"type": "neon", "connectionStrings": references});
    ProjectCommand::Override {
        level: Level::Project,
        changes: Map::from_iter([("sourceOfTruth".to_owned(), source)]),
    }
}
