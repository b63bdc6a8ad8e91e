//! Fetches Claude Code's npm package and checks its hash.

use std::fs::{self, File};
use std::io::{self, Seek as _};
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use network_access::NetworkAccess;
use sha2::{Digest as _, Sha512};

use super::versions::Package;
use super::{ImageError, npm};

/// Opens the package's archive. It comes from `cache` if it is there and intact; else `fetching` is called, and npm
/// fetches it.
pub(super) async fn fetch(
    package: &Package,
    cache: &Path,
    network: &NetworkAccess,
    fetching: impl FnOnce(),
) -> Result<File, ImageError> {
    let kept = cache.join(package.file_name());
    if kept.exists() {
        match open_checked(&kept, package).await {
            // The cached file is damaged; it is fetched again below.
            Err(ImageError::Integrity { .. }) => {}
            outcome => return outcome,
        }
    }
    fetching();
    let failed = |source| ImageError::Read { path: cache.to_owned(), source };
    fs::create_dir_all(cache).map_err(failed)?;
    // Download next to the final place, so that the rename is atomic.
    let directory = tempfile::tempdir_in(cache).map_err(failed)?;
    let fetched = npm::pack(package, directory.path(), network).await?;
    let file = open_checked(&fetched, package).await?;
    fs::rename(&fetched, &kept).map_err(failed)?;
    Ok(file)
}

/// Checks that an archive has the package's hash, and opens it at its beginning.
pub(super) async fn open_checked(path: &Path, package: &Package) -> Result<File, ImageError> {
    let path = path.to_owned();
    let package = package.clone();
    let checked = tokio::task::spawn_blocking(move || check(path, &package)).await;
    checked.map_err(|error| ImageError::Context(io::Error::other(error)))?
}

fn check(path: PathBuf, package: &Package) -> Result<File, ImageError> {
    let hash_file = || -> io::Result<(File, String)> {
        let mut file = File::open(&path)?;
        let mut hash = Sha512::new();
        io::copy(&mut file, &mut HashWriter(&mut hash))?;
        file.rewind()?;
        Ok((file, format!("sha512-{}", BASE64_STANDARD.encode(hash.finalize()))))
    };
    let (file, found) = match hash_file() {
        Ok(hashed) => hashed,
        Err(source) => return Err(ImageError::Read { path, source }),
    };
    if found != package.integrity {
        let expected = package.integrity.clone();
        return Err(ImageError::Integrity { path, package: package.to_string(), expected, found });
    }
    Ok(file)
}

struct HashWriter<'a>(&'a mut Sha512);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
