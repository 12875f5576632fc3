//! Removing what the store has of users, teams and projects that were deleted, from disk as well.
//!
//! A deleted row is hidden at once, but an older version of it stays on disk until ClickHouse
//! happens to merge it away. So the subscriber that erases people from the log notes here whom it
//! erased ([`note`]), and this deletes their rows by mutations, which rewrite the parts they are in.
//! ClickHouse removes the parts that were rewritten after its `old_parts_lifetime`.

use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::{Connection, PgConnection, PgPool};

use super::rows::{
    ConnectedAccountRow, ContactChannelRow, EmailRow, InvitationRow, ItemBalanceRow,
    MemberProfileRow, PreferenceRow, ProjectPermissionRow, RefreshTokenRow, SubscriptionRow,
    SyncedRow, TeamPermissionRow, TeamRow, TransactionRow, UserRow,
};
use super::subscriber::NAME;
use super::tables::{Tables, Values};
use crate::analytics::AnalyticsStore;
use muniment_event_store::leader_lock::try_lead;
use muniment_event_store::{Cursor, LedgerError, RecordedEvent, Unreadable};

/// The lock of whoever erases.
pub(super) const LOCK: &str = "muniment analytics erasure";
/// How often it is looked for somebody to erase. A mutation is costly, so many share one.
const EVERY: Duration = Duration::from_secs(5);
/// How long to wait after a failure.
const PAUSE: Duration = Duration::from_secs(15);
/// Deletions that share mutations, at most.
const BATCH: i64 = 500;

/// What was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Erased {
    User,
    Team,
    Project,
}

impl Erased {
    fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Team => "team",
            Self::Project => "project",
        }
    }
}

/// What an erasure needs of an event. It can be had of one that cannot be read.
#[derive(Clone, Copy)]
pub(crate) struct Ending<'e> {
    pub(crate) cursor: Cursor,
    pub(crate) project: &'e str,
    pub(crate) id: &'e str,
    pub(crate) event_type: &'e str,
}

impl<'e> Ending<'e> {
    pub(crate) fn of(event: &'e RecordedEvent) -> Self {
        Self {
            cursor: event.cursor,
            project: event.project_id.as_str(),
            id: &event.aggregate_id,
            event_type: &event.event_type,
        }
    }

    pub(crate) fn of_unreadable(event: &'e Unreadable) -> Self {
        Self {
            cursor: event.cursor,
            project: event.project_id.as_str(),
            id: &event.aggregate_id,
            event_type: &event.event_type,
        }
    }
}

/// Notes that the subject of a deletion is to be removed from the store, if there ever was one.
/// `emails` are the addresses that a user had; only their digests are kept.
pub(crate) async fn note(
    connection: &mut PgConnection,
    kind: Erased,
    deletion: Ending<'_>,
    emails: &[String],
) -> Result<(), LedgerError> {
    let digests: Vec<String> = emails.iter().map(|email| digest(email)).collect();
    sqlx::query!(
        "INSERT INTO analytics_erasures
             (epoch, transaction, position, project_id, kind, subject, email_digests, spooled)
         SELECT $8::integer, $1::bigint::text::xid8, $2, $3, $4, $5, $6,
                coalesce(pg_sequence_last_value('telemetry_spool_position_seq'), 0)
         WHERE EXISTS (SELECT FROM subscriptions WHERE name = $7)
         ON CONFLICT DO NOTHING",
        deletion.cursor.transaction,
        deletion.cursor.position,
        deletion.project,
        kind.as_str(),
        deletion.id,
        &digests,
        NAME,
        deletion.cursor.epoch,
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn digest(email: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(email.as_bytes()))
}

/// Erases what was deleted from the store, from time to time. Never returns; deletions in hand when
/// this is dropped are erased again later.
pub async fn keep_erasing(pool: PgPool, store: AnalyticsStore) {
    let tables = Tables::live(store.owner());
    loop {
        let pause = match erase_due(&pool, &tables).await {
            Ok(()) => EVERY,
            Err(error) => {
                tracing::warn!(%error, "deleted rows are still in the analytics store; trying again");
                PAUSE
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Erases whoever is due, unless another process does, or a replay is running.
async fn erase_due(pool: &PgPool, tables: &Tables) -> Result<(), LedgerError> {
    if due(pool).await?.is_empty() {
        return Ok(());
    }
    let Some(lock) = try_lead(pool, LOCK).await? else {
        return Ok(());
    };
    let outcome = erase_some(pool, tables).await;
    lock.close().await?;
    outcome
}

/// A deletion whose traces are to be removed.
struct Deletion {
    position: i64,
    project_id: String,
    kind: String,
    subject: String,
    email_digests: Vec<String>,
}

/// The deletions whose subjects nothing is on its way of any more, neither of the log nor of
/// telemetry: no row of theirs comes after the mutation.
async fn due(pool: &PgPool) -> Result<Vec<Deletion>, LedgerError> {
    let due = sqlx::query_as!(
        Deletion,
        "SELECT e.position, e.project_id, e.kind, e.subject, e.email_digests
         FROM analytics_erasures e JOIN subscriptions s
              ON s.name = $1 AND (e.epoch, e.transaction, e.position)
                                  <= (s.epoch, s.transaction, s.position)
         WHERE e.noted_at < now() - interval '3 seconds'
           AND NOT EXISTS (SELECT FROM telemetry_spool t
                           WHERE t.position <= e.spooled OR t.user_id::text = e.subject)
         ORDER BY e.position LIMIT $2",
        NAME,
        BATCH,
    )
    .fetch_all(pool)
    .await?;
    Ok(due)
}

async fn erase_some(pool: &PgPool, tables: &Tables) -> Result<(), LedgerError> {
    let due = due(pool).await?;
    Subjects::of(&due).erase_from(tables).await?;
    let positions: Vec<i64> = due.iter().map(|deletion| deletion.position).collect();
    sqlx::query!(
        "DELETE FROM analytics_erasures WHERE position = ANY($1)",
        &positions
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Who is erased at once, and in which projects.
#[derive(Default)]
struct Subjects {
    projects: Vec<String>,
    users: Vec<String>,
    teams: Vec<String>,
    deleted_projects: Vec<String>,
    emails: Vec<String>,
}

impl Subjects {
    fn of(deletions: &[Deletion]) -> Self {
        let mut subjects = Self::default();
        for deletion in deletions {
            subjects.projects.push(deletion.project_id.clone());
            subjects
                .emails
                .extend(deletion.email_digests.iter().cloned());
            let subject = deletion.subject.clone();
            match deletion.kind.as_str() {
                "user" => subjects.users.push(subject),
                "team" => subjects.teams.push(subject),
                _ => subjects.deleted_projects.push(subject),
            }
        }
        subjects
    }

    /// What marks deletions says nothing about anybody and stays, but for accounts at providers.
    async fn erase_from(&self, tables: &Tables) -> Result<(), LedgerError> {
        let users = || ("sync_is_deleted = 0 AND user_id IN ?", vec![&self.users]);
        let teams = || ("sync_is_deleted = 0 AND team_id IN ?", vec![&self.teams]);
        let members = || {
            (
                "sync_is_deleted = 0 AND (team_id IN ? OR user_id IN ?)",
                vec![&self.teams, &self.users],
            )
        };
        let customers = || {
            (
                "sync_is_deleted = 0 AND (customer_type = 'user' AND customer_id IN ?
                 OR customer_type = 'team' AND customer_id IN ?)",
                vec![&self.users, &self.teams],
            )
        };
        let own = |ids| ("sync_is_deleted = 0 AND id IN ?", vec![ids]);
        self.erase::<UserRow>(tables, own(&self.users)).await?;
        self.erase::<ContactChannelRow>(tables, users()).await?;
        self.erase::<TeamRow>(tables, own(&self.teams)).await?;
        self.erase::<MemberProfileRow>(tables, members()).await?;
        self.erase::<TeamPermissionRow>(tables, members()).await?;
        self.erase::<ProjectPermissionRow>(tables, users()).await?;
        self.erase::<InvitationRow>(tables, teams()).await?;
        self.erase::<InvitationRow>(tables, self.past_invitations())
            .await?;
        self.erase::<EmailRow>(tables, ("0", Vec::new())).await?;
        self.erase::<PreferenceRow>(tables, users()).await?;
        self.erase::<RefreshTokenRow>(tables, users()).await?;
        let accounts = ("user_id IN ?", vec![&self.users]);
        self.erase::<ConnectedAccountRow>(tables, accounts).await?;
        self.erase::<ItemBalanceRow>(tables, customers()).await?;
        self.erase::<SubscriptionRow>(tables, customers()).await?;
        self.erase::<TransactionRow>(tables, customers()).await?;
        let telemetry = (
            "user_id IN ? OR team_id IN ? OR event_type = '$sign-up-rule-trigger'
             AND lower(hex(SHA256(lower(toString(data.email))))) IN ?",
            vec![&self.users, &self.teams, &self.emails],
        );
        self.erase_rows(tables, "events", telemetry).await
    }

    /// Invitations to the person that are not open any more. Open ones are their sender's.
    fn past_invitations(&self) -> Predicate<'_> {
        (
            "lower(hex(SHA256(lower(recipient_email)))) IN ? AND id NOT IN
             (SELECT id FROM team_invitations FINAL WHERE sync_is_deleted = 0)",
            vec![&self.emails],
        )
    }

    async fn erase<R: SyncedRow>(
        &self,
        tables: &Tables,
        predicate: Predicate<'_>,
    ) -> Result<(), LedgerError> {
        self.erase_rows(tables, &tables.name::<R>(), predicate)
            .await
    }

    async fn erase_rows(
        &self,
        tables: &Tables,
        table: &str,
        (predicate, values): Predicate<'_>,
    ) -> Result<(), LedgerError> {
        let sql = format!(
            "ALTER TABLE {table} DELETE
             WHERE project_id IN ? OR project_id IN ? AND ({predicate})
             SETTINGS mutations_sync = 1"
        );
        let values = [&self.deleted_projects, &self.projects]
            .into_iter()
            .chain(values);
        tables
            .run(&sql, values.cloned().map(Values::Texts).collect())
            .await
    }
}

/// A condition, and what takes the place of its question marks.
type Predicate<'s> = (&'static str, Vec<&'s Vec<String>>);
