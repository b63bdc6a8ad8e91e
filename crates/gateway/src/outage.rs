//! Outages of the model API: the CLI retries at first, then the gateway, and then the task ends.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The limits of an outage within a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutageBounds {
    /// The time in which the CLI retries by itself, so that its viewers see each try. Its later waits are too long: the tenth try comes
    /// after three minutes.
    pub left_to_cli: Duration,
    /// The time after which no further try begins.
    pub total: Duration,
    /// The wait between two tries of the gateway.
    pub pause: Duration,
    /// `MODEL_ANSWER_TIMEOUT_MS`: the time in which an answer has to begin. The API begins a streamed one at once.
    pub answer: Duration,
}

/// The least time that a request has for its answer, however long the outage lasts. It is longer than an attempt to connect, which
/// has a failure of its own.
const LAST_TRY: Duration = Duration::from_secs(11);

impl Default for OutageBounds {
    fn default() -> Self {
        // With a last try of 11 s, a task ends within a minute.
        OutageBounds {
            left_to_cli: Duration::from_secs(15),
            total: Duration::from_secs(45),
            pause: Duration::from_secs(2),
            answer: Duration::from_secs(45),
        }
    }
}

/// The consequence of a failed try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The CLI gets an error that it retries.
    LeaveToCli,
    /// The gateway tries again after this wait.
    Retry(Duration),
    /// The CLI gets an error that it does not retry.
    GiveUp,
}

/// The current outage, if there is one.
#[derive(Debug, Default)]
pub(super) struct Outage(Mutex<Option<Instant>>);

impl Outage {
    /// Records a try that began at `began` and failed at `now`, and decides on the next one.
    pub(super) fn failed(&self, began: Instant, now: Instant, bounds: &OutageBounds) -> Next {
        let lasts = self.lasts(began, now);
        if lasts < bounds.left_to_cli {
            Next::LeaveToCli
        } else if lasts + bounds.pause < bounds.total {
            Next::Retry(bounds.pause)
        } else {
            Next::GiveUp
        }
    }

    /// Records a try after which only the CLI may try again, and returns true if that try would come in time. The CLI doubles its
    /// waits, so that its next one is about as long as the outage was until now: in the second half, it would come too late.
    pub(super) fn leaves_time_to_cli(&self, began: Instant, now: Instant, bounds: &OutageBounds) -> bool {
        self.lasts(began, now) * 2 < bounds.total
    }

    /// Returns the time that a request has until its answer begins: together with the earlier tries of the outage, no more than a
    /// single one has.
    pub(super) fn time_to_answer(&self, now: Instant, bounds: &OutageBounds) -> Duration {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lasts = since.map(|since| now.saturating_duration_since(since)).unwrap_or_default();
        bounds.answer.saturating_sub(lasts).max(LAST_TRY.min(bounds.answer))
    }

    /// Returns how long the outage has lasted. A new one begins with the try.
    fn lasts(&self, began: Instant, now: Instant) -> Duration {
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now.saturating_duration_since(*since.get_or_insert(began))
    }

    /// The API has answered, or another task begins.
    pub(super) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cli_retries_then_the_gateway_then_nobody() {
        let (outage, bounds, began) = (Outage::default(), OutageBounds::default(), Instant::now());
        let after = |wait| outage.failed(began + wait, began + wait, &bounds);
        assert_eq!(after(Duration::ZERO), Next::LeaveToCli);
        assert_eq!(after(bounds.left_to_cli), Next::Retry(bounds.pause));
        assert_eq!(
            after(bounds.total.saturating_sub(bounds.pause)),
            Next::GiveUp,
            "a try after the pause comes too late"
        );
        assert_eq!(after(bounds.total), Next::GiveUp);
        outage.end();
        assert_eq!(after(bounds.total), Next::LeaveToCli);
    }

    #[test]
    fn a_request_that_may_have_been_carried_out_is_left_to_the_cli_while_its_next_try_comes_in_time() {
        let (outage, bounds, began) = (Outage::default(), OutageBounds::default(), Instant::now());
        let after = |wait| outage.leaves_time_to_cli(began + wait, began + wait, &bounds);
        assert!(after(Duration::ZERO));
        // Tries of the CLI come after about 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 and 63.5 s.
        assert!(after(Duration::from_millis(15_500)));
        assert!(!after(Duration::from_millis(31_500)));
    }

    #[test]
    fn the_tries_of_an_outage_share_the_time_for_an_answer() {
        let (outage, bounds, began) = (Outage::default(), OutageBounds::default(), Instant::now());
        let time_after = |wait| outage.time_to_answer(began + wait, &bounds);
        assert_eq!(time_after(Duration::ZERO), bounds.answer);
        assert_eq!(time_after(bounds.total), bounds.answer, "there is no outage yet");
        outage.failed(began, began, &bounds);
        assert_eq!(time_after(Duration::from_secs(5)), bounds.answer.saturating_sub(Duration::from_secs(5)));
        assert_eq!(time_after(bounds.total), LAST_TRY);
        assert!(bounds.total + LAST_TRY < Duration::from_mins(1));
        outage.end();
        assert_eq!(time_after(bounds.total), bounds.answer);
    }

    #[test]
    fn a_try_that_took_long_counts_from_its_beginning() {
        let (outage, bounds, began) = (Outage::default(), OutageBounds::default(), Instant::now());
        assert_eq!(outage.failed(began, began + bounds.total, &bounds), Next::GiveUp);
    }
}
