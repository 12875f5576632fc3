//! Unpacking the archive of an npm package into a folder that appears whole or not at all.

use std::fmt::Display;
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use tempfile::TempDir;

/// Turns a checked archive into the package's folder.
pub(super) struct ArchiveUnpacker {
    /// How the names of folders begin that are not finished yet.
    pub(super) prefix: String,
    /// Where both kinds of folders are.
    pub(super) cache_dir: PathBuf,
    /// The finished folder.
    pub(super) folder: PathBuf,
}

impl ArchiveUnpacker {
    pub(super) fn build(
        &self,
        archive: File,
        prepare: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        // Beside its destination, because only within one file system is a rename atomic.
        let partial = tempfile::Builder::new()
            .prefix(&self.prefix)
            .tempdir_in(&self.cache_dir)?;
        unpack(archive, partial.path())?;
        prepare(partial.path())?;
        self.publish(partial)
    }

    fn publish(&self, partial: TempDir) -> io::Result<()> {
        match fs::rename(partial.path(), &self.folder) {
            Ok(()) => {
                // It has moved: there is nothing left for the guard to remove.
                let _ = partial.keep();
                Ok(())
            }
            // Another process was first; what it checked is as good as ours.
            Err(_) if self.folder.is_dir() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Unpacks a gzipped tar, leaving out the first component of every path, as npm does.
///
/// Modes are set rather than inherited from the umask: the program may run as another user than
/// the one who fetched it.
fn unpack(archive: impl Read, folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    let mut archive = tar::Archive::new(GzDecoder::new(archive));
    for entry in archive.entries()? {
        let mut entry = entry?;
        // As in npm, an archive carries files only; folders follow from their paths.
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let inner: PathBuf = entry.path()?.components().skip(1).collect();
        let target = inside(folder, &inner)?;
        if let Some(parent) = inner.parent() {
            create_folders(folder, parent)?;
        }
        let executable = entry.header().mode()? & 0o111 != 0;
        let mut file = File::create(target)?;
        io::copy(&mut entry, &mut file)?;
        let mode = if executable { 0o755 } else { 0o644 };
        file.set_permissions(Permissions::from_mode(mode))?;
    }
    Ok(())
}

fn create_folders(root: &Path, inner: &Path) -> io::Result<()> {
    let mut folder = root.to_owned();
    for component in inner.components() {
        folder.push(component);
        if !folder.is_dir() {
            fs::create_dir(&folder)?;
            fs::set_permissions(&folder, Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

/// `folder` joined with a path from an archive, which must not lead out of it.
///
/// # Errors
/// `InvalidData` for an empty or absolute path, or one with `..` in it.
pub(super) fn inside(folder: &Path, inner: &Path) -> io::Result<PathBuf> {
    let plain = inner
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    if plain && !inner.as_os_str().is_empty() {
        Ok(folder.join(inner))
    } else {
        Err(invalid(format!(
            "the archive names the path {}",
            inner.display()
        )))
    }
}

fn invalid(message: impl Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.to_string())
}
