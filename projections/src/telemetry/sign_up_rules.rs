//! How often sign-up rules applied.
//!
//! A table of its own, and not the log. Most triggers have no account whose stream they could be
//! on: a refused sign-up makes none, and a flood of them must neither grow the log for ever nor
//! leave the addresses of people in it who never became users. What a rule *did* to an account is
//! in the log: the restriction is part of the account's first event.
//!
//! Triggers are written outside of the sign-up's transaction, once it is decided: if that fails,
//! the sign-up goes on. `replay` and `verify` leave the table alone. Sinks may follow it by
//! `position`.

use muniment_domain::sign_up_rules::{ActionKind, AuthMethod};
use muniment_domain::{Millis, ProjectId};
use sqlx::{PgConnection, PgPool};

use muniment_event_store::LedgerError;

/// A sign-up that met the conditions of some rules.
#[derive(Clone, Debug)]
pub struct Triggering<'t> {
    /// The project.
    pub project_id: &'t ProjectId,
    /// When.
    pub at: Millis,
    /// The normalised email; empty if there is none.
    pub email: &'t str,
    /// How.
    pub auth_method: AuthMethod,
    /// The OAuth provider's id in the project's configuration; empty if there is none.
    pub oauth_provider: &'t str,
    /// The rules, and what they did.
    pub rules: Vec<(&'t str, ActionKind)>,
}

/// Keeps which rules a sign-up triggered.
///
/// # Errors
/// When the database fails.
pub async fn record(pool: &PgPool, triggering: &Triggering<'_>) -> Result<(), LedgerError> {
    let of = |part: fn(&(&str, ActionKind)) -> String| -> Vec<String> {
        triggering.rules.iter().map(part).collect()
    };
    sqlx::query!(
        "INSERT INTO sign_up_rule_triggers
             (project_id, rule_id, action, triggered_at, auth_method, oauth_provider, email)
         SELECT $1, rule.id, rule.action, $4, $5, $6, $7
         FROM unnest($2::text[], $3::text[]) AS rule (id, action)",
        triggering.project_id.as_str(),
        &of(|rule| rule.0.to_owned()),
        &of(|rule| rule.1.as_str().to_owned()),
        triggering.at.0,
        triggering.auth_method.as_str(),
        triggering.oauth_provider,
        triggering.email,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// How often a rule did something in one hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HourlyCount {
    /// The rule.
    pub rule_id: String,
    /// What it did, by its name in settings.
    pub action: String,
    /// The start of the hour, in milliseconds since the Unix epoch.
    pub hour: i64,
    /// How often.
    pub count: i64,
}

/// The counts per rule, action and UTC hour from `since` on.
///
/// # Errors
/// When the database fails.
pub async fn hourly_counts(
    pool: &PgPool,
    project: &ProjectId,
    since: Millis,
) -> Result<Vec<HourlyCount>, LedgerError> {
    let counts = sqlx::query_as!(
        HourlyCount,
        r#"SELECT rule_id, action, triggered_at / 3600000 * 3600000 AS "hour!", count(*) AS "count!"
           FROM sign_up_rule_triggers
           WHERE project_id = $1 AND triggered_at >= $2
           GROUP BY 1, 2, 3"#,
        project.as_str(),
        since.0,
    )
    .fetch_all(pool)
    .await?;
    Ok(counts)
}

/// How often each rule ever applied, by its id. Rules that never did are left out.
///
/// # Errors
/// When the database fails.
pub async fn all_time_counts(
    pool: &PgPool,
    project: &ProjectId,
) -> Result<Vec<(String, i64)>, LedgerError> {
    let rows = sqlx::query!(
        r#"SELECT rule_id, count(*) AS "count!" FROM sign_up_rule_triggers
           WHERE project_id = $1 GROUP BY rule_id"#,
        project.as_str(),
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.rule_id, row.count))
        .collect())
}

/// Forgets whose sign-ups they were, for an erased person with those addresses.
pub(crate) async fn forget_emails(
    connection: &mut PgConnection,
    project: &str,
    emails: &[String],
) -> Result<(), LedgerError> {
    sqlx::query!(
        "UPDATE sign_up_rule_triggers SET email = NULL WHERE project_id = $1 AND email = ANY($2)",
        project,
        emails,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets all of a deleted project's.
pub(crate) async fn delete_of_project(
    connection: &mut PgConnection,
    project: &str,
) -> Result<(), LedgerError> {
    sqlx::query!(
        "DELETE FROM sign_up_rule_triggers WHERE project_id = $1",
        project
    )
    .execute(connection)
    .await?;
    Ok(())
}
