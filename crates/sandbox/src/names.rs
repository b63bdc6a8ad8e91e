//! Names and labels of objects in the engine. They identify the objects after a restart and keep installations apart.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;

use domain::session::SessionKey;
use engine::{Labels, VolumeSummary};
use sha2::{Digest as _, Sha256};

/// The prefix of all names in the engine.
const PREFIX: &str = "claude-runner-";

const INSTANCE: &str = "claude-runner.instance";
const SANDBOX: &str = "claude-runner.sandbox";
const SESSION: &str = "claude-runner.session";
/// The label of containers in which an image is asked for its version. They are no sandboxes, so they have no other label.
const ASKED_BY: &str = "claude-runner.asked-by";
/// On a container that only shows whether sandboxes work.
const PROBE: &str = "claude-runner.probe";
const VOLUME: &str = "claude-runner.volume";

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
            // The file is missing, or it is empty because the power failed before it was written. In both cases no object has the
            // name yet.
            Ok(_) | Err(_) => {
                // A sandbox sees hashes of the name. A shorter name could be found by trying all.
                let name = format!("{:016x}", rand::random::<u64>());
                let mut file = std::fs::File::create(&path)?;
                file.write_all(name.as_bytes())?;
                file.sync_all()?;
                std::fs::File::open(data_dir)?.sync_all()?;
                Ok(Instance(name))
            }
        }
    }

    /// Reads the name from a data directory. `None`: no server has started there yet.
    pub fn existing(data_dir: &Path) -> io::Result<Option<Self>> {
        match std::fs::read_to_string(data_dir.join("instance")) {
            Ok(name) => Ok(Some(name.trim()).filter(|name| !name.is_empty()).map(|name| Instance(name.to_owned()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The installation of this name.
    pub fn named(name: &str) -> Self {
        Instance(name.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The labels of everything that the installation has in the engine.
    pub fn labels(&self) -> Labels {
        Labels::from([(INSTANCE.to_owned(), self.0.clone())])
    }

    /// The labels of the installation's containers in which an image is asked for its version.
    pub(super) fn question_labels(&self) -> Labels {
        Labels::from([(ASKED_BY.to_owned(), self.0.clone())])
    }

    pub(super) fn sandbox_labels(&self, sandbox: &SandboxName) -> Labels {
        let mut labels = self.labels();
        labels.insert(SANDBOX.to_owned(), sandbox.0.clone());
        labels
    }

    pub(super) fn probe_labels(&self, sandbox: &SandboxName) -> Labels {
        let mut labels = self.sandbox_labels(sandbox);
        labels.insert(PROBE.to_owned(), "true".to_owned());
        labels
    }

    /// The labels that both volumes of a session have.
    pub(super) fn session_labels(&self, session: SessionKey) -> Labels {
        let mut labels = self.labels();
        labels.insert(SESSION.to_owned(), session.to_string());
        labels
    }

    /// The workspace and the home of a session, in this order. `existing` lists the session's volumes in the engine:
    /// those that an earlier version created keep their names.
    pub(super) fn volumes(&self, session: SessionKey, existing: &[VolumeSummary]) -> [SessionVolume; 2] {
        [("workspace", domain::sandbox::WORKSPACE), ("home", super::agent::HOME)].map(|(kind, target)| {
            let earlier = format!("{PREFIX}{session}-{kind}");
            let name = if existing.iter().any(|volume| volume.name == earlier) {
                earlier
            } else {
                self.volume_name(session, kind)
            };
            let mut labels = self.session_labels(session);
            labels.insert(VOLUME.to_owned(), kind.to_owned());
            SessionVolume { name, labels, target }
        })
    }

    /// A short name of the installation for paths that a sandbox may see. It does not contain the installation's
    /// own name. An earlier version gave names that are short enough to be found by trying all.
    pub fn alias(&self) -> String {
        hexadecimal(&Sha256::digest(format!("{}/runtime", self.0))[..4])
    }

    /// A name that a sandbox may see among its mounts: it reveals neither the installation nor the session. The same
    /// volume always gets the same name, so that a creation can be repeated.
    fn volume_name(&self, session: SessionKey, kind: &str) -> String {
        let digest = Sha256::digest(format!("{}/{session}/{kind}", self.0));
        format!("{PREFIX}{}", hexadecimal(&digest[..16]))
    }
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
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
    pub(super) labels: Labels,
    pub(super) target: &'static str,
}

/// The session to which a volume with these labels belongs.
pub(super) fn session_of_volume(labels: &Labels) -> Option<SessionKey> {
    labels.get(SESSION)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use domain::session::SessionKey;
    use engine::VolumeSummary;

    use super::Instance;

    #[test]
    fn a_name_cannot_be_found_by_trying_and_an_earlier_one_stays() {
        let directory = tempfile::tempdir().unwrap();
        let name = Instance::of(directory.path()).unwrap();
        assert!(name.as_str().len() >= 16, "{name:?}");
        assert_eq!(Instance::of(directory.path()).unwrap(), name);
        std::fs::write(directory.path().join("instance"), "0123abcd").unwrap();
        assert_eq!(Instance::of(directory.path()).unwrap().as_str(), "0123abcd");
    }

    #[test]
    fn names_of_volumes_reveal_nothing_and_earlier_ones_stay() {
        let (one, other) = (Instance("0123abcd".to_owned()), Instance("4567cdef".to_owned()));
        let session = SessionKey::generate();
        let [workspace, home] = one.volumes(session, &[]).map(|volume| volume.name);
        assert_ne!(workspace, home);
        for name in [&workspace, &home] {
            assert!(!name.contains("0123abcd") && !name.contains(&session.to_string()), "{name}");
        }
        let again = one.volumes(session, &[]).map(|volume| volume.name);
        assert_eq!(again, [workspace.clone(), home]);
        // A restored copy is another installation, with the same sessions.
        assert_ne!(other.volumes(session, &[])[0].name, workspace);

        let earlier = format!("claude-runner-{session}-home");
        let existing = [VolumeSummary { name: earlier.clone(), labels: one.session_labels(session) }];
        assert_eq!(one.volumes(session, &existing).map(|volume| volume.name), [workspace, earlier]);
    }
}
