//! The name of a lease's holder.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::names::hexadecimal;

/// The file in a data directory that identifies this copy of it: its own place on the disk, and a random id. In a copy of the
/// directory the place differs, so the copy gets another id.
const FILE: &str = "holder";

/// The machine on which an engine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnginePlace {
    /// This machine. A holder from before a reboot has ended.
    Here,
    /// An unknown machine. Several machines may use the engine, and one may be a clone of another.
    Elsewhere,
}

/// A data directory on a machine. After a restart on the same directory the holder is the same, and the store's lock excludes two
/// servers on it. A copy of the directory is another holder.
#[derive(Clone, Debug)]
pub struct LeaseHolder {
    pub(super) id: String,
    pub(super) boot: String,
    place: EnginePlace,
}

impl LeaseHolder {
    /// The holder for the server of a data directory. The first call creates the file that identifies the directory.
    pub fn of(data_dir: &Path, place: EnginePlace) -> io::Result<Self> {
        let path = data_dir.join(FILE);
        if let Some(id) = read(&path)? {
            return Ok(Self::named(&id, place));
        }
        let id = Uuid::new_v4().simple().to_string();
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        writeln!(file, "{} {id}", place_on_disk(&file.metadata()?))?;
        file.sync_all()?;
        fs::File::open(data_dir)?.sync_all()?;
        Ok(Self::named(&id, place))
    }

    /// The holder for a command, which changes nothing in the data directory. If no server has started there, the command is a
    /// holder of its own.
    pub fn of_command(data_dir: &Path) -> io::Result<Self> {
        let id = read(&data_dir.join(FILE))?.unwrap_or_else(|| Uuid::new_v4().simple().to_string());
        Ok(Self::named(&id, EnginePlace::Elsewhere))
    }

    pub(super) fn named(id: &str, place: EnginePlace) -> Self {
        let machine = ["/etc/machine-id", "/var/lib/dbus/machine-id"].into_iter().find_map(|path| fs::read(path).ok());
        let mut digest = Sha256::new();
        digest.update(machine.unwrap_or_default());
        digest.update(id);
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        LeaseHolder { id: hexadecimal(&digest.finalize()[..8]), boot: hexadecimal(&Sha256::digest(boot)[..8]), place }
    }

    /// True if a lease with these labels is one that this holder left behind.
    pub(super) fn left(&self, id: &str, boot: &str) -> bool {
        id == self.id && (self.place == EnginePlace::Here || boot == self.boot)
    }
}

/// Returns the id in the file, or `None` if there is none or if the file is a copy.
fn read(path: &Path) -> io::Result<Option<String>> {
    let (text, found) = match fs::read_to_string(path).and_then(|text| Ok((text, fs::metadata(path)?))) {
        Ok(read) => read,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => return Ok(None),
        Err(error) => return Err(error),
    };
    let parts = text.trim().split_once(' ');
    Ok(parts.filter(|(place, _)| *place == place_on_disk(&found)).map(|(_, id)| id.to_owned()))
}

/// No program can choose the time at which a file was created, so a copy has another one even where it has the same number. The
/// number of the device may change with a reboot, so it serves only where there is no such time.
fn place_on_disk(found: &fs::Metadata) -> String {
    match found.created().ok().and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok()) {
        Some(created) => format!("{}:{}", found.ino(), created.as_nanos()),
        None => format!("{}:{}:unknown", found.dev(), found.ino()),
    }
}

#[cfg(test)]
mod tests {
    use super::{EnginePlace, FILE, LeaseHolder};

    #[test]
    fn a_copy_of_a_directory_is_another_holder() {
        let (original, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let holder = |directory: &tempfile::TempDir| LeaseHolder::of(directory.path(), EnginePlace::Here).unwrap();
        assert_ne!(LeaseHolder::of_command(original.path()).unwrap().id, holder(&original).id);
        let first = holder(&original);
        assert_eq!(holder(&original).id, first.id);
        assert_eq!(LeaseHolder::of_command(original.path()).unwrap().id, first.id);

        std::fs::copy(original.path().join(FILE), copy.path().join(FILE)).unwrap();
        assert_ne!(LeaseHolder::of_command(copy.path()).unwrap().id, first.id);
        let second = holder(&copy);
        assert_ne!(second.id, first.id);
        assert_eq!(holder(&copy).id, second.id);
        // Part of the file was written when the power failed.
        std::fs::write(copy.path().join(FILE), "1:2").unwrap();
        assert_ne!(holder(&copy).id, second.id);
    }

    #[test]
    fn a_clone_of_a_machine_is_another_holder_on_an_engine_elsewhere() {
        let directory = tempfile::tempdir().unwrap();
        let here = LeaseHolder::of(directory.path(), EnginePlace::Here).unwrap();
        let elsewhere = LeaseHolder::of(directory.path(), EnginePlace::Elsewhere).unwrap();
        assert!(here.left(&here.id, "another boot"));
        assert!(elsewhere.left(&here.id, &here.boot) && !elsewhere.left(&here.id, "another boot"));
    }
}
