//! The copy of a mirror into a sandbox.

use std::fs::File;
use std::io;
use std::sync::Arc;

use engine::archive::{self, ArchiveBuilder};
use engine::{AGENT_GID, AGENT_UID, TarSource};
use tokio::sync::OwnedRwLockReadGuard;
use tokio::task::JoinHandle;

use super::UsedMirror;
use super::place::{CONFIG, Place};

/// An up-to-date mirror. It does not change and is not removed while this value or its archive exists.
pub struct MirrorCopy {
    place: Place,
    bytes: u64,
    hold: Hold,
}

/// The lock, and the map entry through which other callers find the same lock.
struct Hold {
    _entry: Arc<UsedMirror>,
    _content: OwnedRwLockReadGuard<()>,
}

impl MirrorCopy {
    pub(super) fn new(place: Place, bytes: u64, entry: Arc<UsedMirror>, content: OwnedRwLockReadGuard<()>) -> Self {
        MirrorCopy { place, bytes, hold: Hold { _entry: entry, _content: content } }
    }

    /// The approximate size of the copy.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// A tar archive of a bare repository in the directory `root`, owned by the agent, with `head` as its default
    /// branch. It is made while it is read, and has packs and one file of refs: no hooks, no configuration of others.
    /// The handle returns whether it is complete.
    pub fn archive(self, root: &str, head: &str) -> (TarSource, JoinHandle<io::Result<()>>) {
        let (root, head) = (root.to_owned(), format!("ref: refs/heads/{head}\n"));
        archive::stream(move |archive| {
            let _hold = self.hold;
            write(archive, &root, &head, &self.place)
        })
    }
}

fn write(archive: &mut ArchiveBuilder, root: &str, head: &str, place: &Place) -> io::Result<()> {
    for directory in ["", "/refs", "/objects", "/objects/info", "/objects/pack"] {
        append(archive, &format!("{root}{directory}/"), 0o755, 0, io::empty())?;
    }
    for (name, text) in [("HEAD", head), ("config", CONFIG)] {
        append(archive, &format!("{root}/{name}"), 0o644, text.len() as u64, text.as_bytes())?;
    }
    match File::open(place.directory().join("packed-refs")) {
        Ok(refs) => append(archive, &format!("{root}/packed-refs"), 0o644, refs.metadata()?.len(), refs)?,
        // A repository without branches.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    for entry in place.pack_directory().read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| is_of_a_pack(name)) else { continue };
        let file = File::open(entry.path())?;
        append(archive, &format!("{root}/objects/pack/{name}"), 0o444, file.metadata()?.len(), file)?;
    }
    Ok(())
}

/// Excludes the remains of a fetch that was interrupted.
fn is_of_a_pack(name: &str) -> bool {
    name.starts_with("pack-") && [".pack", ".idx", ".rev"].iter().any(|ending| name.ends_with(ending))
}

fn append(archive: &mut ArchiveBuilder, name: &str, mode: u32, size: u64, content: impl io::Read) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    if name.ends_with('/') {
        header.set_entry_type(tar::EntryType::Directory);
    }
    header.set_uid(AGENT_UID);
    header.set_gid(AGENT_GID);
    header.set_mode(mode);
    header.set_size(size);
    archive.append_data(&mut header, name, content)
}
