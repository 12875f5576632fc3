//! The schema of the store. Applied migrations are recorded in the store itself.

use clickhouse::Client;
use clickhouse::sql::Identifier;

use super::{AnalyticsError, AnalyticsStore, Engine, OWNER_DATABASE, access};

/// One step of the schema. Its statements may be repeated: nodes that start at once all run them.
struct Migration {
    version: u32,
    name: &'static str,
    statements: &'static str,
}

const MIGRATIONS: [Migration; 3] = [
    Migration {
        version: 1,
        name: "tables",
        statements: include_str!("../../../migrations/clickhouse/0001_tables.sql"),
    },
    Migration {
        version: 2,
        name: "views",
        statements: include_str!("../../../migrations/clickhouse/0002_views.sql"),
    },
    Migration {
        version: 3,
        name: "payments",
        statements: include_str!("../../../migrations/clickhouse/0003_payments.sql"),
    },
];

const RECORD: &str = "CREATE TABLE IF NOT EXISTS analytics_internal.migrations \
    (version UInt32, name String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3)) \
    ENGINE = ReplacingMergeTree(applied_at) ORDER BY version";

impl AnalyticsStore {
    /// Brings the schema and the access rights up to date. Safe to run on several nodes at once.
    ///
    /// # Errors
    /// When the store cannot be reached, or the owner lacks a right.
    pub async fn migrate(&self) -> Result<(), AnalyticsError> {
        let database = self
            .owner
            .query("CREATE DATABASE IF NOT EXISTS ?")
            .bind(Identifier(OWNER_DATABASE));
        database.execute().await?;
        self.owner.query_raw(RECORD).execute().await?;
        let applied: Vec<u32> = self
            .owner
            .query_raw("SELECT version FROM analytics_internal.migrations FINAL")
            .fetch_all()
            .await?;
        for migration in MIGRATIONS
            .iter()
            .filter(|migration| !applied.contains(&migration.version))
        {
            migration.apply(&self.owner).await?;
            tracing::info!(
                version = migration.version,
                name = migration.name,
                "analytics migrated"
            );
        }
        if self.endpoint.engine == Engine::Server {
            for statement in access::statements(&self.endpoint.tenant_password) {
                self.owner.query_raw(&statement).execute().await?;
            }
        }
        Ok(())
    }
}

impl Migration {
    async fn apply(&self, owner: &Client) -> Result<(), AnalyticsError> {
        for statement in split(self.statements) {
            owner.query_raw(&statement).execute().await?;
        }
        let record = owner
            .query("INSERT INTO analytics_internal.migrations (version, name) VALUES (?, ?)")
            .bind(self.version)
            .bind(self.name);
        record.execute().await?;
        Ok(())
    }
}

/// The statements of a file, which end with a semicolon at the end of a line.
fn split(file: &str) -> Vec<String> {
    let lines: Vec<&str> = file
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"))
        .collect();
    lines
        .join("\n")
        .split(";\n")
        .map(|statement| statement.trim().trim_end_matches(';').to_owned())
        .filter(|statement| !statement.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_is_made_once() {
        let [tables, views, internal] = MIGRATIONS.map(|migration| split(migration.statements));
        assert_eq!(tables.len(), access::VIEWS.len());
        for view in access::VIEWS {
            let made = format!("CREATE OR REPLACE VIEW default.{view}\n");
            let count = views.iter().filter(|sql| sql.starts_with(&made)).count();
            assert_eq!(count, 1, "{view}");
        }
        assert_eq!(views.len(), access::VIEWS.len());
        assert!(internal.iter().all(|sql| sql.starts_with("CREATE TABLE ")));
    }
}
