//! What a project sold.

use std::collections::BTreeMap;

use muniment_domain::ProjectId;
use sqlx::PgPool;

use super::{Daily, Window};
use muniment_event_store::LedgerError;

/// What was bought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purchases {
    /// How many subscriptions there are in each status.
    pub subscriptions: BTreeMap<String, i64>,
    /// How many purchases do not come round.
    pub one_time: i64,
}

impl Purchases {
    /// How many subscriptions are running.
    #[must_use]
    pub fn active_subscriptions(&self) -> i64 {
        let of = |status| self.subscriptions.get(status).copied().unwrap_or(0);
        of("active") + of("trialing")
    }
}

/// Counts everything that was ever bought.
///
/// # Errors
/// When the database fails.
pub async fn purchases(pool: &PgPool, project: &ProjectId) -> Result<Purchases, LedgerError> {
    let subscriptions = sqlx::query!(
        r#"SELECT status, count(*) AS "count!" FROM customer_subscriptions
           WHERE project_id = $1 GROUP BY 1"#,
        project.as_str(),
    )
    .fetch_all(pool)
    .await?;
    let one_time = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM one_time_purchases WHERE project_id = $1"#,
        project.as_str(),
    )
    .fetch_one(pool)
    .await?;
    let subscriptions = subscriptions.into_iter();
    Ok(Purchases {
        subscriptions: subscriptions.map(|row| (row.status, row.count)).collect(),
        one_time,
    })
}

/// How many subscriptions began on each day.
///
/// # Errors
/// When the database fails.
pub async fn daily_subscriptions(
    pool: &PgPool,
    project: &ProjectId,
    window: Window,
) -> Result<Daily<i64>, LedgerError> {
    let rows = sqlx::query!(
        r#"SELECT created_at / 86400000 AS "day!", count(*) AS "count!" FROM customer_subscriptions
           WHERE project_id = $1 AND created_at >= $2 AND created_at < $3
           GROUP BY 1"#,
        project.as_str(),
        window.start().0,
        window.end().0,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|row| (row.day, row.count)).collect())
}

/// What subscriptions were invoiced for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invoices {
    /// All of them.
    pub count: i64,
    /// Those that were paid.
    pub paid: i64,
    /// What was paid, in cents.
    pub revenue_cents: i64,
    /// What was paid of those that were made within the days shown, in cents.
    pub recent_revenue_cents: i64,
    /// What was paid of those of each day, in cents.
    pub daily_revenue_cents: Daily<i64>,
}

/// What became of the invoices of a project's subscriptions.
///
/// # Errors
/// When the database fails.
pub async fn invoices(
    pool: &PgPool,
    project: &ProjectId,
    window: Window,
) -> Result<Invoices, LedgerError> {
    let (start, end) = (window.start().0, window.end().0);
    let days = sqlx::query!(
        r#"SELECT CASE WHEN created_at >= $2 AND created_at < $3 THEN created_at / 86400000 END AS day,
                  count(*) AS "count!",
                  count(*) FILTER (WHERE status = 'paid') AS "paid!",
                  (coalesce(sum(amount_total) FILTER (WHERE status = 'paid'), 0))::bigint AS "cents!"
           FROM subscription_invoices WHERE project_id = $1 GROUP BY 1"#,
        project.as_str(),
        start,
        end,
    )
    .fetch_all(pool)
    .await?;
    let recent = days.iter().filter_map(|row| Some((row.day?, row.cents)));
    Ok(Invoices {
        count: days.iter().map(|row| row.count).sum(),
        paid: days.iter().map(|row| row.paid).sum(),
        revenue_cents: days.iter().map(|row| row.cents).sum(),
        recent_revenue_cents: recent.clone().map(|(_, cents)| cents).sum(),
        daily_revenue_cents: recent.collect(),
    })
}
