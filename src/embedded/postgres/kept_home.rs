//! The folder of a cluster that is kept between runs: whose it is, that one server at a time works
//! in it, and what a crash left there.

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::POLL;
use super::error::{PrivatePostgresError, io_error};
use super::server_user::{ServerUser, command, create_open_folder};

/// Where root keeps what the server's user must reach, when the asked-for folder is out of reach.
const ROOT_DATA: &str = "/var/lib/muniment";
/// The watchdog of a killed owner may need that long to stop the server we wait for.
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The folder of a kept cluster, locked against a second server. Also holds `postgres.log`, anew
/// with every start.
pub(super) struct KeptHome {
    pub(super) folder: PathBuf,
    /// `None` where the file system has no locks.
    pub(super) lock: Option<File>,
}

impl KeptHome {
    pub(super) async fn open(
        folder: PathBuf,
        user: Option<ServerUser>,
    ) -> Result<Self, PrivatePostgresError> {
        claim(&folder)?;
        let folder = match user {
            Some(user) => within_reach(folder, user).await?,
            None => folder,
        };
        fs::set_permissions(&folder, Permissions::from_mode(0o700))
            .map_err(io_error("protect", &folder))?;
        let lock = lock(&folder).await?;
        let home = Self { folder, lock };
        home.clear_stale_pid_file().await?;
        Ok(home)
    }

    /// The major version that wrote the data, if there is any. No other can read it.
    pub(super) fn major(&self) -> Option<u32> {
        let version = fs::read_to_string(self.folder.join("data/PG_VERSION")).ok()?;
        version.trim().parse().ok()
    }

    /// Postgres refuses to start when a crash of the machine left this file and its process id
    /// has since gone to any other program, as happens in every restarted container.
    async fn clear_stale_pid_file(&self) -> Result<(), PrivatePostgresError> {
        let data = self.folder.join("data");
        let file = data.join("postmaster.pid");
        let Some(pid) = fs::read_to_string(&file)
            .ok()
            .and_then(|text| text.lines().next()?.trim().parse::<u32>().ok())
        else {
            return Ok(());
        };
        match command_line(pid).await {
            Running::Yes(line) if line.contains(&*data.to_string_lossy()) => {
                Err(PrivatePostgresError::AlreadyRunning {
                    folder: self.folder.clone(),
                })
            }
            // Started by hand in this folder, or another cluster's: Postgres can tell, we cannot.
            Running::Yes(line) if line.contains("postgres") => Ok(()),
            Running::Unknown => Ok(()),
            Running::Yes(_) | Running::No => {
                fs::remove_file(&file).map_err(io_error("remove the stale", &file))
            }
        }
    }
}

/// Creates the folder, or makes sure that it is one of ours: it changes its owner and mode.
fn claim(folder: &Path) -> Result<(), PrivatePostgresError> {
    // Its data was in root's place and went with it, say because only the project was mounted.
    if folder.is_symlink() && !folder.exists() {
        fs::remove_file(folder).map_err(io_error("remove the dangling", folder))?;
    }
    fs::create_dir_all(folder).map_err(io_error("create", folder))?;
    let mut entries = fs::read_dir(folder).map_err(io_error("read", folder))?;
    if entries.next().is_none() || folder.join("lock").exists() {
        Ok(())
    } else {
        Err(PrivatePostgresError::NotOurs {
            folder: folder.to_owned(),
        })
    }
}

/// What is known about a process id.
enum Running {
    Yes(String),
    No,
    Unknown,
}

async fn command_line(pid: u32) -> Running {
    if Path::new("/proc/self/cmdline").exists() {
        return match fs::read(format!("/proc/{pid}/cmdline")) {
            Ok(line) => Running::Yes(String::from_utf8_lossy(&line).replace('\0', " ")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Running::No,
            Err(_) => Running::Unknown,
        };
    }
    let ps = command("ps", None)
        .args(["-ww", "-o", "command=", "-p", &pid.to_string()])
        .output()
        .await;
    match ps {
        Ok(output) if output.status.success() => {
            Running::Yes(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(output) if output.stderr.is_empty() => Running::No,
        _ => Running::Unknown,
    }
}

/// Takes the folder's lock, waiting a little for the watchdog of an owner that was just killed.
async fn lock(folder: &Path) -> Result<Option<File>, PrivatePostgresError> {
    let path = folder.join("lock");
    let file = File::options()
        .create(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(io_error("open", &path))?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => sleep(POLL).await,
            Err(TryLockError::WouldBlock) => {
                return Err(PrivatePostgresError::AlreadyRunning {
                    folder: folder.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, path = %path.display(), "cannot lock; go on without");
                return Ok(None);
            }
        }
    }
}

/// Gives root's folder to the server's user. Where that user cannot get to it (below `/root`,
/// usually), the folder becomes a link to one in `/var/lib/muniment`: removing the link still
/// means starting afresh.
async fn within_reach(folder: PathBuf, user: ServerUser) -> Result<PathBuf, PrivatePostgresError> {
    let folder = fs::canonicalize(&folder).map_err(io_error("find", &folder))?;
    user.given(&folder)?;
    if user.reaches(&folder).await {
        return Ok(folder);
    }
    // Fails if there is anything in it, and then it is not ours to move.
    if fs::remove_dir(&folder).is_err() {
        return Err(PrivatePostgresError::OutOfReach {
            folder,
            user: user.uid,
        });
    }
    create_open_folder(Path::new(ROOT_DATA))?;
    let home = tempfile::Builder::new()
        .prefix("postgres-")
        .tempdir_in(ROOT_DATA)
        .map_err(io_error("create a folder in", ROOT_DATA))?;
    user.given(home.path())?;
    symlink(home.path(), &folder).map_err(io_error("link", &folder))?;
    let home = home.keep();
    tracing::warn!(
        folder = %folder.display(),
        data = %home.display(),
        "the server's user cannot reach the folder; it is now a link to the data"
    );
    Ok(home)
}
