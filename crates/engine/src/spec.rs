use std::collections::BTreeMap;
use std::path::PathBuf;

/// Labels of containers, volumes and images. As a filter: an object must have all of them with exactly these values.
pub type Labels = BTreeMap<String, String>;

/// The user that runs a sandbox's processes and owns its files. The group is always given with the user, because a user
/// alone would get group 0.
pub const AGENT_UID: u64 = 10_001;
pub const AGENT_GID: u64 = 10_001;

/// The specification of a container: everything that differs between sandboxes. The rest is fixed, so that no caller
/// can omit it: user 10001:10001, read-only root, no capabilities, no new privileges, this project's seccomp profile,
/// masked paths, no devices, private IPC and cgroup namespaces, tmpfs on `/tmp` and `/run`, swap equal to memory, no
/// core files, no restart, a log of at most 1 MiB, and no automatic removal by the runtime, because the exit code must
/// survive.
#[derive(Debug, Clone, PartialEq)]
pub struct ContainerSpec {
    /// Unique in the engine.
    pub name: String,
    pub image: String,
    /// The labels. They cannot be changed later.
    pub labels: Labels,
    /// The program that runs instead of the image's entry point.
    pub entry_point: Option<String>,
    /// Arguments for the entry point; empty for the image's default.
    pub command: Vec<String>,
    /// The environment. Everyone who may inspect the container can read it, so it must not contain secrets.
    pub environment: BTreeMap<String, String>,
    pub mounts: Vec<Mount>,
    pub network: Network,
    pub limits: Limits,
    /// The name under which the engine knows an OCI runtime; `None` for its default.
    pub runtime: Option<String>,
    /// A directory that this process can write to, and that has the same path on the engine's host. An engine that takes
    /// the seccomp profile as a file finds it there. `None`: such an engine applies its own default profile.
    pub shared_directory: Option<PathBuf>,
}

/// A mount at the absolute path `target`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mount {
    /// A writable volume.
    Volume { name: String, target: String },
    /// A read-only volume.
    ReadOnlyVolume { name: String, target: String },
    /// A directory of the engine's host, read-only. It must exist. Processes can still connect to sockets in it.
    Directory { source: PathBuf, target: String },
    /// A file of the engine's host, read-only. It must exist.
    File { source: PathBuf, target: String },
}

/// The network of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Loopback only.
    None,
    /// The engine's default bridge, in which `host.docker.internal` is the engine's host.
    Bridge,
}

/// The resource limits of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Memory and tmpfs together, without swap, in bytes.
    pub memory_bytes: u64,
    /// CPU time per second, in billionths of a CPU.
    pub nano_cpus: u64,
    /// Maximum number of processes and threads.
    pub pids: u32,
    /// Maximum number of open files per process.
    pub open_files: u32,
    /// Maximum size of one file in bytes.
    pub file_bytes: u64,
}

impl Limits {
    /// Limits with these amounts of memory, CPU and processes, and with enough files for a build in the workspace.
    pub fn new(memory_bytes: u64, nano_cpus: u64, pids: u32) -> Self {
        Self { memory_bytes, nano_cpus, pids, open_files: 8_192, file_bytes: 4 << 30 }
    }
}
