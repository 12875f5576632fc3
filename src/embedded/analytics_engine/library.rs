//! `libchdb.so`: named by a variable, or fetched from the npm registry.

use std::env;
use std::path::{Path, PathBuf};

use super::AnalyticsEngineError;
use crate::embedded::registry_package::RegistryPackage;

/// Names the library that is used instead of fetching one.
pub const LIBRARY_VARIABLE: &str = "LIBCHDB_PATH";
/// The version that is fetched. The package is 166 MB, the library 560.
const VERSION: &str = "26.5.3";
const FILE: &str = "libchdb.so";

pub(super) async fn find_or_fetch(cache_dir: &Path) -> Result<PathBuf, AnalyticsEngineError> {
    if let Some(named) = env::var_os(LIBRARY_VARIABLE).filter(|named| !named.is_empty()) {
        let named = PathBuf::from(named);
        let file = if named.is_dir() {
            named.join(FILE)
        } else {
            named
        };
        return std::path::absolute(&file)
            .ok()
            .filter(|file| file.is_file())
            .ok_or(AnalyticsEngineError::NoSuchLibrary(file));
    }
    let Some(name) = package_name() else {
        let why = "none can be fetched for this platform".to_owned();
        return Err(AnalyticsEngineError::NoLibrary(why));
    };
    let package = RegistryPackage {
        name,
        version: VERSION,
    };
    let folder = package
        .fetch(cache_dir, |_| Ok(()))
        .await
        .map_err(|error| AnalyticsEngineError::NoLibrary(format!("it {error}")))?;
    let folder = std::path::absolute(folder)?;
    Ok(folder.join(FILE))
}

fn package_name() -> Option<&'static str> {
    match (env::consts::OS, env::consts::ARCH) {
        ("linux", "x86_64") => Some("@chdb/lib-linux-x64-gnu"),
        ("linux", "aarch64") => Some("@chdb/lib-linux-arm64-gnu"),
        ("macos", "aarch64") => Some("@chdb/lib-darwin-arm64"),
        ("macos", "x86_64") => Some("@chdb/lib-darwin-x64"),
        _ => None,
    }
}
