//! The database.

use clap::Args;

/// The Postgres database with the event log and the read models.
#[derive(Args, Clone, Debug)]
pub struct DatabaseSettings {
    /// Postgres, as `postgres://user:password@host:5432/database`.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
    /// Connections to Postgres, at most.
    #[arg(long, env = "MUNIMENT_DATABASE_CONNECTIONS", default_value_t = 20)]
    pub database_connections: u32,
}
