//! Resource usage of this process as the kernel reports it. The names are those of Prometheus' own client libraries.

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeVal;

/// Resource usage. A field is 0 if the kernel does not report it.
pub(super) struct Used {
    pub(super) memory_bytes: i64,
    pub(super) open_files: i64,
    pub(super) max_files: i64,
    pub(super) cpu_seconds: f64,
}

pub(super) fn read() -> Used {
    let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let (max_files, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or_default();
    let cpu_seconds =
        getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |used| seconds(used.user_time()) + seconds(used.system_time()));
    Used {
        memory_bytes: resident().unwrap_or(0),
        // Subtract the descriptor of the directory that is being read.
        open_files: i64::try_from(files.saturating_sub(1)).unwrap_or(i64::MAX),
        max_files: i64::try_from(max_files).unwrap_or(i64::MAX),
        cpu_seconds,
    }
}

/// Parses `VmRSS: 12345 kB`.
fn resident() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn seconds(time: TimeVal) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a process does not run for 285 million years")]
    let whole = time.tv_sec() as f64;
    #[expect(clippy::cast_precision_loss, reason = "below a million")]
    let part = time.tv_usec() as f64;
    whole + part / 1e6
}
