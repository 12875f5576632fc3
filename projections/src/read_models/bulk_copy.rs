//! Writing many rows at once, by `COPY`: into a table that lasts as long as the transaction, and from
//! there into the read table. It costs Postgres half of what rows cost that come as JSON, but some
//! milliseconds in advance.

use std::collections::HashMap;

use serde_json::value::RawValue;
use sqlx::{PgConnection, QueryBuilder};

use crate::read_models::ddl::run;
use crate::read_models::table::{Table, TableRow, push_conflict};
use muniment_event_store::LedgerError;

/// The table that rows are copied into first.
const INCOMING: &str = "pg_temp.incoming";

/// Inserts or updates rows.
pub(crate) async fn upsert<R: TableRow>(
    connection: &mut PgConnection,
    rows: &[&R],
) -> Result<(), LedgerError> {
    let Table { name, .. } = R::TABLE;
    let columns = columns(connection, name).await?;
    let text = text_of(rows, &columns)?;
    let parts = ["CREATE TABLE ", INCOMING, " (LIKE ", name, ")"];
    run(connection, &parts).await?;
    let copy = format!("COPY {INCOMING} FROM STDIN");
    let mut copy = connection.copy_in_raw(&copy).await?;
    copy.send(text).await?;
    copy.finish().await?;
    let mut sql = QueryBuilder::new("INSERT INTO ");
    sql.push(name).push(" SELECT * FROM ").push(INCOMING);
    push_conflict::<R>(&mut sql);
    let insert = sql.build().persistent(false);
    insert.execute(&mut *connection).await?;
    run(connection, &["DROP TABLE ", INCOMING]).await
}

/// A column of a read table.
struct Column {
    name: String,
    kind: Kind,
}

/// How a column's JSON becomes the text that `COPY` takes.
#[derive(Clone, Copy)]
enum Kind {
    /// It is JSON there as well.
    Json,
    /// A list of texts.
    Texts,
    /// Texts lose their quotes; numbers and truth values are written alike.
    Scalar,
}

/// The columns of a table on the search path, in their order.
async fn columns(connection: &mut PgConnection, table: &str) -> Result<Vec<Column>, LedgerError> {
    let columns = sqlx::query!(
        r#"SELECT attname::text AS "name!", atttypid::regtype::text AS "kind!"
           FROM pg_attribute
           WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped
           ORDER BY attnum"#,
        table,
    )
    .fetch_all(connection)
    .await?;
    let column = columns.into_iter().map(|column| Column {
        kind: match column.kind.as_str() {
            "jsonb" => Kind::Json,
            "text[]" => Kind::Texts,
            _ => Kind::Scalar,
        },
        name: column.name,
    });
    Ok(column.collect())
}

/// The rows in `COPY`'s text format: one per line, with tabs between the columns.
fn text_of<R: TableRow>(rows: &[&R], columns: &[Column]) -> Result<Vec<u8>, LedgerError> {
    let mut text = String::new();
    for row in rows {
        let json = serde_json::to_string(row)?;
        let fields: HashMap<&str, &RawValue> = serde_json::from_str(&json)?;
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                text.push('\t');
            }
            match fields.get(column.name.as_str()).map(|field| field.get()) {
                None | Some("null") => text.push_str("\\N"),
                Some(json) => push_value(&mut text, json, column.kind)?,
            }
        }
        text.push('\n');
    }
    Ok(text.into_bytes())
}

fn push_value(text: &mut String, json: &str, kind: Kind) -> Result<(), LedgerError> {
    match kind {
        Kind::Json => push_escaped(text, json),
        Kind::Texts => push_escaped(text, &array(serde_json::from_str(json)?)),
        Kind::Scalar if json.starts_with('"') => {
            let value: String = serde_json::from_str(json)?;
            push_escaped(text, &value);
        }
        Kind::Scalar => text.push_str(json),
    }
    Ok(())
}

/// Postgres' own notation of a list of texts.
fn array(items: Vec<String>) -> String {
    let items = items.into_iter().map(|item| {
        let item = item.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{item}\"")
    });
    format!("{{{}}}", items.collect::<Vec<_>>().join(","))
}

/// Backslashes, and what separates columns and lines, are written with a backslash.
fn push_escaped(text: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json: &str, kind: Kind) -> String {
        let mut text = String::new();
        push_value(&mut text, json, kind).unwrap();
        text
    }

    #[test]
    fn values_are_written_as_copy_reads_them() {
        assert_eq!(written("12", Kind::Scalar), "12");
        assert_eq!(written("true", Kind::Scalar), "true");
        assert_eq!(written(r#""a\tb\\c\nd""#, Kind::Scalar), r"a\tb\\c\nd");
        assert_eq!(written(r#""\\N""#, Kind::Scalar), r"\\N");
        assert_eq!(written(r#"{"a":"\n"}"#, Kind::Json), r#"{"a":"\\n"}"#);
        assert_eq!(written("[]", Kind::Texts), "{}");
        assert_eq!(
            written(r#"["a b","c\"d","e\\f"]"#, Kind::Texts),
            r#"{"a b","c\\"d","e\\\\f"}"#
        );
    }
}
