use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use crate::Labels;

/// The labels and files of a volume. Paths are relative to its root, which is the empty path.
#[derive(Debug, Default)]
pub(super) struct Volume {
    pub(super) labels: Labels,
    entries: BTreeMap<PathBuf, VolumeEntry>,
}

#[derive(Debug, Clone)]
struct VolumeEntry {
    header: tar::Header,
    content: Vec<u8>,
}

impl Volume {
    pub(super) fn new(labels: Labels) -> Self {
        Self { labels, entries: BTreeMap::new() }
    }

    pub(super) fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.entries.get(Path::new(path)).map(|entry| entry.content.clone())
    }

    pub(super) fn write(&mut self, path: &str, content: &[u8]) {
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_uid(crate::AGENT_UID);
        header.set_gid(crate::AGENT_GID);
        header.set_size(content.len() as u64);
        self.insert(PathBuf::from(path), VolumeEntry { header, content: content.to_vec() });
    }

    pub(super) fn is_directory(&self, path: &Path) -> bool {
        path.as_os_str().is_empty()
            || self.entries.get(path).is_some_and(|entry| entry.header.entry_type() == tar::EntryType::Directory)
    }

    /// Unpacks an archive below `directory`.
    pub(super) fn unpack(&mut self, directory: &Path, archive: &[u8]) -> io::Result<()> {
        for entry in tar::Archive::new(archive).entries()? {
            let mut entry = entry?;
            let path = directory.join(inner_path(&entry.path()?)?);
            let mut content = Vec::new();
            entry.read_to_end(&mut content)?;
            self.insert(path, VolumeEntry { header: entry.header().clone(), content });
        }
        Ok(())
    }

    /// Packs the file or directory at `path` under the name `name`. Returns `None` if nothing exists there.
    pub(super) fn pack(&self, path: &Path, name: &str) -> io::Result<Option<Vec<u8>>> {
        if !self.is_directory(path) && !self.entries.contains_key(path) {
            return Ok(None);
        }
        let mut builder = tar::Builder::new(Vec::new());
        if path.as_os_str().is_empty() {
            builder.append_data(&mut directory_header(), format!("{name}/"), io::empty())?;
        }
        for (inner, entry) in &self.entries {
            let Ok(rest) = inner.strip_prefix(path) else { continue };
            if inner.as_os_str().is_empty() {
                continue;
            }
            let at = if rest.as_os_str().is_empty() { PathBuf::from(name) } else { Path::new(name).join(rest) };
            builder.append_data(&mut entry.header.clone(), at, entry.content.as_slice())?;
        }
        builder.into_inner().map(Some)
    }

    /// Inserts an entry and its missing parent directories, as unpacking on a disk does.
    fn insert(&mut self, path: PathBuf, entry: VolumeEntry) {
        for parent in path.ancestors().skip(1) {
            let directory = VolumeEntry { header: directory_header(), content: Vec::new() };
            self.entries.entry(parent.to_owned()).or_insert(directory);
        }
        self.entries.insert(path, entry);
    }
}

fn directory_header() -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Directory);
    header.set_mode(0o755);
    header.set_uid(crate::AGENT_UID);
    header.set_gid(crate::AGENT_GID);
    header.set_size(0);
    header
}

/// Normalises a path without `.` and `/`. A path that leads outside is an error here; a real engine keeps it inside.
fn inner_path(path: &Path) -> io::Result<PathBuf> {
    let mut inner = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => inner.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
            Component::ParentDir => return Err(io::Error::other("a path of the archive leads out of it")),
        }
    }
    Ok(inner)
}
