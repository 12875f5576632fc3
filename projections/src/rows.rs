//! Rows of read tables while a batch of events is folded into them.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::types::Json;
use sqlx::{PgConnection, QueryBuilder};

use crate::LedgerError;

/// A read table, as far as writing to it needs to know.
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The primary key's columns.
    pub(crate) key: &'static [&'static str],
    /// The other columns.
    pub(crate) fields: &'static [&'static str],
}

/// A row of a read table. Its JSON form has the table's columns as keys.
pub(crate) trait TableRow: Serialize + DeserializeOwned + Clone + Send + Sync {
    const TABLE: Table;
    type Key: Ord + Clone + Send + Sync;
    fn key(&self) -> Self::Key;
}

/// The rows of one table that a batch has touched.
pub(crate) struct Rows<R: TableRow> {
    known: BTreeMap<R::Key, Option<R>>,
    changed: BTreeSet<R::Key>,
}

impl<R: TableRow> Default for Rows<R> {
    fn default() -> Self {
        Self {
            known: BTreeMap::new(),
            changed: BTreeSet::new(),
        }
    }
}

impl<R: TableRow> Rows<R> {
    /// Takes rows in that the table holds.
    pub(crate) fn load(&mut self, rows: impl IntoIterator<Item = R>) {
        for row in rows {
            self.known.entry(row.key()).or_insert(Some(row));
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

    pub(crate) fn iter(&self) -> impl Iterator<Item = &R> {
        self.known.values().flatten()
    }

    /// The keys of rows that were removed.
    pub(crate) fn removed(&self) -> Vec<R::Key> {
        let gone = |key: &&R::Key| self.known.get(*key).is_some_and(Option::is_none);
        self.changed.iter().filter(gone).cloned().collect()
    }

    /// Inserts or updates the rows that changed, in one statement.
    pub(crate) async fn upsert(&self, connection: &mut PgConnection) -> Result<(), LedgerError> {
        let rows = self
            .changed
            .iter()
            .filter_map(|key| self.known.get(key)?.as_ref());
        let rows: Vec<&R> = rows.collect();
        if rows.is_empty() {
            return Ok(());
        }
        let table = R::TABLE;
        let mut sql = QueryBuilder::new("INSERT INTO ");
        sql.push(table.name)
            .push(" SELECT * FROM jsonb_populate_recordset(NULL::");
        sql.push(table.name)
            .push(", ")
            .push_bind(Json(rows))
            .push(") ON CONFLICT (");
        let mut key = sql.separated(", ");
        for column in table.key {
            key.push(column);
        }
        sql.push(") DO ");
        if table.fields.is_empty() {
            sql.push("NOTHING");
        } else {
            sql.push("UPDATE SET ");
            let mut fields = sql.separated(", ");
            for column in table.fields {
                fields
                    .push(column)
                    .push_unseparated(" = EXCLUDED.")
                    .push_unseparated(column);
            }
        }
        sql.build().execute(connection).await?;
        Ok(())
    }
}
