//! Names and labels of what we make in the engine: how it is found again, and how two installations keep apart.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use domain::session::SessionKey;
use engine::Labels;

/// Of all names that we give in the engine.
const PREFIX: &str = "claude-runner-";

const INSTANCE: &str = "claude-runner.instance";
const SANDBOX: &str = "claude-runner.sandbox";
const SESSION: &str = "claude-runner.session";

/// One installation: its containers, volumes and sockets are its own, whatever else runs on the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance(String);

impl Instance {
    /// The installation that owns a data directory; named on its first start.
    pub fn of(data_dir: &Path) -> io::Result<Self> {
        let path = data_dir.join("instance");
        match std::fs::read_to_string(&path) {
            Ok(name) if !name.trim().is_empty() => Ok(Instance(name.trim().to_owned())),
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            // Not there; or empty, where the power went before it was on the disk: then nothing was made under it either.
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

/// A sandbox: sixteen hexadecimal digits, new for each, so that nothing of an old one can be taken for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxName(String);

impl SandboxName {
    pub(super) fn generate() -> Self {
        SandboxName(format!("{:016x}", rand::random::<u64>()))
    }

    /// The sandbox that a container of ours belongs to.
    pub(super) fn of_container(container: &str) -> Option<Self> {
        container.trim_start_matches('/').strip_prefix(PREFIX).map(|name| SandboxName(name.to_owned()))
    }

    /// As it was written down.
    pub fn from_record(name: &str) -> Self {
        SandboxName(name.to_owned())
    }

    /// The container's name in the engine.
    pub fn container(&self) -> String {
        format!("{PREFIX}{}", self.0)
    }

    /// The link's directory below RUNTIME_DIR: short, because a socket's path may have 107 bytes.
    pub(super) fn link(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SandboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A volume of a session and where it is mounted.
pub(super) struct SessionVolume {
    pub(super) name: String,
    pub(super) target: &'static str,
}

/// The workspace first.
pub(super) fn volumes(session: SessionKey) -> [SessionVolume; 2] {
    [
        SessionVolume { name: format!("{PREFIX}{session}-workspace"), target: domain::sandbox::WORKSPACE },
        SessionVolume { name: format!("{PREFIX}{session}-home"), target: super::agent::HOME },
    ]
}

/// The session that a volume of ours belongs to.
pub(super) fn session_of_volume(name: &str) -> Option<SessionKey> {
    let (session, _) = name.strip_prefix(PREFIX)?.split_once('-')?;
    session.parse().ok()
}
