//! The model requests of one task: which may start, and how long the open ones may continue after the task has ended.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::budget::Payer;
use domain::usage::{Cost, Usage};
use observe::telemetry::TaskTrace;
use tokio::sync::watch;
use tokio::time::Instant;

use super::meter::UsageSnapshot;

/// The way a task ended. It decides what the task's open requests cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskEnd {
    /// The agent ended, failed or was lost, or the task reached its time, turn or cost limit. An agent can cause all of these, so a
    /// request that is cut costs its whole reservation.
    Own,
    /// A caller aborted the task, or deleted or reset its session. A request that is cut costs an estimate of what the model has
    /// written so far.
    Caller,
    /// The work was cancelled, by a caller or for another reason. A request that is cut costs its whole reservation.
    Cancelled,
    /// The coordinator shuts down. Open requests are cut at once, and cost their whole reservation unless a caller had ended the task.
    Shutdown,
}

/// The time for which the answers of open requests are read after their task has ended.
#[derive(Clone, Copy, Debug)]
pub struct SettleBounds {
    /// The time after [`TaskEnd::Own`].
    pub own: Duration,
    /// The time after [`TaskEnd::Caller`] and [`TaskEnd::Cancelled`].
    pub caller: Duration,
}

impl Default for SettleBounds {
    fn default() -> Self {
        SettleBounds { own: Duration::from_mins(1), caller: Duration::from_secs(10) }
    }
}

/// The cost of a request whose answer was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CutCharge {
    Reservation,
    /// The prompt, and an estimate of the output by the time for which the request was open.
    Elapsed,
}

#[derive(Clone, Copy, Debug)]
struct Cutoff {
    at: Instant,
    charge: CutCharge,
}

/// One task, from its beginning until its last request is charged.
pub(super) struct TaskRequests {
    pub(super) payer: Payer,
    /// The model that the task asks for. `None`: any.
    pub(super) model: Option<String>,
    /// Set once the task has ended. No request starts after that.
    cutoff: watch::Sender<Option<Cutoff>>,
    used: Mutex<UsageSnapshot>,
    trace: Mutex<TaskTrace>,
}

impl TaskRequests {
    pub(super) fn new(payer: Payer, model: Option<String>) -> Self {
        let cutoff = watch::Sender::default();
        TaskRequests { payer, model, cutoff, used: Mutex::default(), trace: Mutex::default() }
    }

    /// Ends the task, so that no further request starts. The first reason decides, except that a shutdown shortens every wait.
    pub(super) fn end(&self, end: TaskEnd, bounds: &SettleBounds) {
        let now = Instant::now();
        let cutoff = match end {
            TaskEnd::Own => Cutoff { at: now + bounds.own, charge: CutCharge::Reservation },
            TaskEnd::Caller => Cutoff { at: now + bounds.caller, charge: CutCharge::Elapsed },
            TaskEnd::Cancelled => Cutoff { at: now + bounds.caller, charge: CutCharge::Reservation },
            TaskEnd::Shutdown => Cutoff { at: now, charge: self.charge_at_shutdown() },
        };
        self.cutoff.send_if_modified(|current| {
            let decides = current.is_none() || end == TaskEnd::Shutdown;
            if decides {
                *current = Some(cutoff);
            }
            decides
        });
    }

    /// The charge of a request that the coordinator's end cuts. A caller that ended the task before keeps the estimate.
    pub(super) fn charge_at_shutdown(&self) -> CutCharge {
        self.cutoff.borrow().map_or(CutCharge::Reservation, |cutoff| cutoff.charge)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.cutoff.borrow().is_some()
    }

    /// Resolves when the task has ended.
    pub(super) async fn ended(&self) {
        // Waiting fails only without a sender, and this value is the sender.
        let _ = self.cutoff.subscribe().wait_for(Option::is_some).await;
    }

    /// Resolves when the answer of an open request may not be read any further.
    pub(super) async fn cut(&self) -> CutCharge {
        let mut changes = self.cutoff.subscribe();
        loop {
            let cutoff = *changes.borrow_and_update();
            let due = async {
                match cutoff {
                    Some(cutoff) => {
                        tokio::time::sleep_until(cutoff.at).await;
                        cutoff.charge
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                charge = due => return charge,
                // This value is the sender, so the channel is never closed.
                _ = changes.changed() => {}
            }
        }
    }

    pub(super) fn used(&self) -> UsageSnapshot {
        *self.lock_used()
    }

    pub(super) fn add(&self, usage: Usage, cost: Cost) {
        let mut used = self.lock_used();
        used.usage += usage;
        used.cost += cost;
    }

    /// Replaces the part of one request in the cost of models without a price.
    pub(super) fn assume(&self, before: Cost, now: Cost) {
        let mut used = self.lock_used();
        used.assumed = used.assumed - before + now;
    }

    pub(super) fn trace(&self) -> TaskTrace {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn trace_as(&self, trace: TaskTrace) {
        *self.trace.lock().unwrap_or_else(PoisonError::into_inner) = trace;
    }

    fn lock_used(&self) -> MutexGuard<'_, UsageSnapshot> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    const BOUNDS: SettleBounds = SettleBounds { own: Duration::from_millis(60), caller: Duration::from_millis(10) };

    #[tokio::test]
    async fn the_reason_decides_how_long_answers_are_read_and_what_a_cut_costs() {
        for (end, wait, charge) in [
            (TaskEnd::Own, BOUNDS.own, CutCharge::Reservation),
            (TaskEnd::Caller, BOUNDS.caller, CutCharge::Elapsed),
            (TaskEnd::Cancelled, BOUNDS.caller, CutCharge::Reservation),
            (TaskEnd::Shutdown, Duration::ZERO, CutCharge::Reservation),
        ] {
            let task = TaskRequests::new(Payer::default(), None);
            assert!(task.ended().now_or_never().is_none() && !task.has_ended());
            let began = Instant::now();
            task.end(end, &BOUNDS);
            assert!(task.ended().now_or_never().is_some() && task.has_ended());
            assert_eq!(task.cut().await, charge);
            assert!(began.elapsed() >= wait);
        }
    }

    #[tokio::test]
    async fn the_first_reason_decides_and_a_shutdown_ends_the_wait() {
        let task = TaskRequests::new(Payer::default(), None);
        task.end(TaskEnd::Own, &BOUNDS);
        task.end(TaskEnd::Caller, &BOUNDS);
        assert_eq!(task.cut().await, CutCharge::Reservation);

        let task = TaskRequests::new(Payer::default(), None);
        task.end(TaskEnd::Own, &SettleBounds::default());
        let mut cut = Box::pin(task.cut());
        assert!(futures::poll!(cut.as_mut()).is_pending());
        task.end(TaskEnd::Shutdown, &SettleBounds::default());
        assert_eq!(cut.await, CutCharge::Reservation);

        let task = TaskRequests::new(Payer::default(), None);
        task.end(TaskEnd::Caller, &SettleBounds::default());
        task.end(TaskEnd::Shutdown, &SettleBounds::default());
        assert_eq!(task.cut().await, CutCharge::Elapsed, "the caller's abort came first");
    }
}
