//! Queries of tenants: any text, no harm.

use std::fmt::Write;
use std::time::Duration;

use clickhouse::query::BytesCursor;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::access::{BRANCH_SETTING, PROJECT_SETTING};
use super::{AnalyticsError, AnalyticsStore};

/// The most rows of an answer.
const MAX_ROWS: u32 = 10_000;
/// The largest answer, in bytes.
const MAX_BYTES: u32 = 10 * 1024 * 1024;
/// The longest answer as JSON, which says the same in more words.
const MAX_TEXT: usize = 4 * 10 * 1024 * 1024;
/// ClickHouse's code of an answer that is too large.
const TOO_MANY_ROWS_OR_BYTES: u32 = 396;
/// The memory that a query may use, in bytes.
const MAX_MEMORY: u64 = 2 * 1024 * 1024 * 1024;
/// How long after the query's own limit the store may be silent.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a tenant asks.
#[derive(Clone, Copy, Debug)]
pub struct TenantQuery<'a> {
    /// The id that the timing is asked for by. Nobody else's may be guessable from it.
    pub query_id: &'a str,
    /// The project whose rows may be seen.
    pub project_id: &'a str,
    /// The branch whose rows may be seen.
    pub branch_id: &'a str,
    /// The query, as the tenant wrote it.
    pub text: &'a str,
    /// Values of its placeholders, `{name:Type}`.
    pub params: &'a Map<String, Value>,
    /// How long it may run.
    pub timeout: Duration,
}

/// What the store says to it.
#[derive(Debug)]
pub struct TenantAnswer {
    /// The rows, each a JSON object as the format `JSONEachRow` has it.
    pub rows: Vec<Box<RawValue>>,
}

impl AnalyticsStore {
    /// Runs a tenant's query: read-only, limited, and on the rows of that project and branch only.
    ///
    /// # Errors
    /// When the store refuses it or cannot be reached.
    pub async fn tenant_query(
        &self,
        query: TenantQuery<'_>,
    ) -> Result<TenantAnswer, AnalyticsError> {
        let limit = query.timeout.saturating_add(PATIENCE);
        let asking = self.ask(query);
        tokio::time::timeout(limit, asking)
            .await
            .map_err(|_| AnalyticsError::Unreachable(format!("silent for {} s", limit.as_secs())))?
    }

    async fn ask(&self, query: TenantQuery<'_>) -> Result<TenantAnswer, AnalyticsError> {
        // What cannot take a format is no query.
        let text = format!("{}\nFORMAT JSONEachRow", without_terminator(query.text));
        let mut request = self.tenant.query_raw(&text);
        for (name, value) in [
            ("query_id", query.query_id.to_owned()),
            (PROJECT_SETTING, query.project_id.to_owned()),
            (BRANCH_SETTING, query.branch_id.to_owned()),
            ("max_execution_time", seconds(query.timeout)),
            ("timeout_overflow_mode", "throw".to_owned()),
            ("max_result_rows", MAX_ROWS.to_string()),
            ("max_result_bytes", MAX_BYTES.to_string()),
            ("result_overflow_mode", "throw".to_owned()),
            ("max_memory_usage", MAX_MEMORY.to_string()),
            ("output_format_json_validate_utf8", "1".to_owned()),
            // Nothing is sent before the query is known to have succeeded.
            ("wait_end_of_query", "1".to_owned()),
            ("allow_ddl", "0".to_owned()),
            ("readonly", "1".to_owned()),
        ] {
            request = request.with_setting(name, value);
        }
        for (name, value) in query.params {
            if is_placeholder(name) {
                request = request.with_setting(format!("param_{name}"), parameter(value));
            }
        }
        let answer = limited(request.fetch_bytes("JSONEachRow")?).await?;
        let rows = answer
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(serde_json::from_slice)
            .collect::<Result<_, _>>()
            .map_err(|error| AnalyticsError::Unreadable(error.to_string()))?;
        Ok(TenantAnswer { rows })
    }
}

/// The whole answer. The store counts bytes as it keeps them, where a value that is the same in
/// all rows counts once; here they count as they are sent.
async fn limited(mut answer: BytesCursor) -> Result<Vec<u8>, AnalyticsError> {
    let mut text = Vec::new();
    while let Some(chunk) = answer.next().await? {
        if text.len() + chunk.len() > MAX_TEXT {
            return Err(AnalyticsError::Refused {
                code: TOO_MANY_ROWS_OR_BYTES,
                message: format!("Limit for result exceeded, max bytes: {MAX_TEXT} as JSON."),
            });
        }
        text.extend_from_slice(&chunk);
    }
    Ok(text)
}

/// One semicolon at the end is what many people are used to.
fn without_terminator(text: &str) -> &str {
    let text = text.trim_end();
    text.strip_suffix(';').unwrap_or(text)
}

fn seconds(timeout: Duration) -> String {
    format!("{}", timeout.as_secs_f64())
}

/// Whether a placeholder can have that name. Others bind nothing.
fn is_placeholder(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// A value in the form in which ClickHouse reads parameters: escaped, and quoted only within
/// arrays and maps.
fn parameter(value: &Value) -> String {
    match value {
        Value::Null => "\\N".to_owned(),
        Value::Bool(value) => if *value { "1" } else { "0" }.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => escaped(text),
        Value::Array(_) | Value::Object(_) => {
            let mut literal = String::new();
            write_literal(&mut literal, value);
            literal
        }
    }
}

fn write_literal(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("NULL"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => {
            let _ = write!(out, "{number}");
        }
        Value::String(text) => write_quoted(out, text),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_literal(out, item);
            }
            out.push(']');
        }
        Value::Object(entries) => {
            out.push('{');
            for (index, (key, item)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_quoted(out, key);
                out.push(':');
                write_literal(out, item);
            }
            out.push('}');
        }
    }
}

fn write_quoted(out: &mut String, text: &str) {
    out.push('\'');
    out.push_str(&escaped(text));
    out.push('\'');
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '\'' => escaped.push_str("\\'"),
            '\t' => escaped.push_str("\\t"),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\0' => escaped.push_str("\\0"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parameters_are_escaped() {
        for (value, expected) in [
            (json!("a'b\\c\nd"), "a\\'b\\\\c\\nd"),
            (json!(null), "\\N"),
            (json!(true), "1"),
            (json!(-1.5), "-1.5"),
            (json!(["it's", 1, null, [true]]), "['it\\'s',1,NULL,[true]]"),
            (json!({"k": "v"}), "{'k':'v'}"),
        ] {
            assert_eq!(parameter(&value), expected);
        }
    }

    #[test]
    fn one_terminator_is_tolerated() {
        assert_eq!(without_terminator("SELECT 1 ; \n"), "SELECT 1 ");
        assert_eq!(without_terminator("SELECT 1;;"), "SELECT 1;");
    }
}
