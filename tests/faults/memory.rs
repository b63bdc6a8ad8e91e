//! Measures the memory that a server uses.

use crate::support::process::Process;

impl Process {
    /// A line of /proc/PID/status, in KiB, such as VmRSS.
    pub(crate) fn kibibytes(&self, field: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}
