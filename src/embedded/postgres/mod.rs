//! A Postgres server of our own, for `muniment dev` and for tests: found or fetched, started in a
//! folder of its own, and gone when its owner is gone.
//!
//! ```text
//! owner (this process) --stdin pipe--> watchdog (sh, own process group) --> postgres
//! ```
//!
//! The watchdog is the server's parent and reads a pipe whose other end only the owner holds. The
//! pipe ends when the owner lets go of it in any way: [`PrivatePostgres::stop`], a drop, a panic,
//! `kill -9`. Then the watchdog stops the server and removes what was temporary. A process group
//! of its own keeps both out of reach of the terminal's Ctrl-C, so that the owner can finish its
//! last transactions first.
//!
//! The server listens on a Unix socket only, in a folder that only its user may enter. So there is
//! no port to collide on, and trusting every connection trusts nobody else on this machine.
//!
//! The crate `postgresql_embedded` (0.22) does not replace this. It runs `initdb` and `pg_ctl` as
//! its own user, which Postgres refuses to root; it searches for no installed server, and fetches
//! one from GitHub or Maven Central. It always starts the server without fsync (`-F`) and on TCP,
//! and leaves it running when the owner is killed.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};

pub use self::binaries::BIN_VARIABLE;
use self::binaries::Binaries;
pub use self::error::PrivatePostgresError;
use self::error::io_error;
use self::kept_home::KeptHome;
use self::server_user::{run_folder, server_user};
use self::watchdog::Watchdog;

mod binaries;
mod error;
mod kept_home;
mod server_user;
mod watchdog;

/// Part of the socket's file name; nothing listens on this port.
const PORT: u16 = 5432;
/// Long, because recovery after a crash of the machine comes first. A server that gives up is
/// noticed at once.
const READY_TIMEOUT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(10);
/// More than the watchdog needs to go from a fast stop to SIGKILL.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// Where the cluster's files live and what happens to them at the end.
#[derive(Debug, Clone)]
pub enum Lifetime {
    /// In a temporary folder, removed at the end, also after a crash of this process.
    Ephemeral(Durability),
    /// In this folder between runs, e.g. `.muniment/postgres`; created if it is missing, and
    /// always fully durable.
    Kept(PathBuf),
}

/// What an acknowledged commit survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A crash of the machine: Postgres as it is in production. For benchmarks.
    Full,
    /// A crash of our own processes, but not of Postgres or of the machine. For tests.
    Fast,
}

/// A running private server. Dropping it stops the server too, a moment later and without a word.
#[derive(Debug)]
#[must_use = "the server stops when this is dropped"]
pub struct PrivatePostgres {
    /// Its stdin is the pipe whose end stops the server.
    watchdog: Child,
    binaries: Binaries,
    socket_folder: PathBuf,
}

impl PrivatePostgres {
    /// Starts a server and returns when it takes connections: about a second for a new cluster, a
    /// tenth for a kept one. It has the superuser and the database `postgres`, and takes up to 200
    /// connections.
    ///
    /// Where no Postgres is installed, one of some 25 MB is fetched into `cache_dir`, once.
    ///
    /// # Errors
    /// See [`PrivatePostgresError`]. After an error nothing is left running, nor any temporary
    /// file.
    pub async fn start(lifetime: Lifetime, cache_dir: &Path) -> Result<Self, PrivatePostgresError> {
        let started = Instant::now();
        let (kept, durability) = match lifetime {
            Lifetime::Ephemeral(durability) => (None, durability),
            Lifetime::Kept(folder) => {
                let folder = std::path::absolute(&folder).map_err(io_error("find", &folder))?;
                (Some(folder), Durability::Full)
            }
        };

        let user = server_user(kept.as_deref()).await?;
        let home = match kept {
            Some(folder) => Some(KeptHome::open(folder, user).await?),
            None => None,
        };
        let major = home.as_ref().and_then(KeptHome::major);
        let binaries = Binaries::find_or_fetch(cache_dir, user, major).await?;
        let run = run_folder(user).await?;

        let watchdog = Watchdog {
            binaries: &binaries,
            run: run.path(),
            home: home.as_ref().map_or(run.path(), |home| &home.folder),
            durability,
            removed_at_end: home.is_none(),
        };
        let log = watchdog.home.join("postgres.log");
        let lock = home.as_ref().and_then(|home| home.lock.as_ref());
        let watchdog = watchdog.spawn(user, lock, &log)?;
        // From here on the watchdog removes it.
        let socket_folder = run.keep();

        let mut postgres = Self {
            watchdog,
            binaries,
            socket_folder,
        };
        match postgres.wait_until_ready(&log).await {
            Ok(()) => {
                tracing::debug!(elapsed = ?started.elapsed(), url = postgres.url("postgres"), "Postgres is ready");
                Ok(postgres)
            }
            Err(error) => {
                if let Err(stop) = postgres.stop().await {
                    tracing::warn!(%stop, "after a failed start");
                }
                Err(error)
            }
        }
    }

    /// Connection URL for a database of this cluster, there or not, for sqlx and for anything that
    /// is built on libpq. Only this process's user, and root, can connect.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres@localhost/{}?host={}",
            percent_encoded(database.as_bytes(), b""),
            percent_encoded(self.socket_folder.as_os_str().as_bytes(), b"/"),
        )
    }

    /// Folder of the programs that run this server. An installed Postgres has `psql` and `pgbench`
    /// there too; the fetched one has neither.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        &self.binaries.folder
    }

    /// Stops the server, ending open connections, and returns when it is gone and an ephemeral
    /// cluster is removed.
    ///
    /// # Errors
    /// [`PrivatePostgresError::Stop`] if the server outlives every signal, or files remain.
    pub async fn stop(mut self) -> Result<(), PrivatePostgresError> {
        drop(self.watchdog.stdin.take());
        match timeout(STOP_TIMEOUT, self.watchdog.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            _ => Err(PrivatePostgresError::Stop {
                folder: self.socket_folder,
            }),
        }
    }

    async fn wait_until_ready(&mut self, log: &Path) -> Result<(), PrivatePostgresError> {
        let socket = self.socket_folder.join(format!(".s.PGSQL.{PORT}"));
        let Some(mut alive) = self.watchdog.stderr.take() else {
            return Err(PrivatePostgresError::Start {
                reason: "its watchdog has no pipe".to_owned(),
            });
        };
        let mut complaints = String::new();
        tokio::select! {
            () = answers(&socket) => return Ok(()),
            // Ends when neither the watchdog nor the server holds the other end any more.
            _ = alive.read_to_string(&mut complaints) => {}
            () = sleep(READY_TIMEOUT) => {
                return Err(PrivatePostgresError::NotReady { reason: last_word(log) });
            }
        }
        let reason = match complaints.trim() {
            "" => last_word(log),
            complaint => complaint.replace('\n', "; "),
        };
        Err(PrivatePostgresError::Start { reason })
    }
}

/// Returns when a server lets us in at this socket.
async fn answers(socket: &Path) {
    while !let_in(socket).await.unwrap_or(false) {
        sleep(POLL).await;
    }
}

/// Begins a session as any client does. Accepting the connection is not enough: a server that is
/// still starting does that too, and then answers with an error.
async fn let_in(socket: &Path) -> io::Result<bool> {
    // Length, protocol 3.0, then names and values.
    const BEGIN: &[u8] = b"\0\0\0\x29\0\x03\0\0user\0postgres\0database\0postgres\0\0";
    const AUTHENTICATION: u8 = b'R';
    const TERMINATE: &[u8] = b"X\0\0\0\x04";

    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(BEGIN).await?;
    let let_in = stream.read_u8().await? == AUTHENTICATION;
    stream.write_all(TERMINATE).await?;
    Ok(let_in)
}

/// The line of a server's log that says why it gave up.
fn last_word(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let telling = ["FATAL:", "PANIC:", "error:"];
    text.lines()
        .rev()
        .find(|line| telling.iter().any(|word| line.contains(word)))
        .or_else(|| text.lines().rev().find(|line| !line.trim().is_empty()))
        .map_or_else(
            || format!("{} is empty", log.display()),
            |line| line.trim().to_owned(),
        )
}

fn percent_encoded(bytes: &[u8], also_plain: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) || also_plain.contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
