//! The ids of a task's spans.

use domain::task::TaskId;
use sha2::{Digest, Sha256};

/// The id of the span of the whole task: the task's own id.
pub(super) fn of_task(task: &TaskId) -> u64 {
    // Sixteen hexadecimal digits are a valid span id, except all zeros.
    u64::from_str_radix(task.as_str(), 16).unwrap_or_default().max(1)
}

/// The trace id of a task whose caller has no trace: the task's id, twice.
pub(super) fn of_trace(task: &TaskId) -> u128 {
    let half = u128::from(of_task(task));
    half << 64 | half
}

/// The id of a step that is the parent of other spans.
pub(super) fn of_step(task: &TaskId, step: &str, which: &str) -> u64 {
    let digest = Sha256::digest(format!("{task} {step} {which}"));
    digest.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte)).max(1)
}

/// The id of a step that is not a parent.
pub(super) fn of_leaf() -> u64 {
    rand::random::<u64>().max(1)
}

#[cfg(test)]
mod tests {
    use super::{of_step, of_task, of_trace};

    #[test]
    fn ids_follow_from_the_task() {
        let task = "0123456789abcdef".parse().unwrap();
        assert_eq!(of_task(&task), 0x0123_4567_89ab_cdef);
        assert_eq!(format!("{:032x}", of_trace(&task)), "0123456789abcdef".repeat(2));
        assert_eq!(of_step(&task, "agent", "0"), of_step(&task, "agent", "0"));
        let steps = [of_step(&task, "agent", "1"), of_step(&task, "agent", "0"), of_step(&task, "tool", "0")];
        assert!(steps.iter().all(|step| steps.iter().filter(|other| *other == step).count() == 1), "{steps:?}");
        // No id is 0.
        assert_eq!(of_task(&"0000000000000000".parse().unwrap()), 1);
    }
}
