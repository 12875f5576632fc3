//! The shell process between us and the server, which outlives us by the moment it takes to clean
//! up.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use tokio::process::Child;

use super::binaries::Binaries;
use super::error::{PrivatePostgresError, io_error};
use super::server_user::{ServerUser, command};
use super::{Durability, PORT};

/// The server's parent. Its descriptors: 0 is the owner's pipe, 1 the lock on a kept folder, 2 a
/// pipe by which the owner sees the server die. The server inherits the latter two, so that the
/// lock lasts exactly as long as anything of ours runs in the folder.
///
/// Signals are ignored, because only the end of the pipe says that the owner is done. They are
/// also repeated: one that arrives before the server has set up its handlers is lost.
const WATCHDOG: &str = r#"
trap '' HUP INT QUIT TERM
bin=$1 data=$2 run=$3 log=$4; shift 4
server=
: >"$log"
if [ -f "$data/PG_VERSION" ] || {
    rm -rf "$data.new" &&
    "$bin/initdb" -D "$data.new" $INITDB_OPTIONS >>"$log" 2>&1 </dev/null &&
    mv "$data.new" "$data"
}; then
    ( trap - HUP INT QUIT TERM; exec "$bin/postgres" -D "$data" "$@" 3>&1 4>&2 >>"$log" 2>&1 </dev/null ) &
    server=$!
fi
exec 2>/dev/null
cat >/dev/null
cd /
tries=0
while [ -n "$server" ] && kill -0 "$server"; do
    signal=INT
    [ $tries -ge 200 ] && signal=QUIT
    [ $tries -ge 300 ] && signal=KILL
    kill -s $signal "$server"
    tries=$((tries + 1))
    sleep 0.05 || sleep 1
done
rm -rf "$run" || { sleep 1; rm -rf "$run"; }
"#;

/// What is needed to start the watchdog.
pub(super) struct Watchdog<'a> {
    pub(super) binaries: &'a Binaries,
    /// Temporary folder with the socket, removed at the end.
    pub(super) run: &'a Path,
    /// Folder with the data and the log: `run` too, if nothing is kept.
    pub(super) home: &'a Path,
    pub(super) durability: Durability,
    pub(super) removed_at_end: bool,
}

impl Watchdog<'_> {
    pub(super) fn spawn(
        &self,
        user: Option<ServerUser>,
        lock: Option<&File>,
        log: &Path,
    ) -> Result<Child, PrivatePostgresError> {
        let lock = match lock {
            Some(file) => Stdio::from(file.try_clone().map_err(io_error("lock", self.home))?),
            None => Stdio::null(),
        };
        command("/bin/sh", user)
            .args(["-c", WATCHDOG, "muniment-postgres"])
            .arg(&self.binaries.folder)
            .arg(self.home.join("data"))
            .args([self.run, log])
            .args(self.server_options())
            .env("INITDB_OPTIONS", self.initdb_options().join(" "))
            .stdin(Stdio::piped())
            .stdout(lock)
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(io_error("run", "/bin/sh"))
    }

    /// None has a space in it: the watchdog splits them there.
    fn initdb_options(&self) -> Vec<&'static str> {
        let mut options = vec![
            "--username=postgres",
            "--encoding=UTF8",
            "--auth-local=trust",
            "--auth-host=reject",
            "--no-instructions",
        ];
        // The server syncs what it writes, but not what initdb wrote before it.
        if self.removed_at_end {
            options.push("--no-sync");
        }
        if self.binaries.major >= 17 {
            options.extend([
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
            ]);
        } else if cfg!(target_os = "macos") {
            // Only the C library knows locales here, and macOS has this one for characters.
            options.extend(["--locale=C", "--lc-ctype=UTF-8"]);
        } else {
            options.push("--locale=C.UTF-8");
        }
        options
    }

    fn server_options(&self) -> Vec<String> {
        let mut settings = vec![
            "listen_addresses=",
            "max_connections=200",
            "shared_buffers=128MB",
            "timezone=UTC",
            "log_timezone=UTC",
        ];
        settings.extend(match self.durability {
            Durability::Full => ["fsync=on", "synchronous_commit=on", "full_page_writes=on"],
            Durability::Fast => [
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
            ],
        });
        let mut options = vec![
            "-k".to_owned(),
            self.run.display().to_string(),
            "-p".to_owned(),
            PORT.to_string(),
        ];
        options.extend(settings.iter().map(|setting| format!("-c{setting}")));
        options
    }
}
