//! The available memory of the machine that runs the sandboxes.

/// The memory of a sandbox that has just started, with a margin. The CLI needs about 130 MB.
const START_BYTES: u64 = 256 << 20;

/// Memory that is kept free for the engine, the coordinator and running agents.
const RESERVE_BYTES: u64 = 256 << 20;

/// Decides if another sandbox fits into the available memory.
#[derive(Clone, Copy, Debug)]
pub enum MemoryGauge {
    /// The engine runs on this machine, as it must to mount the sockets. The kernel reports the memory.
    ThisMachine { sandbox_bytes: u64 },
    /// The engine runs elsewhere, or the check is off. Only the number of sandboxes is limited.
    Unknown,
}

impl MemoryGauge {
    /// True if one more sandbox may start beside the given number of starting ones, which do not use their memory yet.
    pub(super) fn has_room_beside(self, starting: usize) -> bool {
        let wanted = RESERVE_BYTES + START_BYTES.saturating_mul(starting as u64 + 1);
        self.available().is_none_or(|available| available >= wanted)
    }

    /// True if a warm sandbox may start: the maximum memory of a sandbox must be available.
    pub(super) fn has_room_for_spare(self) -> bool {
        match self {
            MemoryGauge::ThisMachine { sandbox_bytes } => {
                self.available().is_none_or(|available| available >= RESERVE_BYTES.saturating_add(sandbox_bytes))
            }
            MemoryGauge::Unknown => true,
        }
    }

    /// Available memory in bytes; `None` if the system does not report it.
    fn available(self) -> Option<u64> {
        match self {
            MemoryGauge::ThisMachine { .. } => available_in(&std::fs::read_to_string("/proc/meminfo").ok()?),
            MemoryGauge::Unknown => None,
        }
    }
}

/// Parses the `MemAvailable:   12345 kB` line of proc_meminfo(5).
fn available_in(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::available_in;

    #[test]
    fn the_kernel_says_what_is_available() {
        let meminfo = "MemTotal:       24683520 kB\nMemFree:        1 kB\nMemAvailable:   23626752 kB\n";
        assert_eq!(available_in(meminfo), Some(23_626_752 * 1024));
        assert_eq!(available_in("MemTotal: 1 kB\n"), None);
    }
}
