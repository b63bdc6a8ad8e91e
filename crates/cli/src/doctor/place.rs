//! Directories that may not exist yet, and temporary directories in them.

use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The state of a path that should be a directory.
pub(super) enum Found {
    Nothing,
    Directory {
        uid: u32,
        /// The permission bits.
        mode: u32,
    },
    SomethingElse,
}

pub(super) fn find(path: &Path) -> io::Result<Found> {
    match path.metadata() {
        Ok(metadata) if metadata.is_dir() => {
            Ok(Found::Directory { uid: metadata.uid(), mode: metadata.permissions().mode() & 0o777 })
        }
        Ok(_) => Ok(Found::SomethingElse),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(error),
    }
}

/// Creates a temporary directory in `path`, or where `path` would be created. Dropping it removes its content. Its name has a dot,
/// so that a server that cleans RUNTIME_DIR does not mistake it for a sandbox's directory.
pub(super) fn scratch(path: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new().prefix(".doctor-").tempdir_in(nearest(path)?)
}

/// `path`, or the nearest directory above it that exists.
pub(super) fn nearest(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    // `/` always exists.
    Ok(path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned())
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_try_leaves_nothing_and_makes_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let wanted = base.path().join("not/yet");
        let scratch = super::scratch(&wanted).unwrap();
        assert_eq!(scratch.path().parent(), Some(base.path()));
        drop(scratch);
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 0);
    }
}
