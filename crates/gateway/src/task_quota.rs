//! Limits one sandbox's traffic to outside hosts: requests per minute, bytes per task.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_mins(1);

pub(super) struct TaskQuota {
    requests_per_minute: u32,
    minute: Mutex<Minute>,
    /// The task's remaining bytes to and from outside hosts other than the model API, in both directions together.
    bytes_left: AtomicU64,
    bytes_per_task: u64,
}

struct Minute {
    began: Instant,
    requests: u32,
}

impl TaskQuota {
    pub(super) fn new(requests_per_minute: u32, bytes_per_task: u64) -> Self {
        TaskQuota {
            requests_per_minute,
            minute: Mutex::new(Minute { began: Instant::now(), requests: 0 }),
            bytes_left: AtomicU64::new(bytes_per_task),
            bytes_per_task,
        }
    }

    pub(super) fn begin_task(&self) {
        self.bytes_left.store(self.bytes_per_task, Ordering::Relaxed);
    }

    /// Counts a request. An error is the time to wait until another request is allowed.
    pub(super) fn take_request(&self, now: Instant) -> Result<(), Duration> {
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        let elapsed = now.saturating_duration_since(minute.began);
        if elapsed >= MINUTE {
            *minute = Minute { began: now, requests: 0 };
        }
        if minute.requests >= self.requests_per_minute {
            return Err(MINUTE.saturating_sub(elapsed));
        }
        minute.requests += 1;
        Ok(())
    }

    /// Counts bytes that have passed. Returns false once the task has none left.
    pub(super) fn take_bytes(&self, bytes: usize) -> bool {
        let take = |left: u64| Some(left.saturating_sub(bytes as u64));
        self.bytes_left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok_and(|left| left > bytes as u64)
    }

    pub(super) fn has_bytes(&self) -> bool {
        self.bytes_left.load(Ordering::Relaxed) > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_so_many_requests_and_the_next_as_many_again() {
        let task_quota = TaskQuota::new(2, 1);
        let now = Instant::now();
        assert_eq!(task_quota.take_request(now), Ok(()));
        assert_eq!(task_quota.take_request(now), Ok(()));
        assert!(task_quota.take_request(now).is_err_and(|wait| wait <= MINUTE && !wait.is_zero()));
        assert_eq!(task_quota.take_request(now + MINUTE), Ok(()));
    }

    #[test]
    fn a_task_has_so_many_bytes_and_the_next_as_many_again() {
        let task_quota = TaskQuota::new(1, 10);
        assert!(task_quota.take_bytes(9) && task_quota.has_bytes());
        assert!(!task_quota.take_bytes(100) && !task_quota.has_bytes());
        task_quota.begin_task();
        assert!(task_quota.has_bytes());
    }
}
