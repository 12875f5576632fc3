//! What of a tenant's query is let through to the engine.
//!
//! The engine's own rights see to rows, tables and changes: a tenant's session is read-only and
//! may select from twelve views. What the rights of this engine do not cover is refused here:
//! functions that reach the machine, tables that tell about the server and other people's queries,
//! files to write into, statements that are no queries.
//!
//! What is looked at is the *canonical text*: the query as the engine's own parser understood it,
//! written out again by the engine, without comments, in one line. That same text is then run, so
//! the engine cannot read it otherwise than it was checked.

mod catalogue;
mod lexer;

use std::fmt::Write;

use muniment_projections::analytics::{TENANT_USER, VIEWS};

pub use catalogue::{Catalogue, Kind, Listed};
use lexer::{Token, tokens};

/// Tables of the database `system` that say nothing of other people.
const SYSTEM_TABLES: [&str; 15] = [
    "aggregate_function_combinators",
    "collations",
    "columns",
    "contributors",
    "data_type_families",
    "databases",
    "formats",
    "functions",
    "keywords",
    "licenses",
    "one",
    "settings",
    "table_functions",
    "tables",
    "time_zones",
];
/// Words before a bracket that call no function.
const KEYWORDS: [&str; 58] = [
    "ALL",
    "AND",
    "ANTI",
    "ANY",
    "APPLY",
    "ARRAY",
    "AS",
    "ASC",
    "ASOF",
    "BETWEEN",
    "BY",
    "CASE",
    "COLUMNS",
    "CUBE",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DIV",
    "ELSE",
    "EXCEPT",
    "EXISTS",
    "EXPLAIN",
    "FILTER",
    "FROM",
    "GLOBAL",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INTERSECT",
    "INTERVAL",
    "IS",
    "JOIN",
    "LIKE",
    "LIMIT",
    "MOD",
    "NOT",
    "OFFSET",
    "ON",
    "OR",
    "OVER",
    "PREWHERE",
    "QUALIFY",
    "RECURSIVE",
    "REPLACE",
    "ROLLUP",
    "SELECT",
    "SETS",
    "TABLE",
    "THEN",
    "TO",
    "TOTALS",
    "UNION",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WITH",
];
/// What `EXPLAIN` may show: how a query is understood. Not how many rows there are to read, which
/// would count those of others.
const EXPLANATIONS: [&str; 6] = ["AST", "SYNTAX", "QUERY", "TREE", "PLAN", "PIPELINE"];

/// ClickHouse's codes of what is refused.
mod code {
    pub(super) const BAD_ARGUMENTS: u32 = 36;
    pub(super) const SYNTAX_ERROR: u32 = 62;
    pub(super) const READONLY: u32 = 164;
    pub(super) const ACCESS_DENIED: u32 = 497;
    pub(super) const CANNOT_EXTRACT_TABLE_STRUCTURE: u32 = 636;
}

/// Whose rows a query sees.
#[derive(Clone, Copy, Debug)]
pub struct Tenancy<'a> {
    /// The project.
    pub project: &'a str,
    /// The branch.
    pub branch: &'a str,
}

/// Why a query is not run, as ClickHouse would say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// ClickHouse's code of the error.
    pub code: u32,
    /// What is refused.
    pub message: String,
}

impl Refusal {
    fn syntax(message: impl Into<String>) -> Self {
        Self {
            code: code::SYNTAX_ERROR,
            message: format!("Syntax error: {}", message.into()),
        }
    }

    fn denied(what: impl Into<String>) -> Self {
        Self {
            code: code::ACCESS_DENIED,
            message: format!("{TENANT_USER}: Not enough privileges: {}", what.into()),
        }
    }
}

/// Checks a canonical text and puts into it what this engine cannot say by itself. Yields the text
/// to run.
///
/// # Errors
/// When something in it is not for tenants.
pub fn approve(
    canonical: &str,
    catalogue: &Catalogue,
    tenancy: Tenancy<'_>,
) -> Result<String, Refusal> {
    let tokens = check(canonical, catalogue)?;
    if is_show_grants(&tokens) {
        return Ok(shown_grants());
    }
    let text = substitute(canonical, &tokens, tenancy);
    if text != canonical {
        // What was put in is read together with what it stands beside.
        check(&text, catalogue)?;
    }
    Ok(text)
}

/// Sees that there is nothing in a text that is not for tenants. Yields its tokens.
fn check<'a>(text: &'a str, catalogue: &Catalogue) -> Result<Vec<Token<'a>>, Refusal> {
    let tokens = tokens(text).map_err(Refusal::syntax)?;
    check_kind(&tokens)?;
    for at in 0..tokens.len() {
        check_words(&tokens[at..])?;
        // Within a path, such as `data.system.name`, it is a column.
        if at == 0 || !tokens[at - 1].is_punctuation('.') {
            check_table(&tokens[at..])?;
        }
        check_function(&tokens, at, catalogue)?;
        check_placeholder(&tokens[at..])?;
    }
    Ok(tokens)
}

/// Only queries, and what describes them.
fn check_kind(tokens: &[Token<'_>]) -> Result<(), Refusal> {
    let denied = || Err(Refusal::denied("only queries may be run"));
    let Some(first) = tokens.first() else {
        return Err(Refusal::syntax("the query is empty"));
    };
    if first.is_punctuation('(') || first.is_word("SELECT") || first.is_word("WITH") {
        return Ok(());
    }
    let rest = &tokens[1..];
    if first.is_word("SHOW") {
        let allowed = rest.first().is_some_and(|second| second.is_word("TABLES"));
        return if allowed || is_show_grants(tokens) {
            Ok(())
        } else {
            denied()
        };
    }
    if first.is_word("DESCRIBE") || first.is_word("DESC") {
        return Ok(());
    }
    if first.is_word("EXPLAIN") {
        let explained = rest
            .iter()
            .position(|token| !EXPLANATIONS.iter().any(|word| token.is_word(word)));
        let is_query = explained.is_some_and(|at| {
            let token = &rest[at];
            token.is_punctuation('(') || token.is_word("SELECT") || token.is_word("WITH")
        });
        return if is_query { Ok(()) } else { denied() };
    }
    denied()
}

fn is_show_grants(tokens: &[Token<'_>]) -> bool {
    let words = ["SHOW", "GRANTS", "FORMAT"];
    tokens.len() == words.len() + 1
        && words
            .iter()
            .zip(tokens)
            .all(|(word, token)| token.is_word(word))
}

/// What `limited_user` of a server is told.
fn shown_grants() -> String {
    let grants = VIEWS.map(|view| format!("'GRANT SELECT ON default.{view} TO {TENANT_USER}'"));
    format!(
        "SELECT arrayJoin([{}]) AS GRANTS FORMAT JSONEachRow",
        grants.join(", ")
    )
}

/// Writing into files, several statements in one, and settings, in whatever part of the query.
fn check_words(tokens: &[Token<'_>]) -> Result<(), Refusal> {
    let [first, second, rest @ ..] = tokens else {
        return Ok(());
    };
    let is_assigned = rest.first().is_some_and(|third| third.is_punctuation('='));
    if first.is_word("SETTINGS") && is_assigned {
        let setting = second.name().unwrap_or_default();
        return Err(Refusal {
            code: code::READONLY,
            message: format!("Cannot modify '{setting}' setting in readonly mode."),
        });
    }
    if first.is_word("INTO") && second.is_word("OUTFILE") {
        return Err(Refusal::denied("INTO OUTFILE writes a file"));
    }
    if first.is_word("PARALLEL") && second.is_word("WITH") {
        return Err(Refusal::syntax("several statements are not allowed"));
    }
    Ok(())
}

/// Tables that tell about the server.
fn check_table(tokens: &[Token<'_>]) -> Result<(), Refusal> {
    let Some(name) = tokens[0].name() else {
        return Ok(());
    };
    let lower = name.to_ascii_lowercase();
    // A quoted name with a dot in it: nothing of ours is called so.
    if lower.contains("system.") || lower.contains("information_schema.") {
        return Err(Refusal::denied(name));
    }
    let is_qualifier = tokens.get(1).is_some_and(|next| next.is_punctuation('.'));
    if !is_qualifier {
        return Ok(());
    }
    if lower == "information_schema" {
        return Err(Refusal::denied(name));
    }
    if lower != "system" {
        return Ok(());
    }
    let table = tokens.get(2).and_then(Token::name);
    let is_open = table
        .as_deref()
        .is_some_and(|table| SYSTEM_TABLES.contains(&table));
    if is_open {
        Ok(())
    } else {
        let table = table.unwrap_or_default();
        Err(Refusal::denied(format!("SELECT ON {lower}.{table}")))
    }
}

/// Functions that reach the machine, whether they are called or applied to columns.
fn check_function(tokens: &[Token<'_>], at: usize, catalogue: &Catalogue) -> Result<(), Refusal> {
    let Some(name) = tokens[at].name() else {
        return Ok(());
    };
    let is_called = tokens
        .get(at + 1)
        .is_some_and(|next| next.is_punctuation('('));
    let is_keyword = KEYWORDS.iter().any(|word| tokens[at].is_word(word));
    let is_function = (is_called && !is_keyword) || is_applied(tokens, at);
    let is_allowed = if is_function {
        catalogue.allows(&name)
    } else {
        is_qualified_or_alias(tokens, at) || catalogue.allows_bare(&name)
    };
    if is_allowed {
        return Ok(());
    }
    if name.eq_ignore_ascii_case("merge") {
        return Err(Refusal {
            code: code::CANNOT_EXTRACT_TABLE_STRUCTURE,
            message: "The table function merge finds no table whose structure may be read. \
                      Name the tables, and join them with UNION ALL."
                .to_owned(),
        });
    }
    Err(Refusal::denied(format!("the function {name}")))
}

/// `data.name`, `name.id`, `1 AS name`: no function, whatever it is called.
fn is_qualified_or_alias(tokens: &[Token<'_>], at: usize) -> bool {
    let before = at.checked_sub(1).map(|before| &tokens[before]);
    before.is_some_and(|token| token.is_punctuation('.') || token.is_word("AS"))
        || tokens
            .get(at + 1)
            .is_some_and(|next| next.is_punctuation('.'))
}

/// `* APPLY name`, `* APPLY(name)`
fn is_applied(tokens: &[Token<'_>], at: usize) -> bool {
    let before = |distance| at.checked_sub(distance).map(|at| &tokens[at]);
    let is_apply = |token: Option<&Token<'_>>| token.is_some_and(|token| token.is_word("APPLY"));
    is_apply(before(1))
        || before(1).is_some_and(|token| token.is_punctuation('(')) && is_apply(before(2))
}

/// `{name:Type}`. Identifiers would come after the check.
fn check_placeholder(tokens: &[Token<'_>]) -> Result<(), Refusal> {
    if !tokens[0].is_punctuation('{') {
        return Ok(());
    }
    let until_end = tokens.iter().take_while(|token| !token.is_punctuation('}'));
    let mut names = until_end.filter_map(Token::name);
    if names.any(|name| name.eq_ignore_ascii_case("Identifier")) {
        return Err(Refusal {
            code: code::BAD_ARGUMENTS,
            message: "Parameters are values; one of type Identifier cannot be used.".to_owned(),
        });
    }
    Ok(())
}

/// A call that the engine would answer otherwise than a server does, and what stands for it.
fn substitute(canonical: &str, tokens: &[Token<'_>], tenancy: Tenancy<'_>) -> String {
    let mut text = String::with_capacity(canonical.len());
    let mut copied = 0;
    for at in 0..tokens.len() {
        let Some((value, length)) = stand_in(&tokens[at..], tenancy) else {
            continue;
        };
        let (start, end) = (tokens[at].start, tokens[at + length - 1].end);
        let call = &canonical[start..end];
        text.push_str(&canonical[copied..start]);
        // The alias keeps the column's name; one that the query gives wins over it.
        let _ = write!(
            text,
            "({value} AS `{}`)",
            call.replace('\\', "\\\\").replace('`', "\\`")
        );
        copied = end;
    }
    text.push_str(&canonical[copied..]);
    text
}

/// The value of the call that the tokens begin with, and how many of them it has.
fn stand_in(tokens: &[Token<'_>], tenancy: Tenancy<'_>) -> Option<(String, usize)> {
    let [name, open, rest @ ..] = tokens else {
        return None;
    };
    if !open.is_punctuation('(') {
        return None;
    }
    let name = name.name()?.to_ascii_lowercase();
    let is_call_without_arguments = rest.first()?.is_punctuation(')');
    match name.as_str() {
        "currentuser" | "current_user" | "user" if is_call_without_arguments => {
            Some((quoted(TENANT_USER), 3))
        }
        "currentroles" | "enabledroles" | "defaultroles" if is_call_without_arguments => {
            Some(("CAST([], 'Array(String)')".to_owned(), 3))
        }
        "getsetting" if rest.get(1)?.is_punctuation(')') => match rest.first()?.literal()?.as_str()
        {
            "SQL_project_id" => Some((quoted(tenancy.project), 4)),
            "SQL_branch_id" => Some((quoted(tenancy.branch), 4)),
            _ => None,
        },
        _ => None,
    }
}

/// A string literal.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

#[cfg(test)]
mod tests;
