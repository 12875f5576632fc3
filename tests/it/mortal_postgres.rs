//! A Postgres that tests kill, and that comes back with the same data at the same address.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;

use muniment::embedded::cache_folder::cache_folder;
use muniment::embedded::postgres::{Lifetime, PrivatePostgres};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::processes::{children, kill};

/// The cluster. Fully durable, as in production.
pub(crate) struct MortalPostgres {
    running: Option<PrivatePostgres>,
    place: TempDir,
}

impl MortalPostgres {
    /// Starts it with an empty database of that name.
    pub(crate) async fn start(database: &str) -> Self {
        // Its user must get there, also when that is not ours.
        let place = tempfile::tempdir_in("/var/tmp").unwrap();
        fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
        let mut postgres = Self {
            running: None,
            place,
        };
        postgres.revive().await;
        let mut connection = PgConnection::connect(&postgres.url("postgres"))
            .await
            .unwrap();
        let create = format!("CREATE DATABASE {database}");
        sqlx::query(&create).execute(&mut connection).await.unwrap();
        postgres
    }

    /// The URL of a database, now and after each revival.
    pub(crate) fn url(&self, database: &str) -> String {
        let socket = self.socket();
        let socket = socket.to_str().unwrap();
        format!("postgres://postgres@localhost/{database}?host={socket}")
    }

    /// Kills its first process and all others at once, as when the machine runs out of memory.
    pub(crate) async fn kill(&mut self) {
        let file = self.home().join("data/postmaster.pid");
        let postmaster = fs::read_to_string(file).unwrap();
        let postmaster = postmaster.lines().next().unwrap().to_owned();
        let mut processes = vec![postmaster.clone()];
        processes.extend(children(&postmaster));
        kill(&processes).await;
        let postgres = self.running.take().unwrap();
        postgres.stop().await.unwrap();
    }

    /// Starts it again, if it does not run.
    pub(crate) async fn revive(&mut self) {
        if self.running.is_some() {
            return;
        }
        let (home, cache) = (Lifetime::Kept(self.home()), cache_folder());
        let postgres = PrivatePostgres::start(home, &cache).await.unwrap();
        // Each run has a folder of its own for its socket; clients know it by this name.
        let url = postgres.url("postgres");
        let (_, folder) = url.split_once("?host=").unwrap();
        let _ = fs::remove_file(self.socket());
        symlink(folder, self.socket()).unwrap();
        self.running = Some(postgres);
    }

    fn home(&self) -> PathBuf {
        self.place.path().join("postgres")
    }

    fn socket(&self) -> PathBuf {
        self.place.path().join("socket")
    }
}
