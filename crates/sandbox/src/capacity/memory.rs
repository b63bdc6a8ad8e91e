//! The memory that is left on the machine that the sandboxes run on.

/// What a sandbox takes before it has done anything, with room to spare: the CLI has about 130 MB.
const START_BYTES: u64 = 256 << 20;

/// Left alone: for the engine, for us, and for the agents that work.
const RESERVE_BYTES: u64 = 256 << 20;

/// Tells whether another sandbox fits beside what is in use.
#[derive(Clone, Copy, Debug)]
pub enum MemoryGauge {
    /// The engine runs here, as it must to mount our sockets: the kernel knows.
    ThisMachine { sandbox_bytes: u64 },
    /// It runs elsewhere, or nobody wants to know: the number of sandboxes is the only bound.
    Unknown,
}

impl MemoryGauge {
    /// Whether one more may start beside so many that have just been started and do not use their memory yet.
    pub(super) fn has_room_beside(self, starting: usize) -> bool {
        let wanted = RESERVE_BYTES + START_BYTES.saturating_mul(starting as u64 + 1);
        self.available().is_none_or(|available| available >= wanted)
    }

    /// Whether one may be started that nobody needs yet: only where all that it may ever use is there.
    pub(super) fn has_room_for_spare(self) -> bool {
        match self {
            MemoryGauge::ThisMachine { sandbox_bytes } => {
                self.available().is_none_or(|available| available >= RESERVE_BYTES.saturating_add(sandbox_bytes))
            }
            MemoryGauge::Unknown => true,
        }
    }

    /// Bytes; `None` where the system does not say.
    fn available(self) -> Option<u64> {
        match self {
            MemoryGauge::ThisMachine { .. } => available_in(&std::fs::read_to_string("/proc/meminfo").ok()?),
            MemoryGauge::Unknown => None,
        }
    }
}

/// proc_meminfo(5): `MemAvailable:   12345 kB`.
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
