//! What can go wrong, each in one line for the person at the terminal.

use std::io;
use std::path::PathBuf;

use super::READY_TIMEOUT;
use super::binaries::BIN_VARIABLE;

/// Why there is no private server. Each message is one line for the person at the terminal.
#[derive(Debug, thiserror::Error)]
pub enum PrivatePostgresError {
    /// `MUNIMENT_POSTGRES_BIN` is set and does not help.
    #[error(
        "{BIN_VARIABLE} is {}, which has no postgres and initdb of version {wanted} that run here",
        folder.display()
    )]
    Override {
        /// The variable's value.
        folder: PathBuf,
        /// The versions that would do, in words.
        wanted: String,
    },
    /// Nothing is installed and nothing could be fetched.
    #[error(
        "no PostgreSQL {wanted} was found, and {reason}: install it (`apt-get install postgresql`, \
         `brew install postgresql@17`) or name its folder in {BIN_VARIABLE}"
    )]
    NoBinaries {
        /// The versions that would do, in words.
        wanted: String,
        /// Why there are no fetched ones either.
        reason: String,
    },
    /// A server of ours, or somebody's by hand, works in the kept folder.
    #[error("a Postgres is already running in {}; stop that one first", folder.display())]
    AlreadyRunning {
        /// The kept folder.
        folder: PathBuf,
    },
    /// The kept folder belongs to somebody else, and Postgres insists on owning its files.
    #[error(
        "{} belongs to the user with id {owner}; run as that user, or remove the folder to start afresh",
        folder.display()
    )]
    OtherOwner {
        /// The kept folder.
        folder: PathBuf,
        /// Who owns the data in it.
        owner: u32,
    },
    /// The kept folder is in use for something else.
    #[error("{} is neither empty nor a cluster of ours; choose another folder", folder.display())]
    NotOurs {
        /// The folder.
        folder: PathBuf,
    },
    /// We are root, which Postgres refuses to run as, and there is no user to run it as.
    #[error(
        "Postgres does not run as root, and this system has neither a user postgres nor nobody"
    )]
    NoUser,
    /// No temporary folder is fit for the server's socket.
    #[error(
        "no temporary folder is fit for a socket: its path must be short, plain and open to the server's user (set TMPDIR)"
    )]
    NoTemporaryFolder,
    /// The kept folder cannot be entered by the user the server must run as.
    #[error(
        "{} is out of reach for the user with id {user}, whom Postgres runs as because it refuses root",
        folder.display()
    )]
    OutOfReach {
        /// The kept folder.
        folder: PathBuf,
        /// The server's user.
        user: u32,
    },
    /// The server gave up while starting.
    #[error("Postgres did not start: {reason}")]
    Start {
        /// The line of its log that says why.
        reason: String,
    },
    /// The server neither came up nor gave up.
    #[error("Postgres was not ready after {} s: {reason}", READY_TIMEOUT.as_secs())]
    NotReady {
        /// The last word of its log.
        reason: String,
    },
    /// The server did not stop, or its files could not be removed.
    #[error("Postgres did not stop cleanly; look for a remaining `postgres -k {}`", folder.display())]
    Stop {
        /// Folder of the server's socket, which identifies it among processes.
        folder: PathBuf,
    },
    /// A file or a program failed us.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

pub(super) fn io_error(
    action: &'static str,
    path: impl Into<PathBuf> + Clone,
) -> impl FnOnce(io::Error) -> PrivatePostgresError {
    move |source| PrivatePostgresError::Io {
        action,
        path: path.into(),
        source,
    }
}
