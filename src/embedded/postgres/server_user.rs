//! Whom the server runs as, what that user can reach, and commands in that user's name. Postgres
//! refuses root, which is whom a container and many a CI run as.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::Command;

use super::error::{PrivatePostgresError, io_error};

/// `sockaddr_un` holds 104 bytes on macOS, 108 on Linux.
const LONGEST_SOCKET_PATH: usize = 100;

/// Whom the server runs as when we are root.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServerUser {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl ServerUser {
    /// Looks a user up by name. The program `id` knows all directories of users, not just the
    /// file.
    async fn named(name: &str) -> Option<Self> {
        let uid = id("-u", name).await?;
        let gid = id("-g", name).await?;
        Some(Self { uid, gid })
    }

    /// Makes the user own this folder.
    pub(super) fn given(self, folder: &Path) -> Result<(), PrivatePostgresError> {
        chown(folder, Some(self.uid), Some(self.gid))
            .map_err(io_error("change the owner of", folder))
    }

    /// Whether the user can enter this folder. Tried, because rules beyond the mode bits count.
    pub(super) async fn reaches(self, folder: &Path) -> bool {
        command("/bin/sh", Some(self))
            .args(["-c", "cd \"$1\"", "sh"])
            .arg(folder)
            .stderr(Stdio::null())
            .status()
            .await
            .is_ok_and(|status| status.success())
    }
}

async fn id(what: &str, name: &str) -> Option<u32> {
    let output = command("id", None).args([what, name]).output().await.ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Whom to run the server as; `None` is ourselves.
pub(super) async fn server_user(
    kept: Option<&Path>,
) -> Result<Option<ServerUser>, PrivatePostgresError> {
    // A file of ours says who we are without a call that std does not have.
    let own = tempfile::tempfile()
        .and_then(|file| file.metadata())
        .map_err(io_error("create a file in", env::temp_dir()))?
        .uid();
    let data = kept.map(|folder| (folder, fs::metadata(folder.join("data"))));
    match data {
        // Root can stay with whoever wrote the data; everybody else must be it.
        Some((_, Ok(data))) if own == 0 => Ok(Some(ServerUser {
            uid: data.uid(),
            gid: data.gid(),
        })),
        Some((folder, Ok(data))) if data.uid() != own => Err(PrivatePostgresError::OtherOwner {
            folder: folder.to_owned(),
            owner: data.uid(),
        }),
        Some((folder, Err(error))) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(io_error("enter", folder)(error))
        }
        _ if own != 0 => Ok(None),
        _ => match ServerUser::named("postgres").await {
            Some(user) => Ok(Some(user)),
            None => ServerUser::named("nobody")
                .await
                .map(Some)
                .ok_or(PrivatePostgresError::NoUser),
        },
    }
}

/// A new temporary folder for the socket, owned by the server's user.
pub(super) async fn run_folder(user: Option<ServerUser>) -> Result<TempDir, PrivatePostgresError> {
    let candidates = [env::temp_dir(), "/tmp".into(), "/var/tmp".into()];
    for base in &candidates {
        let Ok(run) = tempfile::Builder::new()
            .prefix("muniment-postgres-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(base)
        else {
            continue;
        };
        if !fits_socket(run.path()) {
            continue;
        }
        let Some(user) = user else {
            return Ok(run);
        };
        user.given(run.path())?;
        if user.reaches(run.path()).await {
            return Ok(run);
        }
    }
    Err(PrivatePostgresError::NoTemporaryFolder)
}

/// Postgres takes a list of socket folders, in which commas and quotes mean something.
fn fits_socket(folder: &Path) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/-_.+".contains(byte);
    let path = folder.as_os_str().as_bytes();
    let name = "/.s.PGSQL.5432".len();
    folder.is_absolute() && path.iter().all(plain) && path.len() + name <= LONGEST_SOCKET_PATH
}

/// A command that runs as the server's user, wherever we are and whatever is set for us: clients'
/// `PG...` variables would change the server too, and locales may not exist here.
pub(super) fn command(program: impl AsRef<OsStr>, user: Option<ServerUser>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("PG") || text.starts_with("LC_") || text.starts_with("LANG") {
            command.env_remove(&name);
        }
    }
    command
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .current_dir("/");
    if let Some(user) = user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// Creates a folder of root's that others may enter, whatever the umask.
pub(super) fn create_open_folder(folder: &Path) -> Result<(), PrivatePostgresError> {
    fs::create_dir_all(folder).map_err(io_error("create", folder))?;
    fs::set_permissions(folder, Permissions::from_mode(0o755)).map_err(io_error("open up", folder))
}
