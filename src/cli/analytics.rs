//! The analytics store of a role: a ClickHouse server, the embedded engine, or none.

use std::path::Path;
use std::time::Duration;

use muniment_projections::analytics::{AnalyticsError, AnalyticsStore};

use super::Failure;
use crate::config::AnalyticsSettings;
use crate::embedded::analytics_engine::{AnalyticsEngine, AnalyticsEngineError, Home};
use crate::embedded::cache_folder::cache_folder;
use crate::security::secrets::ServerSecret;

/// How often a server that was not there is looked for.
const RETRY: Duration = Duration::from_secs(5);

/// The ClickHouse server that the settings name, with its schema up to date. One that does not
/// answer is no reason not to serve: its schema is seen to when it does.
pub(super) async fn server(
    settings: &AnalyticsSettings,
    secret: &ServerSecret,
) -> Result<Option<AnalyticsStore>, Failure> {
    let Some(endpoint) = settings.server(secret)? else {
        return Ok(None);
    };
    let store = AnalyticsStore::new(endpoint);
    match store.migrate().await {
        Ok(()) => {}
        Err(error @ AnalyticsError::Unreachable(_)) => {
            tracing::error!(%error, "serving without analytics until it answers");
            tokio::spawn(keep_migrating(store.clone()));
        }
        Err(error) => return Err(format!("CLICKHOUSE_URL: {error}").into()),
    }
    Ok(Some(store))
}

async fn keep_migrating(store: AnalyticsStore) {
    loop {
        tokio::time::sleep(RETRY).await;
        match store.migrate().await {
            Ok(()) => return tracing::info!("the analytics store answers"),
            Err(error) => tracing::warn!(%error, "no analytics yet"),
        }
    }
}

/// The embedded engine, with its data under `dir`. What it lacks is said, and no reason not to
/// serve.
pub(super) async fn embedded(dir: &Path) -> Result<Option<AnalyticsEngine>, Failure> {
    let program = std::env::current_exe()?;
    let home = Home::Kept(dir.join("analytics"));
    let engine = match AnalyticsEngine::start(&program, home, &cache_folder()).await {
        Ok(engine) => engine,
        // Somebody meant something by it.
        Err(error @ AnalyticsEngineError::NoSuchLibrary(_)) => return Err(error.into()),
        Err(error) => {
            tracing::warn!("serving without analytics: {error}");
            return Ok(None);
        }
    };
    engine.store().migrate().await?;
    Ok(Some(engine))
}
