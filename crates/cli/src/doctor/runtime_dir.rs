//! RUNTIME_DIR, the directory of the sandboxes' sockets.

use std::os::unix::net::UnixListener;
use std::path::Path;

use nix::unistd::geteuid;
use tempfile::TempDir;

use super::check::Check;
use super::place::{self, Found};

const NAME: &str = "runtime-dir";

/// The longest socket's name. Its path below RUNTIME_DIR is `/`, a sandbox's name of at most 36 bytes, and this.
const LONGEST_SOCKET: &str = "/gateway.sock";
const LONGEST_NAME: usize = 36;
/// `sun_path` in unix(7) has 108 bytes with the terminating zero.
const MAX_SOCKET_PATH: usize = 107;

pub(super) struct RuntimeDir {
    pub(super) check: Check,
    /// A directory for tests in it. `None`: RUNTIME_DIR cannot be used.
    pub(super) scratch: Option<TempDir>,
}

impl RuntimeDir {
    pub(super) fn not_used() -> RuntimeDir {
        RuntimeDir { check: Check::ok(NAME, "not used with SANDBOX_NETWORK=bridge"), scratch: None }
    }
}

pub(super) fn look(path: &Path) -> RuntimeDir {
    let (shown, us) = (path.display(), geteuid());
    let unusable = |why: String| {
        let remedy = format!("set RUNTIME_DIR to a directory with a short path that user {us} may write to");
        RuntimeDir { check: Check::fail(NAME, why, remedy), scratch: None }
    };
    let bytes = socket_path_bytes(path);
    if bytes > MAX_SOCKET_PATH {
        return unusable(format!("sockets in {shown} have paths of {bytes} bytes; {MAX_SOCKET_PATH} are possible"));
    }
    let found = match place::find(path) {
        Ok(Found::SomethingElse) => return unusable(format!("{shown} is not a directory")),
        // The server makes the directory private, which only its owner can do.
        Ok(Found::Directory { uid, .. }) if uid != us.as_raw() && !us.is_root() => {
            return unusable(format!("{shown} belongs to user {uid}, and this runs as user {us}"));
        }
        Ok(found) => found,
        Err(error) => return unusable(format!("{shown} cannot be looked at: {error}")),
    };
    let scratch =
        place::scratch(path).and_then(|scratch| UnixListener::bind(scratch.path().join("probe.sock")).map(|_| scratch));
    let scratch = match scratch {
        Ok(scratch) => scratch,
        Err(error) => return unusable(format!("no socket can be created in {shown}: {}", error.kind())),
    };
    let detail = match found {
        Found::Directory { .. } => format!("{shown} can be written to, its sockets' paths have {bytes} bytes"),
        Found::Nothing | Found::SomethingElse => format!("{shown} does not exist yet and can be created"),
    };
    RuntimeDir { check: Check::ok(NAME, detail), scratch: Some(scratch) }
}

fn socket_path_bytes(path: &Path) -> usize {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.as_os_str().len() + 1 + LONGEST_NAME + LONGEST_SOCKET.len()
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;
    use tokio_util::task::TaskTracker;

    use super::super::check::Status;
    use super::{MAX_SOCKET_PATH, look, socket_path_bytes};
    use link::LinkDirectory;

    #[test]
    fn the_longest_path_is_that_of_the_server() {
        let base = tempfile::tempdir().unwrap();
        let room = MAX_SOCKET_PATH - socket_path_bytes(base.path()) - 1;
        for (length, expected) in [(room, true), (room + 1, false)] {
            let path = base.path().join("d".repeat(length));
            assert_eq!(look(&path).check.status == Status::Ok, expected, "{length}");
            assert!(!path.exists());
            let opened = LinkDirectory::open(&path, TaskTracker::new(), CancellationToken::new());
            assert_eq!(opened.is_ok(), expected, "{length}");
        }
    }
}
