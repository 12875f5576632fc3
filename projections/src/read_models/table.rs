//! A read table: its row type and its columns from one definition, and the statements that load,
//! write and clear its rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use muniment_event_store::LedgerError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::read_models::bulk_copy;

/// From so many rows of a table on, copying is faster than one statement.
const COPIED: usize = 500;

/// A read table's name and columns.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The primary key's columns.
    pub(crate) key: &'static [&'static str],
    /// The columns that are fields of the row type.
    pub(crate) own: &'static [&'static str],
    /// The columns of a part that several row types share.
    pub(crate) shared: &'static [&'static str],
    /// The column by which an owner's rows are loaded, if they are.
    pub(crate) owner: Option<&'static str>,
    /// The columns by which rows go with somebody or something that goes.
    pub(crate) cleared: &'static [(Scope, &'static str)],
}

impl Table {
    /// The columns beside the primary key's.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &'static str> {
        let columns = self.own.iter().chain(self.shared).copied();
        columns.filter(|column| !self.key.contains(column))
    }

    /// The column by which rows go with what is cleared.
    fn column_of(&self, scope: Scope) -> Option<&'static str> {
        let mut columns = self.cleared.iter();
        columns.find_map(|(cleared, column)| (*cleared == scope).then_some(*column))
    }
}

/// What rows belong to, and go with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    User,
    Team,
    Customer,
    Project,
}

/// Somebody or something that goes, with all rows that belong to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    User(Uuid),
    Team(Uuid),
    Customer(Uuid),
    Project(String),
}

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

/// A row of a read table. Its JSON form has the table's columns as keys. Implemented by
/// [`read_table!`].
pub(crate) trait TableRow: Serialize + DeserializeOwned + Clone + Send + Sync {
    const TABLE: Table;
    type Key: TableKey;
    fn key(&self) -> Self::Key;

    /// Whose the row is for good, of those tables whose rows are looked for by that.
    fn owner(&self) -> Option<Uuid> {
        None
    }

    /// Whether the row belongs to who or what goes.
    fn goes_with(&self, owner: &Owner) -> bool;
}

/// A primary key: a column's value, or several columns' values.
pub(crate) trait TableKey: Ord + Clone + Send + Sync {
    /// Appends the keys as parameters, one array per column, separated by commas.
    fn push_arrays(keys: Vec<Self>, sql: &mut QueryBuilder<'_, Postgres>);
}

impl TableKey for Uuid {
    fn push_arrays(keys: Vec<Self>, sql: &mut QueryBuilder<'_, Postgres>) {
        sql.push_bind(keys);
    }
}

impl TableKey for String {
    fn push_arrays(keys: Vec<Self>, sql: &mut QueryBuilder<'_, Postgres>) {
        sql.push_bind(keys);
    }
}

impl<A: TableKey, B: TableKey> TableKey for (A, B) {
    fn push_arrays(keys: Vec<Self>, sql: &mut QueryBuilder<'_, Postgres>) {
        let (first, second) = keys.into_iter().unzip();
        A::push_arrays(first, sql);
        sql.push(", ");
        B::push_arrays(second, sql);
    }
}

impl<A: TableKey, B: TableKey, C: TableKey> TableKey for (A, B, C) {
    fn push_arrays(keys: Vec<Self>, sql: &mut QueryBuilder<'_, Postgres>) {
        let pairs = keys.into_iter().map(|(a, b, c)| (a, (b, c))).collect();
        <(A, (B, C))>::push_arrays(pairs, sql);
    }
}

/// Appends the keys as a table of one column per key column, under a name.
fn push_keys<R: TableRow>(keys: Vec<R::Key>, name: &str, sql: &mut QueryBuilder<'_, Postgres>) {
    sql.push("unnest(");
    R::Key::push_arrays(keys, sql);
    sql.push(") AS ").push(name).push(" (");
    let mut columns = sql.separated(", ");
    for column in R::TABLE.key {
        columns.push(column);
    }
    sql.push(")");
}

/// Appends the condition that a row of the table has one of those keys.
fn push_match<R: TableRow>(name: &str, sql: &mut QueryBuilder<'_, Postgres>) {
    let mut conditions = sql.separated(" AND ");
    for column in R::TABLE.key {
        conditions
            .push("t.")
            .push_unseparated(column)
            .push_unseparated(" = ")
            .push_unseparated(name)
            .push_unseparated(".")
            .push_unseparated(column);
    }
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

/// Appends what an insert does with rows that are there already: it updates them.
pub(crate) fn push_conflict<R: TableRow>(sql: &mut QueryBuilder<'_, Postgres>) {
    sql.push(" ON CONFLICT (");
    let mut key = sql.separated(", ");
    for column in R::TABLE.key {
        key.push(column);
    }
    sql.push(") DO ");
    if R::TABLE.fields().next().is_none() {
        sql.push("NOTHING");
        return;
    }
    sql.push("UPDATE SET ");
    let mut fields = sql.separated(", ");
    for column in R::TABLE.fields() {
        fields
            .push(column)
            .push_unseparated(" = EXCLUDED.")
            .push_unseparated(column);
    }
}

/// The column that a field, or a path to one, stands for: `type` for `r#type`, `customer_key` for
/// `whose.customer_key`.
pub(crate) const fn column(path: &'static str) -> &'static str {
    let bytes = path.as_bytes();
    let mut start = 0;
    let mut at = 0;
    while at < bytes.len() {
        if matches!(bytes[at], b'.' | b' ' | b'#') {
            start = at + 1;
        }
        at += 1;
    }
    path.split_at(start).1
}

/// Defines the row type of a read table together with the table: a field is a column of its name.
///
/// ```ignore
/// read_table! {
///     /// A row of `teams`.
///     #[derive(sqlx::FromRow)]
///     pub struct TeamRow in "teams" {
///         pub id: Uuid,
///         pub project_id: String,
///         pub display_name: String,
///     }
///     key (id: Uuid);
///     cleared (Project by project_id, Team by id);
/// }
/// ```
///
/// - `with whose: Whose` after the type's name adds a part that several row types share; its type
///   has a constant `COLUMNS`.
/// - `key` names the primary key's columns, fields or paths to them.
/// - `owner` names the column by which an owner's rows are loaded, as events do that concern all of
///   them.
/// - `cleared` says with whom rows go: a deleted user, team, customer or project takes along the
///   rows in which that column is its id.
macro_rules! read_table {
    (
        $(#[$meta:meta])*
        $vis:vis struct $row:ident in $table:literal $(with $(#[$shared_meta:meta])* $shared_vis:vis $shared:ident: $shared_type:ty)? {
            $($(#[$field_meta:meta])* $field_vis:vis $field:ident: $field_type:ty,)*
        }
        key ($($($key:ident).+: $key_type:ty),+);
        $(owner $owner:ident;)?
        cleared ($($scope:ident by $($cleared:ident).+),*);
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[allow(missing_docs, reason = "the columns are described in the migration")]
        $vis struct $row {
            $(
                $(#[$shared_meta])*
                #[serde(flatten)]
                $shared_vis $shared: $shared_type,
            )?
            $($(#[$field_meta])* $field_vis $field: $field_type,)*
        }

        impl $crate::read_models::table::TableRow for $row {
            const TABLE: $crate::read_models::table::Table = $crate::read_models::table::Table {
                name: $table,
                key: &[$($crate::read_models::table::column(stringify!($($key).+))),+],
                own: &[$($crate::read_models::table::column(stringify!($field))),*],
                shared: $crate::read_models::table::shared_columns!($($shared_type)?),
                owner: $crate::read_models::table::owner_column!($($owner)?),
                cleared: &[$((
                    $crate::read_models::table::Scope::$scope,
                    $crate::read_models::table::column(stringify!($($cleared).+)),
                )),*],
            };

            #[allow(unused_parens, reason = "a key of one column is no tuple")]
            type Key = ($($key_type),+);

            #[allow(unused_parens, reason = "a key of one column is no tuple")]
            fn key(&self) -> Self::Key {
                ($(self.$($key).+.clone()),+)
            }

            $(
                fn owner(&self) -> Option<uuid::Uuid> {
                    Some(self.$owner)
                }
            )?

            fn goes_with(&self, owner: &$crate::read_models::table::Owner) -> bool {
                match owner {
                    $($crate::read_models::table::Owner::$scope(id) => {
                        Option::from(&self.$($cleared).+) == Some(id)
                    })*
                    _ => false,
                }
            }
        }
    };
}

/// The columns of a shared part; none, if there is none.
macro_rules! shared_columns {
    () => {
        &[]
    };
    ($shared:ty) => {
        &<$shared>::COLUMNS
    };
}

/// The owner's column, if there is one.
macro_rules! owner_column {
    () => {
        None
    };
    ($owner:ident) => {
        Some(stringify!($owner))
    };
}

pub(crate) use {owner_column, read_table, shared_columns};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_the_last_part_of_a_path() {
        assert_eq!(column("id"), "id");
        assert_eq!(column("r#type"), "type");
        assert_eq!(column("whose.customer_key"), "customer_key");
        assert_eq!(column("whose . customer_key"), "customer_key");
    }
}
