//! The rows that a batch of events touches: loaded, changed in memory, and written at the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use muniment_event_store::LedgerError;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::read_models::bulk_copy;
use crate::read_models::table::{Owner, Scope, TableRow, push_conflict, push_keys, push_match};

/// From so many rows of a table on, copying is faster than one statement.
const COPIED: usize = 500;

/// The owners that go in a batch, by scope.
#[derive(Debug, Default)]
pub(crate) struct Cleared {
    users: BTreeSet<Uuid>,
    teams: BTreeSet<Uuid>,
    customers: BTreeSet<Uuid>,
    projects: BTreeSet<String>,
}

impl Cleared {
    pub(crate) fn insert(&mut self, owner: Owner) {
        match owner {
            Owner::User(id) => self.users.insert(id),
            Owner::Team(id) => self.teams.insert(id),
            Owner::Customer(id) => self.customers.insert(id),
            Owner::Project(id) => self.projects.insert(id),
        };
    }

    /// The scopes in which there is something to clear, smaller ones first.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = Scope> {
        let scopes = [
            (Scope::User, self.users.is_empty()),
            (Scope::Team, self.teams.is_empty()),
            (Scope::Customer, self.customers.is_empty()),
            (Scope::Project, self.projects.is_empty()),
        ];
        let scopes = scopes.into_iter();
        scopes.filter_map(|(scope, is_empty)| (!is_empty).then_some(scope))
    }

    fn push_ids(&self, scope: Scope, sql: &mut QueryBuilder<'_, Postgres>) {
        let uuids = |ids: &BTreeSet<Uuid>| ids.iter().copied().collect::<Vec<_>>();
        match scope {
            Scope::User => sql.push_bind(uuids(&self.users)),
            Scope::Team => sql.push_bind(uuids(&self.teams)),
            Scope::Customer => sql.push_bind(uuids(&self.customers)),
            Scope::Project => sql.push_bind(self.projects.iter().cloned().collect::<Vec<_>>()),
        };
    }
}

/// How much is folded at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Volume {
    /// A few units of work, as they are appended.
    Units,
    /// A page of the log.
    Page,
}

/// The rows of those keys. Each is looked up by the primary key; a join might read the whole table
/// instead.
pub(crate) async fn load<R>(
    connection: &mut PgConnection,
    keys: BTreeSet<R::Key>,
) -> Result<Vec<R>, LedgerError>
where
    R: TableRow + for<'r> FromRow<'r, PgRow> + Unpin,
{
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = QueryBuilder::new("SELECT found.* FROM ");
    push_keys::<R>(keys.into_iter().collect(), "wanted", &mut sql);
    sql.push(" CROSS JOIN LATERAL (SELECT * FROM ")
        .push(R::TABLE.name)
        .push(" t WHERE ");
    push_match::<R>("wanted", &mut sql);
    sql.push(" LIMIT 1) found");
    Ok(sql.build_query_as().fetch_all(connection).await?)
}

/// The rows of those owners.
pub(crate) async fn load_owned<R>(
    connection: &mut PgConnection,
    owners: BTreeSet<Uuid>,
) -> Result<Vec<R>, LedgerError>
where
    R: TableRow + for<'r> FromRow<'r, PgRow> + Unpin,
{
    let (Some(column), false) = (R::TABLE.owner, owners.is_empty()) else {
        return Ok(Vec::new());
    };
    let owners: Vec<Uuid> = owners.into_iter().collect();
    let mut sql = QueryBuilder::new("SELECT * FROM ");
    sql.push(R::TABLE.name).push(" WHERE ").push(column);
    sql.push(" = ANY(").push_bind(owners).push(")");
    Ok(sql.build_query_as().fetch_all(connection).await?)
}

/// Deletes the rows that belong to those who go in a scope.
pub(crate) async fn clear<R: TableRow>(
    connection: &mut PgConnection,
    cleared: &Cleared,
    scope: Scope,
) -> Result<(), LedgerError> {
    let Some(column) = R::TABLE.column_of(scope) else {
        return Ok(());
    };
    let mut sql = QueryBuilder::new("DELETE FROM ");
    sql.push(R::TABLE.name).push(" WHERE ").push(column);
    sql.push(" = ANY(");
    cleared.push_ids(scope, &mut sql);
    sql.push(")");
    sql.build().execute(connection).await?;
    Ok(())
}

/// The rows of one table that a batch has touched.
pub(crate) struct Rows<R: TableRow> {
    known: BTreeMap<R::Key, Option<R>>,
    changed: BTreeSet<R::Key>,
    /// The rows that an owner has, or had.
    owned: HashMap<Uuid, BTreeSet<R::Key>>,
}

impl<R: TableRow> Default for Rows<R> {
    fn default() -> Self {
        Self {
            known: BTreeMap::new(),
            changed: BTreeSet::new(),
            owned: HashMap::new(),
        }
    }
}

impl<R: TableRow> Rows<R> {
    /// Takes rows in that the table holds.
    pub(crate) fn load(&mut self, rows: impl IntoIterator<Item = R>) {
        for row in rows {
            self.note_owner(&row);
            self.known.entry(row.key()).or_insert(Some(row));
        }
    }

    fn note_owner(&mut self, row: &R) {
        if let Some(owner) = row.owner() {
            self.owned.entry(owner).or_default().insert(row.key());
        }
    }

    pub(crate) fn get(&self, key: &R::Key) -> Option<&R> {
        self.known.get(key)?.as_ref()
    }

    /// The row, to be changed. `None` if there is no such row, for example because its owner is
    /// gone: then there is nothing to change.
    pub(crate) fn change(&mut self, key: &R::Key) -> Option<&mut R> {
        let row = self.known.get_mut(key)?.as_mut()?;
        self.changed.insert(key.clone());
        Some(row)
    }

    pub(crate) fn put(&mut self, row: R) {
        self.note_owner(&row);
        self.changed.insert(row.key());
        self.known.insert(row.key(), Some(row));
    }

    pub(crate) fn remove(&mut self, key: R::Key) {
        self.changed.insert(key.clone());
        self.known.insert(key, None);
    }

    /// Forgets the known rows that belong to who or what goes; a statement of its own clears the
    /// table.
    pub(crate) fn forget(&mut self, owner: &Owner) {
        for key in self.keys_where(|row| row.goes_with(owner)) {
            self.changed.remove(&key);
            self.known.insert(key, None);
        }
    }

    /// The keys of known rows that `belongs` picks.
    pub(crate) fn keys_where(&self, belongs: impl Fn(&R) -> bool) -> Vec<R::Key> {
        let rows = self.known.values().flatten().filter(|row| belongs(row));
        rows.map(TableRow::key).collect()
    }

    /// Those of an owner's rows that are known and still there.
    pub(crate) fn of_owner(&self, owner: Uuid) -> impl Iterator<Item = &R> {
        let keys = self.owned.get(&owner).into_iter().flatten();
        keys.filter_map(|key| self.get(key))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &R> {
        self.known.values().flatten()
    }

    /// Deletes the rows that were removed one by one.
    pub(crate) async fn delete_removed(
        &self,
        connection: &mut PgConnection,
    ) -> Result<(), LedgerError> {
        let is_gone = |key: &&R::Key| self.known.get(*key).is_some_and(Option::is_none);
        let removed: Vec<R::Key> = self.changed.iter().filter(is_gone).cloned().collect();
        if removed.is_empty() {
            return Ok(());
        }
        let mut sql = QueryBuilder::new("DELETE FROM ");
        sql.push(R::TABLE.name).push(" t USING ");
        push_keys::<R>(removed, "gone", &mut sql);
        sql.push(" WHERE ");
        push_match::<R>("gone", &mut sql);
        sql.build().execute(connection).await?;
        Ok(())
    }

    /// Inserts or updates the rows that changed.
    pub(crate) async fn upsert(
        &self,
        connection: &mut PgConnection,
        volume: Volume,
    ) -> Result<(), LedgerError> {
        let rows = self
            .changed
            .iter()
            .filter_map(|key| self.known.get(key)?.as_ref());
        let rows: Vec<&R> = rows.collect();
        if rows.is_empty() {
            return Ok(());
        }
        if volume == Volume::Page && rows.len() >= COPIED {
            return bulk_copy::upsert(connection, &rows).await;
        }
        let table = R::TABLE;
        let mut sql = QueryBuilder::new("INSERT INTO ");
        sql.push(table.name)
            .push(" SELECT * FROM jsonb_populate_recordset(NULL::")
            .push(table.name)
            .push(", ")
            .push_bind(Json(rows))
            .push(")");
        push_conflict::<R>(&mut sql);
        sql.build().execute(connection).await?;
        Ok(())
    }
}
