//! A mirror on its way into a sandbox.

use std::fs::File;
use std::io;
use std::sync::Arc;

use engine::archive::{self, ArchiveBuilder};
use engine::{AGENT_GID, AGENT_UID, TarSource};
use tokio::sync::OwnedRwLockReadGuard;
use tokio::task::JoinHandle;

use super::Entry;
use super::place::{CONFIG, Place};

/// A mirror that is up to date. It does not change and stays while this, or the archive that is made of it, is there.
pub struct MirrorCopy {
    place: Place,
    bytes: u64,
    hold: Hold,
}

/// What keeps it: the lock, and the entry that everybody else finds the same lock by.
struct Hold {
    _entry: Arc<Entry>,
    _content: OwnedRwLockReadGuard<()>,
}

impl MirrorCopy {
    pub(super) fn new(place: Place, bytes: u64, entry: Arc<Entry>, content: OwnedRwLockReadGuard<()>) -> Self {
        MirrorCopy { place, bytes, hold: Hold { _entry: entry, _content: content } }
    }

    /// About what the copy will take.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// As a tar archive of a bare repository called `root`, which belongs to the agent and whose default branch is `head`, made
    /// while it is taken. Packs, and one file of refs: no hook, no configuration of anybody's. The handle tells afterwards
    /// whether it was whole.
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
        // A repository without a branch.
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

/// Not what a fetch that was cut off has left.
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
