use std::fs;

/// Where the kernel counts the processes it killed for memory: cgroup v2, then v1. Both are seen from inside the
/// container's own cgroup namespace.
const COUNTERS: [&str; 2] = ["/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"];

/// Processes of this sandbox killed for memory since it was created; 0 where it cannot be read.
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
