//! What a project sold.

use std::collections::BTreeMap;

use muniment_domain::ProjectId;
use sqlx::PgPool;

use super::{Daily, Window};
use crate::LedgerError;

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
        self.subscriptions.get("active").copied().unwrap_or(0)
    }
}

/// Counts everything that was ever bought.
///
/// # Errors
/// When the database fails.
pub async fn purchases(pool: &PgPool, project: &ProjectId) -> Result<Purchases, LedgerError> {
    let rows = sqlx::query!(
        r#"SELECT is_subscription, lower(purchase -> 'subscription' ->> 'status') AS status,
                  count(*) AS "count!"
           FROM purchases WHERE project_id = $1 GROUP BY 1, 2"#,
        project.as_str(),
    )
    .fetch_all(pool)
    .await?;
    let mut purchases = Purchases::default();
    for row in rows {
        match row.status.filter(|_| row.is_subscription) {
            Some(status) => *purchases.subscriptions.entry(status).or_default() += row.count,
            None => purchases.one_time += row.count,
        }
    }
    Ok(purchases)
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
        r#"SELECT created_at / 86400000 AS "day!", count(*) AS "count!" FROM purchases
           WHERE project_id = $1 AND is_subscription AND created_at >= $2 AND created_at < $3
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
