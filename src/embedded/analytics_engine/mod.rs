//! The embedded analytics engine: ClickHouse as a library, `libchdb.so`, in a child process of our
//! own binary, which speaks the ClickHouse HTTP interface on loopback.
//!
//! In the parent: [`AnalyticsEngine`] finds the library ([`library`]), starts the child and starts
//! it again whenever it ends ([`supervisor`]). The child is [`child`].
//!
//! The parent owns the listening socket and lends it to each child, so the address never changes,
//! and requests that come while there is no child wait in the socket's queue.

pub mod child;
mod library;
mod supervisor;

use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use muniment_projections::analytics::{AnalyticsError, AnalyticsStore, Endpoint, Engine};

pub use library::LIBRARY_VARIABLE;

use crate::security::secrets::Random;
use child::OWNER;
use supervisor::{Order, Supervisor};

/// How long the first start may take: the library is large, and the disk may be cold.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// So many children that end before one answers are no coincidence.
const FAILED_STARTS: u32 = 3;

/// Why the engine does not run. Each message is one line.
#[derive(Debug, thiserror::Error)]
pub enum AnalyticsEngineError {
    /// The library is not where `LIBCHDB_PATH` says.
    #[error("{LIBRARY_VARIABLE} is {}, which is not a file", .0.display())]
    NoSuchLibrary(PathBuf),
    /// There is no library, and none can be fetched.
    #[error(
        "the analytics engine needs libchdb.so, and {0}; set {LIBRARY_VARIABLE} to one (chdb 26.5), or CLICKHOUSE_URL to a ClickHouse server"
    )]
    NoLibrary(String),
    /// The child cannot be started.
    #[error("the analytics engine cannot be started: {0}")]
    Start(#[from] io::Error),
    /// The child starts, and ends again.
    #[error("the analytics engine ends as soon as it starts; its last words: {0}")]
    EndsAtOnce(String),
    /// The child runs, but does not answer.
    #[error("the analytics engine does not answer: {0}")]
    Silent(AnalyticsError),
}

/// How long the data lives.
#[derive(Clone, Debug)]
pub enum Home {
    /// In that folder, from run to run.
    Kept(PathBuf),
    /// In a temporary folder, as long as the engine runs.
    Temporary,
}

/// A running engine. Ends when it is dropped, and when this process ends, however it ends.
pub struct AnalyticsEngine {
    store: AnalyticsStore,
    supervisor: Supervisor,
}

impl AnalyticsEngine {
    /// Starts the engine and waits until it answers. `program` is the `muniment` binary; the
    /// library is kept in `cache_dir` if it must be fetched.
    pub async fn start(
        program: &Path,
        home: Home,
        cache_dir: &Path,
    ) -> Result<Self, AnalyticsEngineError> {
        let library = library::find_or_fetch(cache_dir).await?;
        let random = Random::system();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (owner_password, tenant_password) = (random.token(), random.token());
        let store = AnalyticsStore::new(Endpoint {
            engine: Engine::Embedded,
            url: format!("http://{}", listener.local_addr()?),
            owner: OWNER.to_owned(),
            owner_password: owner_password.clone(),
            tenant_password: tenant_password.clone(),
        });
        let order = Order {
            program: program.to_owned(),
            library,
            home,
            owner_password,
            tenant_password,
        };
        let engine = Self {
            store,
            supervisor: Supervisor::start(order, listener)?,
        };
        engine.wait_until_ready().await?;
        Ok(engine)
    }

    /// What it keeps.
    #[must_use]
    pub fn store(&self) -> &AnalyticsStore {
        &self.store
    }

    /// The id of the child, if there is one at the moment.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.supervisor.process_id()
    }

    async fn wait_until_ready(&self) -> Result<(), AnalyticsEngineError> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let ping = tokio::time::timeout(Duration::from_millis(500), self.store.ping());
            let silent = match ping.await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(error)) => error,
                Err(_) => AnalyticsError::Unreachable("it is silent".to_owned()),
            };
            if self.supervisor.ended_children() >= FAILED_STARTS {
                return Err(AnalyticsEngineError::EndsAtOnce(
                    self.supervisor.last_words(),
                ));
            }
            if Instant::now() > deadline {
                return Err(AnalyticsEngineError::Silent(silent));
            }
        }
    }
}
