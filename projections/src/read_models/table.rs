//! A read table: its row type and its columns from one definition.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::{Postgres, QueryBuilder};
use uuid::Uuid;

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
    pub(crate) fn column_of(&self, scope: Scope) -> Option<&'static str> {
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
pub(crate) fn push_keys<R: TableRow>(
    keys: Vec<R::Key>,
    name: &str,
    sql: &mut QueryBuilder<'_, Postgres>,
) {
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
pub(crate) fn push_match<R: TableRow>(name: &str, sql: &mut QueryBuilder<'_, Postgres>) {
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

/// A JSON value as a column holds it: SQL knows one kind of nothing.
pub(crate) fn stored(metadata: Value) -> Option<Value> {
    Some(metadata).filter(|value| !value.is_null())
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
