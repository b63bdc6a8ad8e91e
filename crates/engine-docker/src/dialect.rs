//! Differences between the engines that speak Docker's API. Podman takes a seccomp profile as the path of a file, ignores
//! the list of masked paths, knows no owner of a tmpfs, and raises a limit that a request does not set.

use std::io;
use std::path::{Path, PathBuf};

use engine::EngineInfo;
use tokio::fs;
use tokio::sync::Mutex;

use super::convert::SECCOMP_PROFILE;

/// The file of the seccomp profile in a shared directory.
const PROFILE_FILE: &str = "seccomp.json";

/// The product's name in [`EngineInfo::product`].
pub(super) const PODMAN: &str = "Podman";
pub(super) const DOCKER: &str = "Docker";

/// The properties of an engine on which a container's settings depend.
#[derive(Debug)]
pub(super) struct Dialect {
    podman: bool,
    /// The engine labels containers for SELinux, so a mounted directory needs a label that the container may use.
    selinux: bool,
    /// One task writes the profile at a time.
    writing: Mutex<()>,
}

/// The settings of one container that depend on the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Adaptation {
    pub(super) seccomp: Seccomp,
    pub(super) masking: Masking,
    pub(super) run_access: RunAccess,
    pub(super) labelling: Labelling,
    /// A limit of processes per user, which all sandboxes share. It is no limit of a sandbox: it only keeps the engine from
    /// raising the one that it has, which some machines forbid.
    pub(super) user_processes: Option<u64>,
}

/// The way in which an engine gets the seccomp profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seccomp {
    Inline,
    File(PathBuf),
    /// The engine's own default profile applies.
    EngineDefault,
}

/// The way in which an engine gets the paths to hide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Masking {
    List,
    SecurityOption,
}

/// The way in which the agent may write to the tmpfs on `/run`. Docker resets the mode to the one of the image's directory, and
/// Podman knows no option for the owner. The agent is the only user of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RunAccess {
    Owner,
    Mode,
}

/// The SELinux label of mounted directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Labelling {
    None,
    Relabel,
}

impl Adaptation {
    pub(super) const DOCKER: Adaptation = Adaptation {
        seccomp: Seccomp::Inline,
        masking: Masking::List,
        run_access: RunAccess::Owner,
        labelling: Labelling::None,
        user_processes: None,
    };
}

impl Dialect {
    pub(super) fn of(info: &EngineInfo) -> Self {
        Dialect { podman: info.product == PODMAN, selinux: info.selinux, writing: Mutex::default() }
    }

    /// True for an engine that sends SIGTERM before a forced removal and waits ten seconds. Docker kills at once.
    pub(super) fn stops_before_removal(&self) -> bool {
        self.podman
    }

    /// `shared_directory` is the one of the container's specification.
    pub(super) async fn adapt(&self, shared_directory: Option<&Path>) -> io::Result<Adaptation> {
        let labelling = if self.selinux { Labelling::Relabel } else { Labelling::None };
        if !self.podman {
            return Ok(Adaptation { labelling, ..Adaptation::DOCKER });
        }
        let seccomp = match shared_directory {
            Some(directory) => Seccomp::File(self.write_profile(directory).await?),
            None => Seccomp::EngineDefault,
        };
        let limits = fs::read_to_string("/proc/self/limits").await.unwrap_or_default();
        let most = fs::read_to_string("/proc/sys/kernel/pid_max").await.unwrap_or_default();
        let user_processes = process_limit(&limits, &most);
        let (masking, run_access) = (Masking::SecurityOption, RunAccess::Mode);
        Ok(Adaptation { seccomp, masking, run_access, labelling, user_processes })
    }

    /// Returns the path of the profile. The engine reads it while it creates the container.
    async fn write_profile(&self, directory: &Path) -> io::Result<PathBuf> {
        let path = directory.join(PROFILE_FILE);
        let _writing = self.writing.lock().await;
        if fs::read(&path).await.ok().as_deref() != Some(SECCOMP_PROFILE.as_bytes()) {
            fs::write(&path, SECCOMP_PROFILE).await?;
        }
        Ok(path)
    }
}

/// The lower of the hard limit of processes in a text like `/proc/self/limits` and the number of processes that the machine can
/// have. Podman 4 lowers its own limit to that number. `None`: neither was found.
fn process_limit(limits: &str, most: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max processes")).unwrap_or_default();
    let limit = line.split_whitespace().nth(1).and_then(|limit| limit.parse().ok());
    let most = most.trim().parse().ok();
    limit.into_iter().chain(most).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(product: &str, selinux: bool) -> EngineInfo {
        EngineInfo {
            name: String::new(),
            product: product.to_owned(),
            version: String::new(),
            api_version: String::new(),
            architecture: String::new(),
            memory_bytes: 0,
            cpus: 0,
            cgroup_version: String::new(),
            storage_driver: String::new(),
            runtimes: Vec::new(),
            runc_version: None,
            other_oci_runtime: None,
            selinux,
        }
    }

    #[tokio::test]
    async fn podman_finds_the_profile_in_the_shared_directory() {
        let directory = tempfile::tempdir().unwrap();
        let podman = Dialect::of(&info(PODMAN, false));
        let adaptation = podman.adapt(Some(directory.path())).await.unwrap();

        let path = directory.path().join("seccomp.json");
        assert_eq!(adaptation.seccomp, Seccomp::File(path.clone()));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), SECCOMP_PROFILE);
        // A cleaner of temporary files may remove or damage it.
        std::fs::write(&path, "{}").unwrap();
        podman.adapt(Some(directory.path())).await.unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), SECCOMP_PROFILE);

        assert_eq!(podman.adapt(None).await.unwrap().seccomp, Seccomp::EngineDefault);
        assert!(podman.adapt(Some(Path::new("/no/such/directory"))).await.is_err());
    }

    #[tokio::test]
    async fn docker_gets_the_profile_itself_and_labels_where_it_is_told() {
        let adapted = |selinux| async move { Dialect::of(&info(DOCKER, selinux)).adapt(None).await.unwrap() };
        assert_eq!(adapted(false).await, Adaptation::DOCKER);
        assert_eq!(adapted(true).await, Adaptation { labelling: Labelling::Relabel, ..Adaptation::DOCKER });
    }

    #[test]
    fn the_limit_of_processes_is_the_hard_one() {
        let line =
            |hard: &str| format!("Max cpu time  unlimited unlimited seconds\nMax processes  100  {hard}  processes\n");
        assert_eq!(process_limit(&line("200"), "300\n"), Some(200));
        assert_eq!(process_limit(&line("400"), "300\n"), Some(300));
        assert_eq!(process_limit(&line("unlimited"), "300\n"), Some(300));
        assert_eq!(process_limit("", ""), None);
    }
}
