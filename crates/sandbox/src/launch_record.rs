//! Records whether launches work, for `/ready`. A launch that fails for a reason of its own session does not count.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use engine::EngineError;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::launch::LaunchError;
use super::process::ProcessEnd;

/// The number of launches that must fail in a row, without a success between them, if a probe sandbox works meanwhile.
const FAILURES: u32 = 3;

/// The time after which failed launches no longer count. Without it, a server that gets no tasks because it is not ready would
/// never be ready again.
const MEMORY: Duration = Duration::from_mins(1);

/// The result of the last launches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LaunchHealth {
    /// No launch has ended yet.
    Unknown,
    Working,
    /// With the reason of the last failure.
    Failing(String),
}

#[derive(Default)]
pub(super) struct LaunchRecord {
    state: Mutex<State>,
    failed: Notify,
}

#[derive(Default)]
struct State {
    /// The outcome of the last probe, or of a launch that succeeded after it.
    probe: Option<Result<(), String>>,
    /// Launches that failed since the last one that succeeded, and the last of them.
    failures: u32,
    last: Option<(Instant, String)>,
}

impl LaunchRecord {
    pub(super) fn probed(&self, outcome: Result<(), &LaunchError>) {
        match outcome {
            Ok(()) => self.state().probe = Some(Ok(())),
            Err(error) if counts(error) => self.state().probe = Some(Err(domain::error_chain(error))),
            Err(_) => {}
        }
    }

    pub(super) fn launched(&self, outcome: Result<(), &LaunchError>) {
        match outcome {
            Ok(()) => *self.state() = State { probe: Some(Ok(())), ..State::default() },
            Err(error) if counts(error) => {
                let mut state = self.state();
                state.failures += 1;
                state.last = Some((Instant::now(), domain::error_chain(error)));
                drop(state);
                self.failed.notify_one();
            }
            Err(_) => {}
        }
    }

    /// Returns after a launch has failed.
    pub(super) async fn until_failed(&self) {
        self.failed.notified().await;
    }

    pub(super) fn health(&self) -> LaunchHealth {
        self.health_at(Instant::now())
    }

    fn health_at(&self, now: Instant) -> LaunchHealth {
        let state = self.state();
        match (&state.probe, &state.last) {
            (Some(Err(reason)), _) => LaunchHealth::Failing(reason.clone()),
            (_, Some((at, reason))) if state.failures >= FAILURES && now.saturating_duration_since(*at) < MEMORY => {
                LaunchHealth::Failing(reason.clone())
            }
            (Some(Ok(())), _) => LaunchHealth::Working,
            (None, _) => LaunchHealth::Unknown,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True for an error that other launches would meet too. An engine that does not answer, and an image that is missing or too
/// old, have checks of their own.
fn counts(error: &LaunchError) -> bool {
    match error {
        LaunchError::Engine(EngineError::Unreachable { .. } | EngineError::ImageMissing { .. })
        | LaunchError::TooOld { .. }
        | LaunchError::Refused(_)
        | LaunchError::Cancelled => false,
        LaunchError::Engine(_)
        | LaunchError::Send(_)
        | LaunchError::Files(_)
        | LaunchError::Runtime { .. }
        | LaunchError::Unlimited(_)
        | LaunchError::NotConnected(_)
        | LaunchError::Timeout => true,
        LaunchError::Link(error) => !error.lacks_descriptors(),
        LaunchError::Ended(end) => match end {
            ProcessEnd::NotStarted { .. } | ProcessEnd::ContainerExited { .. } | ProcessEnd::ContainerGone => true,
            ProcessEnd::Exited { .. } | ProcessEnd::DiskFull { .. } | ProcessEnd::Closed => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(record: &LaunchRecord) {
        record.launched(Err(&LaunchError::Timeout));
    }

    #[test]
    fn a_failed_probe_is_enough() {
        let record = LaunchRecord::default();
        assert_eq!(record.health(), LaunchHealth::Unknown);
        record.probed(Err(&LaunchError::NotConnected("why".to_owned())));
        assert!(matches!(record.health(), LaunchHealth::Failing(reason) if reason.contains("why")));
        record.probed(Ok(()));
        assert_eq!(record.health(), LaunchHealth::Working);
    }

    #[test]
    fn launches_must_fail_in_a_row_and_are_forgotten() {
        let record = LaunchRecord::default();
        record.probed(Ok(()));
        for _ in 1..FAILURES {
            failed(&record);
        }
        assert_eq!(record.health(), LaunchHealth::Working, "a probe works");
        failed(&record);
        assert!(matches!(record.health(), LaunchHealth::Failing(_)));
        let later = Instant::now() + MEMORY;
        assert_eq!(record.health_at(later), LaunchHealth::Working, "nothing would try again");

        failed(&record);
        assert!(matches!(record.health(), LaunchHealth::Failing(_)));
        record.launched(Ok(()));
        assert_eq!(record.health(), LaunchHealth::Working);
    }

    #[test]
    fn an_affair_of_one_session_does_not_count() {
        let record = LaunchRecord::default();
        for _ in 0..FAILURES {
            record.launched(Err(&LaunchError::Refused("no".to_owned())));
            record.launched(Err(&LaunchError::Cancelled));
        }
        assert_eq!(record.health(), LaunchHealth::Unknown);
    }
}
