use std::collections::BTreeMap;
use std::path::PathBuf;

/// Labels of containers, volumes and images. As a filter: all of them, with exactly these values.
pub type Labels = BTreeMap<String, String>;

/// The user that a sandbox's processes run as, and that owns its files. The group is named too wherever the user is:
/// a user alone would get group 0.
pub const AGENT_UID: u64 = 10_001;
pub const AGENT_GID: u64 = 10_001;

/// A container to be made: what differs between sandboxes. What does not differ is no setting, so that no caller can
/// forget it: user 10001:10001, read-only root, no capabilities, no new privileges, our own seccomp profile, masked paths,
/// no devices, private IPC and cgroup namespaces, tmpfs on `/tmp` and `/run`, swap equal to memory, no core files, no restart, a log of at most 1 MiB, never removed by
/// the runtime itself (the exit code must survive).
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerSpec {
    /// Unique in the engine.
    pub name: String,
    pub image: String,
    /// Cannot be changed later.
    pub labels: Labels,
    /// Arguments for the image's entry point; empty for the image's own.
    pub command: Vec<String>,
    /// Readable by everyone who may inspect the container: nothing secret.
    pub environment: BTreeMap<String, String>,
    pub mounts: Vec<Mount>,
    pub network: Network,
    pub limits: Limits,
    /// An OCI runtime that the engine knows by this name; `None` for its default.
    pub runtime: Option<String>,
}

/// Something mounted at the absolute path `target`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// A volume, writable.
    Volume { name: String, target: String },
    /// A volume that the container cannot change.
    ReadOnlyVolume { name: String, target: String },
    /// A directory of the engine's host, read-only. It must exist. Sockets in it can be connected to all the same.
    Directory { source: PathBuf, target: String },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Loopback and nothing else.
    None,
    /// The engine's default bridge, on which `host.docker.internal` is the engine's host.
    Bridge,
}

/// What a container may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory and tmpfs together, without swap.
    pub memory_bytes: u64,
    /// Billionths of a CPU.
    pub nano_cpus: u64,
    /// Processes and threads.
    pub pids: u32,
    /// Open files of one process.
    pub open_files: u32,
    /// Size of one file.
    pub file_bytes: u64,
}

impl Limits {
    /// With these amounts of memory, CPU and processes, and enough files for a build in the workspace.
    pub fn new(memory_bytes: u64, nano_cpus: u64, pids: u32) -> Self {
        Self { memory_bytes, nano_cpus, pids, open_files: 8_192, file_bytes: 4 << 30 }
    }
}
