use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::{EngineError, Operation};

/// The faults that a test has injected.
#[derive(Default)]
pub(super) struct Faults {
    failing: Mutex<HashMap<Operation, VecDeque<EngineError>>>,
    hanging: watch::Sender<HashSet<Operation>>,
    away: watch::Sender<bool>,
}

impl Faults {
    pub(super) fn fail_next(&self, operation: Operation, error: EngineError) {
        self.failing().entry(operation).or_default().push_back(error);
    }

    pub(super) fn clear_failures(&self) {
        self.failing().clear();
    }

    pub(super) fn hang(&self, operation: Operation) {
        self.hanging.send_if_modified(|hanging| hanging.insert(operation));
    }

    pub(super) fn release(&self, operation: Operation) {
        self.hanging.send_if_modified(|hanging| hanging.remove(&operation));
    }

    pub(super) fn set_away(&self, away: bool) {
        self.away.send_replace(away);
    }

    /// Blocks a call while its operation hangs, then lets it pass or fail.
    pub(super) async fn pass(&self, operation: Operation) -> Result<(), EngineError> {
        let mut hanging = self.hanging.subscribe();
        // The sender lives in `self`, so only a release ends the wait.
        let _ = hanging.wait_for(|hanging| !hanging.contains(&operation)).await;
        if *self.away.borrow() {
            return Err(unreachable(operation));
        }
        match self.failing().get_mut(&operation).and_then(VecDeque::pop_front) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Resolves when the engine becomes unreachable.
    pub(super) async fn gone_away(&self, operation: Operation) -> EngineError {
        let _ = self.away.subscribe().wait_for(|away| *away).await;
        unreachable(operation)
    }

    fn failing(&self) -> MutexGuard<'_, HashMap<Operation, VecDeque<EngineError>>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unreachable(operation: Operation) -> EngineError {
    EngineError::Unreachable {
        operation,
        address: "memory".to_owned(),
        reason: "the test made it unreachable".to_owned(),
    }
}
