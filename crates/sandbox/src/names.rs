//! Names and labels of objects in the engine. They identify the objects after a restart and keep installations apart.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use domain::session::SessionKey;
use engine::Labels;

/// The prefix of all names in the engine.
const PREFIX: &str = "claude-runner-";

const INSTANCE: &str = "claude-runner.instance";
const SANDBOX: &str = "claude-runner.sandbox";
const SESSION: &str = "claude-runner.session";

/// The name of an installation. It labels the installation's containers, volumes and sockets, so that others on the
/// same engine are not touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance(String);

impl Instance {
    /// Reads the name from a data directory. The first start creates it.
    pub fn of(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join("instance");
        match std::fs::read_to_string(&path) {
            Ok(name) if !name.trim().is_empty() => Ok(Instance(name.trim().to_owned())),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            // The file is missing, or empty because the power failed before it was written. In both cases no object has
            // the name yet.
            Ok(_) | Err(_) => {
                let name = format!("{:08x}", rand::random::<u32>());
                let mut file = std::fs::File::create(&path)?;
                file.write_all(name.as_bytes())?;
                file.sync_all()?;
                std::fs::File::open(data_dir)?.sync_all()?;
                Ok(Instance(name))
            }
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn labels(&self) -> Labels {
        Labels::from([(INSTANCE.to_owned(), self.0.clone())])
    }

    pub(super) fn sandbox_labels(&self, sandbox: &SandboxName) -> Labels {
        let mut labels = self.labels();
        labels.insert(SANDBOX.to_owned(), sandbox.0.clone());
        labels
    }

    pub(super) fn volume_labels(&self, session: SessionKey) -> Labels {
        let mut labels = self.labels();
        labels.insert(SESSION.to_owned(), session.to_string());
        labels
    }
}

/// The name of a sandbox: sixteen hexadecimal digits. It is never reused, so that nothing of an old sandbox is mistaken
/// for a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxName(String);

impl SandboxName {
    pub(super) fn generate() -> Self {
        SandboxName(format!("{:016x}", rand::random::<u64>()))
    }

    /// The sandbox to which a container with this name belongs.
    pub(super) fn of_container(container: &str) -> Option<Self> {
        container.trim_start_matches('/').strip_prefix(PREFIX).map(|name| SandboxName(name.to_owned()))
    }

    /// The name from a sandbox's record.
    pub fn from_record(name: &str) -> Self {
        SandboxName(name.to_owned())
    }

    /// The container's name in the engine.
    pub fn container(&self) -> String {
        format!("{PREFIX}{}", self.0)
    }

    /// The name of the link's directory below RUNTIME_DIR. It is short because a socket's path has at most 107 bytes.
    pub(super) fn link(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SandboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A volume of a session, and its mount point.
pub(super) struct SessionVolume {
    pub(super) name: String,
    pub(super) target: &'static str,
}

/// The workspace and the home, in this order.
pub(super) fn volumes(session: SessionKey) -> [SessionVolume; 2] {
    [
        SessionVolume { name: format!("{PREFIX}{session}-workspace"), target: domain::sandbox::WORKSPACE },
        SessionVolume { name: format!("{PREFIX}{session}-home"), target: super::agent::HOME },
    ]
}

/// The session to which a volume with this name belongs.
pub(super) fn session_of_volume(name: &str) -> Option<SessionKey> {
    let (session, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    session.parse().ok()
}
