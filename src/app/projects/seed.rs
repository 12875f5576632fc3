//! Seeding: the `internal` project, which owns all others, and the demo project of `dev`.
//!
//! Runs at every start and changes only what differs, so a start without changes appends nothing.

use muniment_domain::customer::derived_uuid;
use muniment_domain::project::config::InstalledApps;
use muniment_domain::project::{Level, ProjectCommand, ProjectProfile};
use muniment_domain::team::{Team, TeamCommand, TeamProfile};
use muniment_domain::{KeySetId, Millis, ProjectId, TeamId};
use muniment_event_store::{EventContext, LedgerError};
use muniment_projections::read_models::teams;
use serde_json::{Map, Value, json};
use url::Url;
use uuid::{Uuid, uuid};

use crate::app::App;
use crate::app::integrations::provisioning::CONNECTION_STORE;
use crate::app::payments::plans;
use crate::app::projects::{self, NewKeys, ProjectChange, shared_provider};

/// The team that owns the `internal` project.
pub const INTERNAL_TEAM: TeamId = TeamId(uuid!("a23e1b7f-ab18-41fc-9ee6-7a9ca9fa543c"));
/// The key set that holds the configured keys.
pub const INTERNAL_KEYS: KeySetId = KeySetId(uuid!("3142e763-b230-44b5-8636-aa62f7489c26"));
/// The demo project of `dev`.
pub const DEMO_PROJECT: Uuid = uuid!("6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de");
/// The demo project's keys.
pub const DEMO_KEYS: KeySetId = KeySetId(uuid!("0f6a3c5e-7f5b-4f6d-8a34-5f0f1f0b9c11"));
/// 2099-12-31T23:59:59Z
const FAR_FUTURE: Millis = Millis(4_102_444_799_000);

/// How the `internal` project is to be.
#[derive(Clone, Debug)]
pub struct Seed {
    /// Its keys.
    pub keys: NewKeys,
    /// Strangers may sign up.
    pub sign_up: bool,
    /// Sign-in by email code.
    pub otp: bool,
    /// Local hosts are trusted.
    pub allow_localhost: bool,
    /// OAuth providers with the server's own keys.
    pub oauth_providers: Vec<String>,
}

/// Brings the `internal` project to what `seed` says.
///
/// # Errors
/// When the database fails.
pub async fn internal_project(app: &App, seed: &Seed) -> Result<(), LedgerError> {
    let id = ProjectId::internal();
    let context = EventContext::system(id.clone(), "seed", app.now());
    if app.projects.find_now(&id).await?.is_none() {
        let profile = ProjectProfile {
            display_name: "Stack Dashboard".to_owned(),
            description: "The project whose teams own all other projects.".to_owned(),
            ..ProjectProfile::default()
        };
        let creation =
            projects::create(app, &context, &id, Some(INTERNAL_TEAM), profile, Map::new());
        tolerate_rival(creation.await)?;
    }
    if teams::by_id(app.pool(), &id, INTERNAL_TEAM)
        .await?
        .is_none()
    {
        tolerate_rival(found_internal_team(app, &context).await)?;
    }
    let mut settings = internal_settings(seed);
    settings.extend(dashboard_domain(app, &id).await?);
    let change = ProjectChange {
        settings,
        ..ProjectChange::default()
    };
    projects::update(app, &context, &id, change).await?;
    let branch = ProjectCommand::Override {
        level: Level::Branch,
        changes: branch_settings(),
    };
    projects::change(app, &context, &id, vec![branch]).await?;
    plans::make_up_for(app, &context).await?;
    let description = "Seeded from the environment".to_owned();
    projects::issue_keys(
        app,
        &context,
        &id,
        INTERNAL_KEYS,
        description,
        FAR_FUTURE,
        &seed.keys,
    )
    .await
}

/// Another node that starts at the same time may be faster.
fn tolerate_rival(done: Result<(), LedgerError>) -> Result<(), LedgerError> {
    use muniment_domain::project::ProjectError;
    use muniment_domain::team::TeamError;
    match done {
        Err(
            LedgerError::Project(ProjectError::AlreadyExists)
            | LedgerError::Team(TeamError::AlreadyExists),
        ) => Ok(()),
        other => other,
    }
}

async fn found_internal_team(app: &App, context: &EventContext) -> Result<(), LedgerError> {
    app.log
        .transact(context, |mut unit| async move {
            let create = TeamCommand::Create {
                project_id: ProjectId::internal(),
                now: context.now,
                profile: TeamProfile {
                    display_name: "Internal Team".to_owned(),
                    ..TeamProfile::default()
                },
            };
            unit.execute::<Team>(&INTERNAL_TEAM, create).await?;
            Ok::<_, LedgerError>((unit, ()))
        })
        .await
}

fn internal_settings(seed: &Seed) -> Map<String, Value> {
    let mut settings = Map::from_iter([
        ("auth.password.allowSignIn".to_owned(), json!(true)),
        ("auth.allowSignUp".to_owned(), json!(seed.sign_up)),
        ("auth.otp.allowSignIn".to_owned(), json!(seed.otp)),
        (
            "domains.allowLocalhost".to_owned(),
            json!(seed.allow_localhost),
        ),
        ("teams.createPersonalTeamOnSignUp".to_owned(), json!(true)),
        ("teams.allowClientTeamCreation".to_owned(), json!(true)),
        (
            "rbac.permissions.team_member".to_owned(),
            json!({
                "scope": "team",
                "description": "What every member of an owner team may do.",
                "containedPermissionIds": {"$read_members": true},
            }),
        ),
        (
            "rbac.permissions.team_admin".to_owned(),
            json!({
                "scope": "team",
                "description": "What the creator of an owner team may do.",
                "containedPermissionIds": {
                    "$read_members": true, "$remove_members": true, "$update_team": true,
                },
            }),
        ),
    ]);
    let providers: Map<String, Value> = seed
        .oauth_providers
        .iter()
        .map(|kind| (kind.clone(), shared_provider(kind)))
        .collect();
    settings.insert("auth.oauth.providers".to_owned(), Value::Object(providers));
    settings
}

/// The dashboard is trusted, beside what is trusted already, if it was said where it is. On the
/// machine itself, it is trusted by `allowLocalhost`.
async fn dashboard_domain(
    app: &App,
    id: &ProjectId,
) -> Result<Option<(String, Value)>, LedgerError> {
    let url = app.dashboard_url.as_str();
    if url == app.public_url {
        return Ok(None);
    }
    let is_local = Url::parse(url).is_ok_and(|url| url.host_str() == Some("localhost"));
    let project = app.projects.find_now(id).await?;
    let is_trusted = project.is_some_and(|project| {
        let mut trusted = project.config.domains.trusted_domains.values();
        trusted.any(|domain| domain.base_url.as_deref() == Some(url))
    });
    if is_local || is_trusted {
        return Ok(None);
    }
    let key = derived_uuid(&["dashboard", url]);
    let domain = json!({"baseUrl": url, "handlerPath": "/handler"});
    Ok(Some((format!("domains.trustedDomains.{key}"), domain)))
}

fn branch_settings() -> Map<String, Value> {
    let mut settings = plans::settings();
    let apps = serde_json::to_value(InstalledApps::default()).unwrap_or_default();
    for app in apps.as_object().into_iter().flat_map(Map::keys) {
        settings.insert(format!("apps.installed.{app}.enabled"), json!(true));
    }
    settings.insert(
        format!("dataVault.stores.{CONNECTION_STORE}"),
        json!({"displayName": "Neon connection strings"}),
    );
    settings.insert(
        "onboarding.requireEmailVerification".to_owned(),
        json!(false),
    );
    settings
}

/// Makes the demo project, or replaces its keys.
///
/// # Errors
/// When the database fails.
pub async fn demo_project(app: &App, keys: &NewKeys) -> Result<ProjectId, LedgerError> {
    let id = ProjectId::from_uuid(DEMO_PROJECT);
    let context = EventContext::system(id.clone(), "seed", app.now());
    if app.projects.find_now(&id).await?.is_none() {
        let profile = ProjectProfile {
            display_name: "Demo".to_owned(),
            description: "Made by `muniment dev` to try things out.".to_owned(),
            ..ProjectProfile::default()
        };
        let settings = Map::from_iter([
            ("auth.password.allowSignIn".to_owned(), json!(true)),
            ("auth.otp.allowSignIn".to_owned(), json!(true)),
            ("auth.passkey.allowSignIn".to_owned(), json!(true)),
            ("apiKeys.enabled.user".to_owned(), json!(true)),
            ("apiKeys.enabled.team".to_owned(), json!(true)),
            ("domains.allowLocalhost".to_owned(), json!(true)),
            ("teams.allowClientTeamCreation".to_owned(), json!(true)),
            ("users.allowClientUserDeletion".to_owned(), json!(true)),
        ]);
        projects::create(app, &context, &id, Some(INTERNAL_TEAM), profile, settings).await?;
    }
    let description = "Printed by `muniment dev`".to_owned();
    projects::issue_keys(app, &context, &id, DEMO_KEYS, description, FAR_FUTURE, keys).await?;
    Ok(id)
}
