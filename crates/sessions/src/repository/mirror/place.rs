//! The place of a mirror on the disk: `FORGE/OWNER/NAME.git` below `mirrors`, in lower case, and `NAME.new` while it is
//! created.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use domain::repository::RepositoryName;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;

use super::MirrorError;

/// The configuration of the mirror and of its copies. No part of it comes from the remote.
pub(super) const CONFIG: &str = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n";

/// The file whose time is the mirror's last use.
const USED: &str = "used";

/// The interval at which the size of a mirror is measured during a fetch.
const MEASURE_EVERY: Duration = Duration::from_secs(2);

#[derive(Clone, Debug)]
pub(super) struct Place(PathBuf);

/// A mirror on the disk.
pub(super) struct Kept {
    pub(super) place: Place,
    pub(super) bytes: u64,
    pub(super) used: SystemTime,
}

impl Place {
    pub(super) fn of(root: &Path, forge: &Url, name: &RepositoryName) -> Self {
        // Repositories of another forge may have the same names.
        let forge = forge.as_str().split_once("://").map_or("", |(_, rest)| rest).trim_end_matches('/');
        let forge = utf8_percent_encode(forge, NON_ALPHANUMERIC).to_string();
        let [owner, name] = [name.owner(), name.name()].map(str::to_ascii_lowercase);
        Place(root.join(forge).join(owner).join(format!("{name}.git")))
    }

    /// The place of the mirror that replaces this one.
    pub(super) fn beside(&self) -> Place {
        Place(self.0.with_extension("new"))
    }

    pub(super) fn directory(&self) -> &Path {
        &self.0
    }

    pub(super) fn pack_directory(&self) -> PathBuf {
        self.0.join("objects/pack")
    }

    pub(super) fn exists(&self) -> bool {
        self.0.join("HEAD").is_file()
    }

    /// Runs `work` on a thread that may wait for the disk.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, MirrorError> {
        let directory = self.0.clone();
        let done = tokio::task::spawn_blocking(move || work(&directory)).await;
        let unusable = |error| MirrorError::Disk { path: self.0.clone(), source: Arc::new(error) };
        done.map_err(io::Error::other).flatten().map_err(unusable)
    }

    /// Creates a directory that only its owner can read.
    pub(super) async fn create(&self) -> Result<(), MirrorError> {
        self.on_disk(|directory| DirBuilder::new().recursive(true).mode(0o700).create(directory)).await
    }

    pub(super) async fn remove(&self) -> Result<(), MirrorError> {
        self.on_disk(remove).await
    }

    pub(super) async fn rename_to(&self, other: &Place) -> Result<(), MirrorError> {
        let other = other.0.clone();
        self.on_disk(move |directory| fs::rename(directory, other)).await
    }

    pub(super) async fn write_config(&self) -> Result<(), MirrorError> {
        self.on_disk(|directory| fs::write(directory.join("config"), CONFIG)).await
    }

    pub(super) async fn mark_used(&self) -> Result<(), MirrorError> {
        self.on_disk(|directory| fs::write(directory.join(USED), "")).await
    }

    pub(super) async fn packs(&self) -> Result<usize, MirrorError> {
        self.on_disk(|directory| {
            let files = fs::read_dir(directory.join("objects/pack"))?.collect::<io::Result<Vec<_>>>()?;
            Ok(files.iter().filter(|file| has_kind(&file.path(), "pack")).count())
        })
        .await
    }

    /// The size of all files in bytes.
    pub(super) async fn size(&self) -> Result<u64, MirrorError> {
        self.on_disk(size).await
    }

    /// Returns once the size exceeds the limit, and never before.
    pub(super) async fn grows_beyond(&self, max_bytes: u64) {
        loop {
            tokio::time::sleep(MEASURE_EVERY).await;
            if self.size().await.is_ok_and(|bytes| bytes > max_bytes) {
                return;
            }
        }
    }
}

/// All mirrors on the disk.
pub(super) async fn all(root: &Path) -> Result<Vec<Kept>, MirrorError> {
    Place(root.to_owned())
        .on_disk(|root| {
            let mut found = Vec::new();
            // The fetch itself bounds a mirror that is being created.
            for directory in repositories(root)?.into_iter().filter(|directory| has_kind(directory, "git")) {
                let used = directory.join(USED).metadata().and_then(|file| file.modified());
                let (used, bytes) = (used.unwrap_or(SystemTime::UNIX_EPOCH), size(&directory)?);
                found.push(Kept { place: Place(directory), bytes, used });
            }
            Ok(found)
        })
        .await
}

/// Removes the mirrors that the previous coordinator was creating.
pub(super) fn remove_incomplete(root: &Path) {
    for directory in repositories(root).unwrap_or_default() {
        if has_kind(&directory, "new")
            && let Err(error) = remove(&directory)
        {
            tracing::warn!(directory = %directory.display(), %error, "could not remove an incomplete mirror");
        }
    }
}

/// `FORGE/OWNER/…`.
fn repositories(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut level = vec![root.to_owned()];
    for _ in 0..3 {
        let mut next = Vec::new();
        for directory in level {
            match fs::read_dir(&directory) {
                Ok(entries) => next.extend(entries.collect::<io::Result<Vec<_>>>()?.iter().map(fs::DirEntry::path)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        level = next;
    }
    Ok(level)
}

fn has_kind(path: &Path, kind: &str) -> bool {
    path.extension().is_some_and(|extension| extension == kind)
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Files that disappear in the meantime do not count.
fn size(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        match entry.metadata() {
            Ok(found) if found.is_dir() => bytes += size(&entry.path())?,
            Ok(found) => bytes += found.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Place;

    #[test]
    fn each_forge_has_a_directory_and_names_are_without_case() {
        let place = |forge: &str, name: &str| {
            Place::of(Path::new("/m"), &forge.parse().unwrap(), &name.parse().unwrap())
                .directory()
                .display()
                .to_string()
        };
        assert_eq!(place("https://github.com", "Acme/Api.rs"), "/m/github%2Ecom/acme/api.rs.git");
        assert_eq!(place("http://127.0.0.1:3459/a/", "a/b"), "/m/127%2E0%2E0%2E1%3A3459%2Fa/a/b.git");
        assert_eq!(
            Place::of(Path::new("/m"), &"https://a.b".parse().unwrap(), &"a/b".parse().unwrap()).beside().directory(),
            Path::new("/m/a%2Eb/a/b.new")
        );
    }
}
