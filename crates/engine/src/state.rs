use std::fmt;

use crate::Labels;

/// The engine's id of a container, or its name. Every call accepts either.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContainerId(String);

impl ContainerId {
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The current state of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerState {
    pub running: bool,
    /// The exit code of the last run; 128 + N after signal N. `None` while the container runs and before its first
    /// start.
    pub exit_code: Option<i64>,
    /// The kernel killed any process in the container for lack of memory.
    pub oom_killed: bool,
    /// RFC 3339, by the engine's clock. `None` before the first start.
    pub started_at: Option<String>,
    /// The id of its image, in the form of [`ImageInfo::id`](crate::ImageInfo::id).
    pub image_id: String,
    pub labels: Labels,
}

/// The end of a container's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerExit {
    Exited {
        /// 128 + N after signal N.
        code: i64,
        /// The same as [`ContainerState::oom_killed`].
        oom_killed: bool,
    },
    /// The container no longer exists, and its exit status is unknown.
    Gone,
}

/// The resource usage of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContainerUsage {
    /// CPU time of all CPUs together since the container's start, in nanoseconds.
    pub cpu_nanos: u64,
    /// Used memory in bytes, without the part that the kernel only caches.
    pub memory_bytes: u64,
    pub memory_limit_bytes: u64,
    /// Number of processes and threads.
    pub processes: u64,
    /// The limit of processes and threads; 0 if the runtime reports none.
    pub process_limit: u64,
}

/// One entry of a list of containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSummary {
    pub id: ContainerId,
    pub name: String,
    pub image: String,
    pub running: bool,
    pub labels: Labels,
}

/// A container runtime's description of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// The name of the machine that it runs on.
    pub name: String,
    /// The product: `Docker` or `Podman`.
    pub product: String,
    pub version: String,
    /// The API version in use. It may be older than the newest that the runtime supports.
    pub api_version: String,
    /// The architecture as named by `uname -m`: `x86_64`, `aarch64`.
    pub architecture: String,
    pub memory_bytes: u64,
    pub cpus: u64,
    /// `1` or `2`; empty if the runtime does not report it.
    pub cgroup_version: String,
    pub storage_driver: String,
    /// The valid values of [`ContainerSpec::runtime`](crate::ContainerSpec::runtime), sorted.
    pub runtimes: Vec<String>,
    /// `None` if the runtime does not report it, or runs its containers by another program.
    pub runc_version: Option<String>,
    /// Program and version of an OCI runtime other than runc that the engine uses by default, like `crun 1.8.1`.
    pub other_oci_runtime: Option<String>,
    /// The engine labels containers for SELinux.
    pub selinux: bool,
}

/// A volume of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeSummary {
    pub name: String,
    pub labels: Labels,
}
