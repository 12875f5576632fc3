//! Rows of read tables while a batch of events is folded into them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::types::Json;
use sqlx::{PgConnection, Postgres, QueryBuilder};
use uuid::Uuid;

use crate::LedgerError;
use crate::read_models::bulk_copy;

/// From so many rows of a table on, copying is faster than one statement.
const COPIED: usize = 500;

/// A read table, as far as writing to it needs to know.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The primary key's columns.
    pub(crate) key: &'static [&'static str],
    /// The other columns.
    pub(crate) fields: &'static [&'static str],
}

/// How much is folded at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Volume {
    /// A few units of work, as they are appended.
    Units,
    /// A page of the log.
    Page,
}

/// A row of a read table. Its JSON form has the table's columns as keys.
pub(crate) trait TableRow: Serialize + DeserializeOwned + Clone + Send + Sync {
    const TABLE: Table;
    type Key: Ord + Clone + Send + Sync;
    fn key(&self) -> Self::Key;

    /// Whose the row is for good, of those tables whose rows are looked for by that.
    fn owner(&self) -> Option<Uuid> {
        None
    }
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

    /// Forgets those known rows that `belongs` picks; a statement of its own clears the table.
    pub(crate) fn remove_where(&mut self, belongs: impl Fn(&R) -> bool) {
        for key in self.keys_where(belongs) {
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

    /// The keys of rows that were removed.
    pub(crate) fn removed(&self) -> Vec<R::Key> {
        let gone = |key: &&R::Key| self.known.get(*key).is_some_and(Option::is_none);
        self.changed.iter().filter(gone).cloned().collect()
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
    if R::TABLE.fields.is_empty() {
        sql.push("NOTHING");
        return;
    }
    sql.push("UPDATE SET ");
    let mut fields = sql.separated(", ");
    for column in R::TABLE.fields {
        fields
            .push(column)
            .push_unseparated(" = EXCLUDED.")
            .push_unseparated(column);
    }
}
