//! The time since a session was last in use. It decides when its sandbox is removed and when its worker ends.

use std::time::Duration;

use tokio::time::Instant;

use super::sandbox::SETTLE;
use super::state::State;

/// The sleep of a worker without a deadline.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_hours(1);

/// The time after which a worker without work and without subscribers ends. The store has the session.
const RETIRE_AFTER: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct IdleTimer {
    since: Instant,
    timeout: Duration,
}

impl IdleTimer {
    /// `timeout` is the time for which an idle sandbox is kept.
    pub(crate) fn new(timeout: Duration, now: Instant) -> Self {
        IdleTimer { since: now, timeout }
    }

    /// Notes a transition. An eviction that interrupts an idle time does not prolong it.
    pub(crate) fn on_transition(&mut self, before: State, after: State, now: Instant) {
        if after == State::Idle || (after == State::Evicting && before == State::Running) {
            self.since = now;
        }
    }

    /// Returns the time at which the sandbox is removed.
    pub(crate) fn stops_at(&self, state: State) -> Option<Instant> {
        match state {
            State::Idle => Some(self.since + self.timeout),
            State::Evicting => Some(self.since + SETTLE),
            State::Cold
            | State::Starting
            | State::Running
            | State::Cancelling(_)
            | State::Stopping(_)
            | State::Wiping(_) => None,
        }
    }

    /// Postpones the end of the worker of a cold session, which is still needed, for example by a subscriber.
    pub(crate) fn postpone_retirement(&mut self, state: State, now: Instant) {
        if self.retires_at(state).is_some_and(|at| at <= now) {
            self.since = now;
        }
    }

    /// Returns the time at which the worker of a cold session ends.
    pub(crate) fn retires_at(&self, state: State) -> Option<Instant> {
        (state == State::Cold).then(|| self.since + RETIRE_AFTER)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{IdleTimer, RETIRE_AFTER};
    use crate::session::sandbox::SETTLE;
    use crate::session::state::{After, State};

    const TIMEOUT: Duration = Duration::from_mins(5);

    #[test]
    fn an_idle_sandbox_stays_for_the_timeout_and_an_evicted_one_until_it_has_settled() {
        let start = Instant::now();
        let mut timer = IdleTimer::new(TIMEOUT, start);
        let (idle, evicted) = (start + Duration::from_secs(10), start + Duration::from_secs(20));
        timer.on_transition(State::Running, State::Idle, idle);
        assert_eq!(timer.stops_at(State::Idle), Some(idle + TIMEOUT));

        timer.on_transition(State::Idle, State::Evicting, evicted);
        assert_eq!(timer.stops_at(State::Evicting), Some(idle + SETTLE), "the transcript is written already");
        assert_eq!(timer.stops_at(State::Stopping(After::Rest)), None);
        timer.on_transition(State::Running, State::Evicting, evicted);
        assert_eq!(timer.stops_at(State::Evicting), Some(evicted + SETTLE), "the task ended just now");
    }

    #[test]
    fn only_the_worker_of_a_cold_session_ends_and_one_that_is_needed_does_not_spin() {
        let start = Instant::now();
        let mut timer = IdleTimer::new(TIMEOUT, start);
        assert_eq!(timer.retires_at(State::Starting), None);
        assert_eq!(timer.retires_at(State::Cold), Some(start + RETIRE_AFTER));
        timer.postpone_retirement(State::Cold, start);
        assert_eq!(timer.retires_at(State::Cold), Some(start + RETIRE_AFTER), "it is not over yet");
        let over = start + RETIRE_AFTER;
        timer.postpone_retirement(State::Cold, over);
        assert_eq!(timer.retires_at(State::Cold), Some(over + RETIRE_AFTER), "a deadline in the past is never left");
    }
}
