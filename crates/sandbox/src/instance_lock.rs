//! The lock of an installation on a machine. A copy of a data directory has the same installation's name, so a server on the copy
//! would treat the original's containers and volumes as its own. Two locks prevent it from starting: a file in RUNTIME_DIR, which
//! servers in different containers share, and a socket without a file, which servers with different RUNTIME_DIRs share. The kernel
//! releases both when the process ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::Instance;

/// The file in RUNTIME_DIR. It contains the process id of its holder.
const FILE: &str = "lock";

#[derive(Debug, thiserror::Error)]
pub enum InstanceLockError {
    #[error(
        "another server of this installation runs on this machine, and this DATA_DIR is its own or a copy of its own: stop that \
         server first; or, for a second server with the same records, make a new installation of a backup with \
         `claude-runner restore BACKUP --as-new` in a DATA_DIR of its own"
    )]
    Running,
    #[error(
        "another server (pid {pid}) uses RUNTIME_DIR {}: if this DATA_DIR is a copy of that server's, stop that server first, or \
         make a new installation of a backup with `claude-runner restore BACKUP --as-new` in a DATA_DIR of its own; a server of \
         another installation needs a RUNTIME_DIR of its own", path.display()
    )]
    Occupied { path: PathBuf, pid: String },
    #[error("RUNTIME_DIR {} cannot be used", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("could not lock the installation on this machine")]
    Socket(#[source] io::Error),
}

/// The lock lasts as long as this value.
#[derive(Debug)]
pub struct InstanceLock {
    path: PathBuf,
    _file: File,
    _machine: MachineLock,
}

/// The socket alone, for commands: no server of the installation starts in this network namespace while the value exists.
#[derive(Debug)]
pub struct MachineLock {
    _socket: socket::Held,
}

impl MachineLock {
    pub fn acquire(instance: &Instance) -> Result<Self, InstanceLockError> {
        Ok(MachineLock { _socket: socket::hold(instance)? })
    }
}

impl InstanceLock {
    /// Creates RUNTIME_DIR if it is missing, and takes the locks.
    pub fn acquire(runtime_dir: &Path, instance: &Instance) -> Result<Self, InstanceLockError> {
        let machine = MachineLock::acquire(instance)?;
        let path = runtime_dir.join(FILE);
        let failed = |source| InstanceLockError::File { path: runtime_dir.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(runtime_dir).map_err(failed)?;
        loop {
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
            let mut file = file.map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let mut pid = String::new();
                    // The number only improves the message.
                    let _ = file.read_to_string(&mut pid);
                    return Err(InstanceLockError::Occupied {
                        path: runtime_dir.to_owned(),
                        pid: pid.trim().to_owned(),
                    });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            // A server that has just ended may have removed the file between the open and the lock.
            let own = file.metadata().map_err(failed)?.ino();
            if fs::metadata(&path).is_ok_and(|found| found.ino() == own) {
                file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
                return Ok(InstanceLock { path, _file: file, _machine: machine });
            }
        }
    }

    /// Removes the file and releases the locks, so that an empty RUNTIME_DIR can be removed.
    pub fn release(self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// An abstract Unix socket: its name belongs to one process at a time, whatever its user and its directories.
#[cfg(target_os = "linux")]
mod socket {
    use std::io;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener};

    use super::{Instance, InstanceLockError};

    pub(super) type Held = UnixListener;

    pub(super) fn hold(instance: &Instance) -> Result<Held, InstanceLockError> {
        let name = format!("claude-runner/{}", instance.as_str());
        let address = SocketAddr::from_abstract_name(name).map_err(InstanceLockError::Socket)?;
        UnixListener::bind_addr(&address).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => InstanceLockError::Running,
            _ => InstanceLockError::Socket(error),
        })
    }
}

/// Other systems have no such sockets, and their sandboxes run in a virtual machine.
#[cfg(not(target_os = "linux"))]
mod socket {
    use super::{Instance, InstanceLockError};

    pub(super) type Held = ();

    pub(super) fn hold(_: &Instance) -> Result<Held, InstanceLockError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Instance, InstanceLock, InstanceLockError, MachineLock};

    #[test]
    fn an_installation_runs_once_whatever_its_directories() {
        let base = tempfile::tempdir().unwrap();
        let [one, other, run, another_run] = ["one", "other", "run", "another-run"].map(|name| base.path().join(name));
        std::fs::create_dir(&one).unwrap();
        std::fs::create_dir(&other).unwrap();
        let original = Instance::of(&one).unwrap();
        drop(MachineLock::acquire(&original).unwrap());
        let lock = InstanceLock::acquire(&run, &original).unwrap();
        assert!(matches!(MachineLock::acquire(&original), Err(InstanceLockError::Running)));
        // The copied data directory has its own runtime directory.
        let copy = InstanceLock::acquire(&another_run, &original).unwrap_err();
        assert!(matches!(copy, InstanceLockError::Running), "{copy:?}");
        // In another network namespace the socket does not help, but the file in the directory does.
        let stranger = Instance::of(&other).unwrap();
        let shared = InstanceLock::acquire(&run, &stranger).unwrap_err();
        assert!(shared.to_string().contains(&format!("pid {}", std::process::id())), "{shared}");
        let beside = InstanceLock::acquire(&another_run, &stranger).unwrap();

        lock.release();
        std::fs::remove_dir(&run).unwrap();
        InstanceLock::acquire(&run, &original).unwrap().release();
        beside.release();
    }
}
