//! Reading the rows that were affected, and writing them to the store.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use clickhouse::Client;
use muniment_domain::MAIN_BRANCH;
use serde::Serialize;
use sqlx::{PgConnection, PgPool, Postgres, QueryBuilder};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::rows::{
    ConnectedAccountRow, ContactChannelRow, EmailRow, InvitationRow, ItemBalanceRow,
    MemberProfileRow, PreferenceRow, ProjectPermissionRow, RefreshTokenRow, SubscriptionRow,
    SyncedRow, TeamPermissionRow, TeamRow, TransactionRow, UserRow,
};
use crate::analytics::AnalyticsError;
use crate::analytics::sync::affected_rows::AffectedRows;
use muniment_event_store::LedgerError;

/// How long the store may take to receive a part of an insert.
const SENDING: Duration = Duration::from_secs(10);
/// How long the store may take over a statement.
const FINISHING: Duration = Duration::from_secs(60);
/// Statements name rows by their keys, up to a batch of them; the store's usual limit is lower.
const STATEMENT_BYTES: &str = "16000000";
/// A set of synced tables: those that are in use, or others that are being made.
#[derive(Clone)]
pub(super) struct Tables {
    client: Client,
    suffix: &'static str,
}

impl Tables {
    /// Those in use. `client` is the owner, in the tables' database.
    pub(super) fn live(client: Client) -> Self {
        Self { client, suffix: "" }
    }

    /// A set beside them.
    pub(super) fn beside(client: Client, suffix: &'static str) -> Self {
        Self { client, suffix }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn name<R: SyncedRow>(&self) -> String {
        format!("{}{}", R::TABLE.name, self.suffix)
    }

    /// Runs a statement with its values in place of the question marks.
    pub(super) async fn run(&self, sql: &str, values: Vec<Values>) -> Result<(), LedgerError> {
        let mut query = self.client.query(sql);
        for value in values {
            query = query.bind(value);
        }
        let query = query.with_setting("max_query_size", STATEMENT_BYTES);
        match tokio::time::timeout(FINISHING, query.execute()).await {
            Ok(done) => done.map_err(refused),
            Err(_) => Err(LedgerError::SinkAway(Box::new(
                AnalyticsError::Unreachable("it did not answer in time".to_owned()),
            ))),
        }
    }

    /// Inserts the rows, as one block if they are not very many.
    pub(super) async fn insert<R: SyncedRow>(&self, rows: &[R]) -> Result<(), LedgerError> {
        if rows.is_empty() {
            return Ok(());
        }
        let insert = self.client.insert::<R>(&self.name::<R>()).await;
        let mut insert = insert
            .map_err(refused)?
            .with_timeouts(Some(SENDING), Some(FINISHING))
            .with_setting("async_insert", "0")
            // Rows may be of any month.
            .with_setting("max_partitions_per_insert_block", "0");
        for row in rows {
            insert.write(row).await.map_err(refused)?;
        }
        insert.end().await.map_err(refused)
    }

    /// Marks rows as deleted: those in `projects` that one of the `conditions` picks. The marks say
    /// nothing but which rows they are.
    async fn mark_deleted<R: SyncedRow>(
        &self,
        version: i64,
        projects: &BTreeSet<String>,
        conditions: Vec<Condition>,
    ) -> Result<(), LedgerError> {
        if conditions.is_empty() {
            return Ok(());
        }
        let table = self.name::<R>();
        let key = R::TABLE.key.iter().chain(&R::TABLE.partitioned_by);
        let columns: Vec<&str> = ["project_id", "branch_id"]
            .iter()
            .chain(key)
            .copied()
            .collect();
        let columns = columns.join(", ");
        let picks: Vec<String> = conditions
            .iter()
            .map(|condition| format!("{} IN ?", condition.columns))
            .collect();
        let sql = format!(
            "INSERT INTO {table} ({columns}, sync_sequence_id, sync_is_deleted)
             SELECT {columns}, {version}, 1 FROM {table} FINAL
             WHERE sync_is_deleted = 0 AND project_id IN ? AND ({})",
            picks.join(" OR ")
        );
        let projects = Values::Texts(projects.iter().cloned().collect());
        let values = conditions.into_iter().map(|condition| condition.values);
        self.run(&sql, std::iter::once(projects).chain(values).collect())
            .await
    }

    async fn write<R: SyncedRow>(
        &self,
        version: Version,
        projects: &BTreeSet<String>,
        change: Change<R>,
    ) -> Result<(), LedgerError> {
        self.mark_deleted::<R>(version.of_deletions(), projects, change.gone)
            .await?;
        self.insert(&change.rows).await
    }
}

/// What the store's failure means for the events on their way there.
pub(super) fn refused(error: clickhouse::error::Error) -> LedgerError {
    match AnalyticsError::from(error) {
        error if error.is_about_a_value() => LedgerError::SinkRefused(error.into()),
        error => LedgerError::SinkAway(error.into()),
    }
}

/// The version of what is written together.
#[derive(Clone, Copy)]
pub(super) struct Version(i64);

impl Version {
    /// Draws the next one. Not inside a transaction that lasts: drawing gives it a transaction id,
    /// and every subscription waits for the oldest one that is running.
    pub(super) async fn draw(pool: &PgPool) -> Result<Self, LedgerError> {
        let drawn = sqlx::query_scalar!(r#"SELECT nextval('analytics_versions') AS "version!""#)
            .fetch_one(pool)
            .await?;
        Ok(Self(drawn))
    }

    fn of_deletions(self) -> i64 {
        self.0
    }

    /// Above that of deletions: what exists now may have been deleted before, in the same batch.
    fn of_rows(self) -> i64 {
        self.0 + 1
    }
}

/// Begins a query for rows of the read tables.
pub(super) fn select<'q, R: SyncedRow>(version: Version) -> QueryBuilder<'q, Postgres> {
    let mut sql = QueryBuilder::new("");
    push_select::<R>(&mut sql, version);
    sql
}

/// Appends a query for rows of the read tables, all of them so far.
pub(super) fn push_select<R: SyncedRow>(sql: &mut QueryBuilder<'_, Postgres>, version: Version) {
    sql.push("SELECT ")
        .push_bind(version.of_rows())
        .push(" AS sync_sequence_id, false AS sync_is_deleted, ")
        .push_bind(MAIN_BRANCH)
        .push(" AS branch_id, ")
        .push(R::TABLE.select);
}

/// Values that rows are picked by.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Values {
    Ids(Vec<Uuid>),
    Pairs(Vec<(Uuid, Uuid)>),
    Named(Vec<(Uuid, String)>),
    NamedPairs(Vec<(Uuid, Uuid, String)>),
    Texts(Vec<String>),
}

/// Rows whose `columns` have one of the `values`.
struct Condition {
    columns: &'static str,
    values: Values,
}

/// What is to be written to a table.
struct Change<R> {
    rows: Vec<R>,
    gone: Vec<Condition>,
}

impl<R: SyncedRow> Change<R> {
    fn to(rows: Vec<R>) -> Self {
        let gone = Vec::new();
        Self { rows, gone }
    }

    /// Those of the affected keys that no row has any more are gone.
    fn without(
        mut self,
        columns: &'static str,
        affected: &BTreeSet<R::Key>,
        values: impl FnOnce(Vec<R::Key>) -> Values,
    ) -> Self {
        let there: BTreeSet<R::Key> = self.rows.iter().map(SyncedRow::key).collect();
        let gone: Vec<R::Key> = affected.difference(&there).cloned().collect();
        if !gone.is_empty() {
            let values = values(gone);
            self.gone.push(Condition { columns, values });
        }
        self
    }

    /// What belonged to something that ended is gone with it.
    fn without_those_of<T: Clone>(
        mut self,
        columns: &'static str,
        ended: &BTreeSet<T>,
        values: impl FnOnce(Vec<T>) -> Values,
    ) -> Self {
        if !ended.is_empty() {
            let values = values(ended.iter().cloned().collect());
            self.gone.push(Condition { columns, values });
        }
        self
    }
}

/// Brings what was affected up to date in `tables`: table by table, and while the rows of one are
/// read, those read before are written.
pub(super) async fn synchronize(
    pool: &PgPool,
    connection: &mut PgConnection,
    tables: &Tables,
    mut affected: AffectedRows,
) -> Result<(), LedgerError> {
    let version = Version::draw(pool).await?;
    find_invitations(connection, &mut affected).await?;
    let affected = Arc::new(affected);
    let mut writing = Writing {
        tables: tables.clone(),
        version,
        affected: Arc::clone(&affected),
        tasks: JoinSet::new(),
    };
    let mut read = Reading {
        connection,
        version,
    };
    change_accounts(&mut read, &mut writing, &affected).await?;
    change_teams(&mut read, &mut writing, &affected).await?;
    change_customers(&mut read, &mut writing, &affected).await?;
    writing.finish().await
}

/// Writes to several tables at once.
struct Writing {
    tables: Tables,
    version: Version,
    affected: Arc<AffectedRows>,
    tasks: JoinSet<Result<(), LedgerError>>,
}

impl Writing {
    /// Begins to write a change. Whatever the table, what belonged to a project that ended is gone.
    fn start<R: SyncedRow + 'static>(&mut self, change: Change<R>) {
        let (tables, version) = (self.tables.clone(), self.version);
        let affected = Arc::clone(&self.affected);
        let ended = &affected.ended.projects;
        let change = change.without_those_of("project_id", ended, Values::Texts);
        let writing = async move { tables.write(version, &affected.projects, change).await };
        self.tasks.spawn(writing);
    }

    async fn finish(mut self) -> Result<(), LedgerError> {
        while let Some(written) = self.tasks.join_next().await {
            written.map_err(|error| LedgerError::Store(Box::new(error)))??;
        }
        Ok(())
    }
}

/// Users, and what is theirs alone.
async fn change_accounts(
    read: &mut Reading<'_>,
    writing: &mut Writing,
    affected: &AffectedRows,
) -> Result<(), LedgerError> {
    let ended = &affected.ended;
    writing.start(
        Change::<UserRow>::to(read.by_ids("u.id", &affected.users).await?).without(
            "id",
            &affected.users,
            Values::Ids,
        ),
    );
    writing.start(
        Change::<ContactChannelRow>::to(read.by_ids("c.user_id", &affected.channels_of).await?)
            .without("id", &affected.channels, Values::Ids)
            .without_those_of("user_id", &ended.users, Values::Ids),
    );
    writing.start(
        Change::<ProjectPermissionRow>::to(
            read.by_name(
                "p.permission_id",
                "p.user_id",
                &affected.project_permissions,
            )
            .await?,
        )
        .without(
            "(user_id, id)",
            &affected.project_permissions,
            Values::Named,
        )
        .without_those_of("user_id", &ended.users, Values::Ids),
    );
    writing.start(Change::<EmailRow>::to(
        read.by_ids("e.id", &affected.emails).await?,
    ));
    writing.start(
        Change::<PreferenceRow>::to(
            read.by_name("n.category_id::text", "n.user_id", &affected.preferences)
                .await?,
        )
        .without_those_of("user_id", &ended.users, Values::Ids),
    );
    writing.start(
        Change::<RefreshTokenRow>::to(read.by_ids("s.id", &affected.sessions).await?)
            .without("id", &affected.sessions, Values::Ids)
            .without_those_of("user_id", &ended.users, Values::Ids),
    );
    writing.start(
        Change::<ConnectedAccountRow>::to(read.by_ids("u.id", &affected.users).await?)
            .without_those_of("user_id", &ended.users, Values::Ids),
    );
    Ok(())
}

/// Teams, their members, and who is invited.
async fn change_teams(
    read: &mut Reading<'_>,
    writing: &mut Writing,
    affected: &AffectedRows,
) -> Result<(), LedgerError> {
    let ended = &affected.ended;
    writing.start(
        Change::<TeamRow>::to(read.by_ids("t.id", &affected.teams).await?).without(
            "id",
            &affected.teams,
            Values::Ids,
        ),
    );
    writing.start(
        Change::<MemberProfileRow>::to(read.by_membership(&affected.memberships).await?)
            .without("(team_id, user_id)", &affected.memberships, Values::Pairs)
            .without_those_of("team_id", &ended.teams, Values::Ids),
    );
    writing.start(
        Change::<TeamPermissionRow>::to(read.by_membership(&affected.memberships).await?)
            .without(
                "(team_id, user_id, id)",
                &affected.team_permissions,
                Values::NamedPairs,
            )
            .without_those_of("(team_id, user_id)", &ended.memberships, Values::Pairs)
            .without_those_of("team_id", &ended.teams, Values::Ids),
    );
    writing.start(
        Change::<InvitationRow>::to(read.invitations(affected).await?)
            .without("id", &affected.invitations, Values::Ids)
            .without_those_of("team_id", &ended.teams, Values::Ids),
    );
    Ok(())
}

/// What customers have and bought.
async fn change_customers(
    read: &mut Reading<'_>,
    writing: &mut Writing,
    affected: &AffectedRows,
) -> Result<(), LedgerError> {
    let ended = &affected.ended;
    writing.start(
        Change::<ItemBalanceRow>::to(
            read.by_name("b.item_id", "b.customer_key", &affected.item_balances)
                .await?,
        )
        .without_those_of("customer_key", &ended.customers, Values::Ids),
    );
    writing.start(
        Change::<SubscriptionRow>::to(read.by_ids("s.id", &affected.purchases).await?)
            .without_those_of("customer_key", &ended.customers, Values::Ids),
    );
    writing.start(
        Change::<TransactionRow>::to(read.transactions(affected).await?)
            .without("id", &affected.transactions, Values::Ids)
            .without_those_of("customer_key", &ended.customers, Values::Ids),
    );
    Ok(())
}

/// Reads rows as they are now, many in one query.
struct Reading<'c> {
    connection: &'c mut PgConnection,
    version: Version,
}

impl Reading<'_> {
    async fn by_ids<R: SyncedRow>(
        &mut self,
        column: &str,
        ids: &BTreeSet<Uuid>,
    ) -> Result<Vec<R>, LedgerError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Uuid> = ids.iter().copied().collect();
        let mut sql = select::<R>(self.version);
        sql.push(" WHERE ").push(column);
        sql.push(" = ANY(").push_bind(ids).push(")");
        self.fetch(sql).await
    }

    async fn by_membership<R: SyncedRow>(
        &mut self,
        memberships: &BTreeSet<(Uuid, Uuid)>,
    ) -> Result<Vec<R>, LedgerError> {
        if memberships.is_empty() {
            return Ok(Vec::new());
        }
        let (teams, users): (Vec<Uuid>, Vec<Uuid>) = memberships.iter().copied().unzip();
        let mut sql = select::<R>(self.version);
        sql.push(" WHERE (m.team_id, m.user_id) IN (SELECT * FROM unnest(")
            .push_bind(teams)
            .push("::uuid[], ")
            .push_bind(users)
            .push("::uuid[]))");
        self.fetch(sql).await
    }

    /// By whose it is, and its name.
    async fn by_name<R: SyncedRow>(
        &mut self,
        name: &str,
        owner: &str,
        wanted: &BTreeSet<(Uuid, String)>,
    ) -> Result<Vec<R>, LedgerError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let (owners, names): (Vec<Uuid>, Vec<String>) = wanted.iter().cloned().unzip();
        let mut sql = select::<R>(self.version);
        sql.push(" WHERE (").push(owner).push(", ").push(name);
        sql.push(") IN (SELECT * FROM unnest(")
            .push_bind(owners)
            .push("::uuid[], ")
            .push_bind(names)
            .push("::text[]))");
        self.fetch(sql).await
    }

    /// Those that were affected, and those into teams that may have another name now.
    async fn invitations(
        &mut self,
        affected: &AffectedRows,
    ) -> Result<Vec<InvitationRow>, LedgerError> {
        if affected.invitations.is_empty() && affected.teams.is_empty() {
            return Ok(Vec::new());
        }
        let codes: Vec<Uuid> = affected.invitations.iter().copied().collect();
        let teams: Vec<String> = affected.teams.iter().map(Uuid::to_string).collect();
        let projects: Vec<String> = affected.projects.iter().cloned().collect();
        let mut sql = select::<InvitationRow>(self.version);
        sql.push(" WHERE v.id = ANY(").push_bind(codes);
        sql.push(") OR v.project_id = ANY(").push_bind(projects);
        sql.push(") AND v.data ->> 'team_id' = ANY(")
            .push_bind(teams);
        sql.push(")");
        self.fetch(sql).await
    }

    /// Those that were affected, and those that came of purchases that were.
    async fn transactions(
        &mut self,
        affected: &AffectedRows,
    ) -> Result<Vec<TransactionRow>, LedgerError> {
        if affected.transactions.is_empty() && affected.purchases.is_empty() {
            return Ok(Vec::new());
        }
        let transactions: Vec<Uuid> = affected.transactions.iter().copied().collect();
        let purchases: Vec<Uuid> = affected.purchases.iter().copied().collect();
        let mut sql = select::<TransactionRow>(self.version);
        sql.push(" WHERE t.id = ANY(").push_bind(transactions);
        sql.push(") OR t.origin_id = ANY(").push_bind(purchases);
        sql.push(")");
        self.fetch(sql).await
    }

    async fn fetch<R: SyncedRow>(
        &mut self,
        mut sql: QueryBuilder<'_, Postgres>,
    ) -> Result<Vec<R>, LedgerError> {
        let rows = sql
            .build_query_as()
            .fetch_all(&mut *self.connection)
            .await?;
        Ok(rows)
    }
}

/// Finds out which of the codes were invitations. A discarded one is in the log only.
async fn find_invitations(
    connection: &mut PgConnection,
    affected: &mut AffectedRows,
) -> Result<(), LedgerError> {
    if affected.codes.is_empty() {
        return Ok(());
    }
    let codes: Vec<String> = affected.codes.iter().map(Uuid::to_string).collect();
    let invitations = sqlx::query_scalar!(
        "SELECT aggregate_id FROM public.events
         WHERE aggregate_type = 'verification_code' AND aggregate_id = ANY($1) AND sequence = 1
           AND payload ->> 'purpose' = 'team_invitation'",
        &codes,
    )
    .fetch_all(connection)
    .await?;
    let ids = invitations.iter().filter_map(|id| Uuid::parse_str(id).ok());
    affected.invitations.extend(ids);
    Ok(())
}
