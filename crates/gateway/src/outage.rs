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
}

impl Default for OutageBounds {
    fn default() -> Self {
        // With a last try of 10 s, a task ends within a minute.
        OutageBounds {
            left_to_cli: Duration::from_secs(15),
            total: Duration::from_secs(45),
            pause: Duration::from_secs(2),
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
        let mut since = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lasts = now.saturating_duration_since(*since.get_or_insert(began));
        if lasts < bounds.left_to_cli {
            Next::LeaveToCli
        } else if lasts < bounds.total {
            Next::Retry(bounds.pause)
        } else {
            Next::GiveUp
        }
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
        assert_eq!(after(bounds.total), Next::GiveUp);
        outage.end();
        assert_eq!(after(bounds.total), Next::LeaveToCli);
    }

    #[test]
    fn a_try_that_took_long_counts_from_its_beginning() {
        let (outage, bounds, began) = (Outage::default(), OutageBounds::default(), Instant::now());
        assert_eq!(outage.failed(began, began + bounds.total, &bounds), Next::GiveUp);
    }
}
