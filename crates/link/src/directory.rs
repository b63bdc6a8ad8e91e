use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::LinkError;
use super::handle::{Link, LinkOutput, Place, ResumeState};
use super::server::Endpoint;
use super::stream::{GatewayStream, LinkStream};

const AGENT_SOCKET: &str = "agent.sock";
const GATEWAY_SOCKET: &str = "gateway.sock";
const FILES_SOCKET: &str = "files.sock";

/// An empty file beside the sandboxes' directories.
const EMPTY_FILE: &str = "empty";

/// The seccomp profile, which an engine that takes it as a file finds beside the sandboxes' directories.
const PROFILE: &str = "seccomp.json";

/// The beginning of the name of each mark.
const MARK: &str = "mark-";

/// The maximum length of a Unix socket's path in bytes: `sun_path` in unix(7) has 108 including the terminating zero.
const MAX_SOCKET_PATH: usize = 107;

/// The maximum length of the name of a sandbox's directory, in bytes: a UUID with hyphens.
const MAX_NAME: usize = 36;

/// The pause after a failed accept. The usual cause is a lack of file descriptors.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// `RUNTIME_DIR`: one directory per sandbox with the three sockets of its link. The directory is mounted into the
/// sandbox's container. Access to a socket is the sandbox's identity, so no other user may enter `RUNTIME_DIR` itself.
#[derive(Debug)]
pub struct LinkDirectory {
    path: PathBuf,
    tracker: TaskTracker,
    cancel: CancellationToken,
}

impl LinkDirectory {
    /// Opens the directory, creates it if necessary, and makes it private (0700). Everything that is served from it
    /// runs on `tracker` and ends with `cancel`. Fails if the path is too long for a socket.
    pub fn open(path: &Path, tracker: TaskTracker, cancel: CancellationToken) -> Result<Self, LinkError> {
        // The path must be absolute because it is mounted. Check its length before creating anything.
        let absolute = std::path::absolute(path);
        let failed = |source| LinkError::RuntimeDirectory { path: path.to_owned(), source };
        let path = absolute.map_err(failed)?;
        let bytes = path.as_os_str().len() + 1 + MAX_NAME + 1 + GATEWAY_SOCKET.len();
        if bytes > MAX_SOCKET_PATH {
            return Err(LinkError::PathTooLong { path, bytes, limit: MAX_SOCKET_PATH });
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(failed)?;
        fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(failed)?;
        create_empty(&path.join(EMPTY_FILE)).map_err(failed)?;
        Ok(Self { path, tracker, cancel })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// An empty file that no sandbox can write to, to be mounted over files that reveal something about the host.
    pub fn empty_file(&self) -> PathBuf {
        self.path.join(EMPTY_FILE)
    }

    /// Creates an empty file of this name beside the sandboxes' directories.
    pub fn mark(&self, name: &str) -> io::Result<()> {
        File::create(self.mark_of(name)).map(drop)
    }

    /// Removes the file of [`LinkDirectory::mark`]. A missing file is not an error.
    pub fn remove_mark(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.mark_of(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// True if the file of [`LinkDirectory::mark`] exists.
    pub fn is_marked(&self, name: &str) -> bool {
        self.mark_of(name).exists()
    }

    fn mark_of(&self, name: &str) -> PathBuf {
        self.path.join(format!("{MARK}{name}"))
    }

    /// Removes the directory, unless sandboxes are left in it.
    pub fn remove_if_unused(path: &Path) {
        let Ok(entries) = fs::read_dir(path) else { return };
        let names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        let is_ours = |name: &str| name == EMPTY_FILE || name == PROFILE || name.starts_with(MARK);
        if names.iter().all(|name| name.to_str().is_some_and(is_ours)) {
            for name in names {
                let _ = fs::remove_file(path.join(name));
            }
            let _ = fs::remove_dir(path);
        }
    }

    /// Creates the directory `name` with `agent.sock`, `gateway.sock` and `files.sock`, and serves them. After a restart of the
    /// coordinator the directory exists; it is kept, because a container may have it mounted, and old sockets in it are
    /// replaced. With `resume`, the link continues where it was.
    pub fn bind(
        &self,
        name: &str,
        resume: Option<ResumeState>,
        orphan_ttl: Duration,
        gateway: Arc<dyn GatewayStream>,
    ) -> Result<(Link, LinkOutput), LinkError> {
        let path = self.path_of(name)?;
        let failed = |source| LinkError::Directory { path: path.clone(), source };
        // A cleaner of temporary files may have removed it.
        create_empty(&self.empty_file()).map_err(failed)?;
        match DirBuilder::new().create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        // The mode at creation would be reduced by the umask.
        fs::set_permissions(&path, Permissions::from_mode(0o755)).map_err(failed)?;
        let agent = listen(&path.join(AGENT_SOCKET))?;
        let gateway_listener = listen(&path.join(GATEWAY_SOCKET))?;

        let files_listener = listen(&path.join(FILES_SOCKET))?;

        let cancel = self.cancel.child_token();
        Ok(Link::open(resume, orphan_ttl, gateway, self.tracker.clone(), cancel, |endpoint| {
            let places = Arc::clone(endpoint.handshakes());
            endpoint.spawn(accept(agent, places, endpoint.clone(), Endpoint::agent));
            let places = Arc::clone(endpoint.gateway_streams());
            endpoint.spawn(accept(gateway_listener, places, endpoint.clone(), Endpoint::gateway));
            endpoint.spawn(accept_for_files(files_listener, endpoint.clone()));
            Place::Directory(path)
        }))
    }

    /// The names of all directories, including those that nobody serves.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if let Ok(name) = entry.file_name().into_string()
                && is_name(&name)
                && entry.file_type()?.is_dir()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Removes the directory `name` with its sockets. A missing directory is not an error.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        let path = self.path_of(name).map_err(io::Error::other)?;
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn path_of(&self, name: &str) -> Result<PathBuf, LinkError> {
        if is_name(name) { Ok(self.path.join(name)) } else { Err(LinkError::Name(name.to_owned())) }
    }
}

/// Creates the empty file if it is missing.
fn create_empty(path: &Path) -> io::Result<()> {
    match File::create_new(path).and_then(|file| file.set_permissions(Permissions::from_mode(0o444))) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Removes the sockets of a link that exist. The directory stays, because it may be mounted.
pub(super) fn remove_sockets(directory: &Path) {
    for name in [AGENT_SOCKET, GATEWAY_SOCKET, FILES_SOCKET] {
        // The next bind replaces a socket that could not be removed.
        let _ = fs::remove_file(directory.join(name));
    }
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

fn listen(path: &Path) -> Result<UnixListener, LinkError> {
    let failed = |source| LinkError::Socket { path: path.to_owned(), source };
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    // The sandbox's processes run as another user.
    fs::set_permissions(path, Permissions::from_mode(0o666)).map_err(failed)?;
    Ok(listener)
}

async fn accept(
    listener: UnixListener,
    places: Arc<Semaphore>,
    endpoint: Endpoint,
    take: fn(&Endpoint, LinkStream, tokio::sync::OwnedSemaphorePermit),
) {
    loop {
        // Acquire before the accept: further connections wait in the kernel's queue. The semaphore is never closed, so
        // this does not fail.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => take(&endpoint, LinkStream::Unix(stream), place),
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection of a sandbox");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Accepts without a limit, because the endpoint drops the oldest connection that says nothing.
async fn accept_for_files(listener: UnixListener, endpoint: Endpoint) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => endpoint.files(LinkStream::Unix(stream)),
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection of a sandbox");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
