//! The directory that every request looks its project up in.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use muniment_domain::customer::Catalogue;
use muniment_domain::project::DefaultsOf;
use muniment_domain::project::{ProjectConfig, ProjectProfile, StoredKey};
use muniment_domain::{Millis, PermissionId, ProjectId, SecretHash, TeamId};
use muniment_event_store::{EventLog, LedgerError};
use muniment_projections::read_models::projects::{self, ProjectKeyRow, ProjectRow};
use muniment_projections::read_models::seen_until::{SeenUntil, seen_now};
use sqlx::PgPool;

/// How long a project is remembered. Changes end that earlier: see [`ProjectDirectory::keep_up`].
const DIRECTORY_TIME: Duration = Duration::from_secs(60);

/// How often other nodes' changes are looked for when none is announced.
const LOOK_AROUND: Duration = Duration::from_millis(500);

/// How long changes are gathered once one was announced.
const GATHERING: Duration = Duration::from_millis(20);

/// The three kinds of project keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// `pck_…`
    PublishableClient,
    /// `ssk_…`
    SecretServer,
    /// `sak_…`
    SuperSecretAdmin,
}

/// A project with its rendered settings and its keys.
#[derive(Debug)]
pub struct LoadedProject {
    /// Which.
    pub id: ProjectId,
    /// When it was made.
    pub created_at: Millis,
    /// The team of the `internal` project that owns it.
    pub owner_team_id: Option<TeamId>,
    /// The hosting platform that made it, until somebody claims it.
    pub provisioned_by: Option<String>,
    /// Its own fields.
    pub profile: ProjectProfile,
    /// Its settings.
    pub config: ProjectConfig,
    /// What it sells and counts, from its settings.
    pub catalogue: Catalogue,
    /// Its account at Stripe, once payments are set up.
    pub stripe_account_id: Option<String>,
    keys: Vec<KeySet>,
}

#[derive(Debug)]
struct KeySet {
    row: ProjectKeyRow,
    publishable: Option<StoredKey>,
    server: Option<StoredKey>,
    admin: Option<StoredKey>,
}

impl LoadedProject {
    pub(crate) fn read(row: &ProjectRow, keys: Vec<ProjectKeyRow>) -> Result<Self, LedgerError> {
        let config = ProjectConfig::render(&row.overrides()?)?;
        Ok(Self {
            id: ProjectId::from_caller(&row.id),
            created_at: Millis(row.created_at),
            owner_team_id: row.owner_team_id.map(TeamId),
            provisioned_by: row.provisioned_by.clone(),
            profile: row.profile()?,
            catalogue: Catalogue::of(&config.payments),
            config,
            stripe_account_id: row.stripe_account_id.clone(),
            keys: keys.into_iter().map(KeySet::read).collect(),
        })
    }

    /// Whether `key` is one of the project's keys of that kind, and works now. Hashes are compared,
    /// so the time taken says nothing about the key.
    #[must_use]
    pub fn accepts_key(&self, kind: KeyKind, key: &str, now: Millis) -> bool {
        let hash = SecretHash::of(key);
        self.keys.iter().any(|set| {
            set.row.is_valid_at(now) && set.key(kind).is_some_and(|stored| stored.hash == hash)
        })
    }

    /// The default permissions of that list which exist in that scope, in their order.
    #[must_use]
    pub fn existing(&self, list: DefaultsOf) -> Vec<PermissionId> {
        self.config.existing_defaults(list)
    }
}

impl KeySet {
    fn read(row: ProjectKeyRow) -> Self {
        Self {
            publishable: ProjectKeyRow::stored(row.publishable_client_key.as_ref()),
            server: ProjectKeyRow::stored(row.secret_server_key.as_ref()),
            admin: ProjectKeyRow::stored(row.super_secret_admin_key.as_ref()),
            row,
        }
    }

    fn key(&self, kind: KeyKind) -> Option<&StoredKey> {
        match kind {
            KeyKind::PublishableClient => self.publishable.as_ref(),
            KeyKind::SecretServer => self.server.as_ref(),
            KeyKind::SuperSecretAdmin => self.admin.as_ref(),
        }
    }
}

/// Looks projects up, and remembers them until they change.
#[derive(Clone)]
pub struct ProjectDirectory {
    pool: PgPool,
    loaded: Cache<ProjectId, Arc<LoadedProject>>,
    /// How many changes this process knows of. What was read before a change must not be kept
    /// after it, or the change would seem undone until the entry's time is up.
    changes: Arc<Mutex<u64>>,
}

impl ProjectDirectory {
    /// A directory of the log's projects.
    #[must_use]
    pub fn new(log: &EventLog) -> Self {
        let loaded = Cache::builder()
            .max_capacity(10_000)
            .time_to_live(DIRECTORY_TIME)
            .build();
        Self {
            pool: log.pool().clone(),
            loaded,
            changes: Arc::default(),
        }
    }

    fn changes(&self) -> MutexGuard<'_, u64> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what is known of a project that was changed.
    pub fn forget(&self, id: &ProjectId) {
        let mut changes = self.changes();
        *changes += 1;
        self.loaded.invalidate(id);
    }

    /// Forgets what other nodes change. Without it their changes go unnoticed for a minute.
    pub async fn keep_up(self, log: EventLog) {
        let mut appends = log.appends();
        let mut seen = SeenUntil::default();
        loop {
            match self.catch_up(seen).await {
                Ok(now) => seen = now,
                Err(error) => {
                    tracing::warn!(%error, "changes of projects cannot be followed");
                    self.forget_all();
                }
            }
            let announced = tokio::time::timeout(LOOK_AROUND, appends.changed()).await;
            if let Ok(Err(_)) = announced {
                return;
            }
            tokio::time::sleep(GATHERING).await;
        }
    }

    /// At first there is nothing to forget but what was read before the log was looked at.
    async fn catch_up(&self, seen: SeenUntil) -> Result<SeenUntil, LedgerError> {
        if seen == SeenUntil::default() {
            let now = seen_now(&self.pool).await?;
            self.forget_all();
            return Ok(now);
        }
        let (changed, now) = projects::changed_since(&self.pool, seen).await?;
        for id in changed {
            self.forget(&id);
        }
        Ok(now)
    }

    fn forget_all(&self) {
        let mut changes = self.changes();
        *changes += 1;
        self.loaded.invalidate_all();
    }

    /// The project of that id, if it exists.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find(&self, id: &ProjectId) -> Result<Option<Arc<LoadedProject>>, LedgerError> {
        if let Some(project) = self.loaded.get(id) {
            return Ok(Some(project));
        }
        self.find_now(id).await
    }

    /// The project as it is this moment.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn find_now(
        &self,
        id: &ProjectId,
    ) -> Result<Option<Arc<LoadedProject>>, LedgerError> {
        // Postgres cannot even be asked for a text with a NUL byte.
        if id.as_str().contains('\0') {
            return Ok(None);
        }
        let seen = *self.changes();
        let Some(row) = projects::by_id(&self.pool, id).await? else {
            self.loaded.invalidate(id);
            return Ok(None);
        };
        let keys = projects::keys(&self.pool, id).await?;
        let project = Arc::new(LoadedProject::read(&row, keys)?);
        let changes = self.changes();
        if *changes == seen {
            self.loaded.insert(id.clone(), Arc::clone(&project));
        }
        drop(changes);
        Ok(Some(project))
    }
}
