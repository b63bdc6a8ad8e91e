use std::fmt;

use crate::Labels;

/// The engine's id of a container, or its name: every call takes either.
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

/// A container as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerState {
    pub running: bool,
    /// Of the last run. `None` while it runs and before its first start. 128 + N after signal N.
    pub exit_code: Option<i64>,
    /// Any process in it was killed for want of memory, not only the first one.
    pub oom_killed: bool,
    /// RFC 3339, by the engine's clock. `None` before the first start.
    pub started_at: Option<String>,
    pub labels: Labels,
}

/// How a container's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerExit {
    Exited {
        /// 128 + N after signal N.
        code: i64,
        /// See [`ContainerState::oom_killed`].
        oom_killed: bool,
    },
    /// It is not there any more and nobody knows how it ended.
    Gone,
}

/// What a container takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ContainerUsage {
    /// Of all CPUs together, since its start.
    pub cpu_nanos: u64,
    /// Without what the kernel only caches and would give back.
    pub memory_bytes: u64,
    pub memory_limit_bytes: u64,
    /// Processes and threads.
    pub processes: u64,
}

/// What is at a path of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathKind {
    File,
    Directory,
    Symlink,
    /// A FIFO, a socket, a device.
    Other,
}

/// One line of a list of containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerSummary {
    pub id: ContainerId,
    pub name: String,
    pub image: String,
    pub running: bool,
    pub labels: Labels,
}

/// What a container runtime says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// Of the machine that it runs on.
    pub name: String,
    pub version: String,
    /// The one spoken with it, which may be older than the newest that it knows.
    pub api_version: String,
    /// As `uname -m` says it: `x86_64`, `aarch64`.
    pub architecture: String,
    pub memory_bytes: u64,
    pub cpus: u64,
    /// `1` or `2`; empty when it does not say.
    pub cgroup_version: String,
    pub storage_driver: String,
    /// Names that [`ContainerSpec::runtime`](crate::ContainerSpec::runtime) may have, sorted.
    pub runtimes: Vec<String>,
    /// `None` when it does not say.
    pub runc_version: Option<String>,
}
