//! Where fetched parts are kept between runs.

use std::env::var_os;
use std::path::PathBuf;

/// `MUNIMENT_CACHE_DIR`, or the folder that the XDG base directory specification gives; a folder
/// for temporary files if there is no home.
#[must_use]
pub fn cache_folder() -> PathBuf {
    let set = |name| {
        var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("MUNIMENT_CACHE_DIR")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("muniment")))
        .or_else(|| set("HOME").map(|home| home.join(".cache").join("muniment")))
        .unwrap_or_else(|| std::env::temp_dir().join("muniment-cache"))
}
