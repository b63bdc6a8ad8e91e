use std::fs;

/// The kernel's counters of processes that it killed for lack of memory: cgroup v2, then v1. Both paths are those
/// inside the container's own cgroup namespace.
const COUNTERS: [&str; 2] = ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];

/// Number of processes of this sandbox that the kernel killed for lack of memory since its creation; 0 if no counter is
/// readable.
pub(crate) fn oom_kills() -> u64 {
    COUNTERS.iter().find_map(|path| counter(&fs::read_to_string(path).ok()?)).unwrap_or(0)
}

fn counter(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::counter;

    #[test]
    fn both_versions_are_read() {
        assert_eq!(counter("low 0\nhigh 0\nmax 5\noom 3\noom_kill 2\noom_group_kill 0\n"), Some(2));
        assert_eq!(counter("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"), Some(7));
        assert_eq!(counter("oom_kill_disable 0\n"), None);
    }
}
