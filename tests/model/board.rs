//! The test's knowledge of the world, and the way to wait for a change of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::event::StoredEvent;
use domain::session::{SessionId, SessionKey};
use domain::task::{TaskId, TaskRecord};
use engine::ContainerId;
use tokio::sync::mpsc;

use crate::agent::Command;

/// Nothing here takes longer, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
pub(crate) struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub(crate) struct State {
    /// Containers that were started, by the session's workspace.
    pub(crate) sandboxes: BTreeMap<ContainerId, SandboxEntry>,
    /// Messages that reached an agent, in order; one that the agent had before is not in here.
    pub(crate) given: Vec<Given>,
    /// Tasks, by their number, whose turn is open in an agent.
    pub(crate) open: BTreeSet<usize>,
    /// From now on agents end what they hold at once.
    pub(crate) finish_all: bool,
    /// Each life of a session, as a subscriber saw it that asked for all events.
    pub(crate) lives: BTreeMap<SessionKey, Life>,
    /// The events that other subscribers saw.
    pub(crate) views: Vec<View>,
    pub(crate) tasks: BTreeMap<usize, TaskId>,
    /// Submissions that were refused, and why.
    pub(crate) refused: BTreeMap<usize, String>,
    /// The records that waiting callers got.
    pub(crate) told: BTreeMap<TaskId, TaskRecord>,
    /// Questions without an answer yet.
    pub(crate) asked: BTreeMap<usize, String>,
    /// The disk was full: a write may have been refused.
    pub(crate) disk_was_full: bool,
    pub(crate) violations: Vec<String>,
}

pub(crate) struct SandboxEntry {
    pub(crate) workspace: String,
    pub(crate) commands: mpsc::Sender<Command>,
    /// It holds no connection, and makes none until it is told to return.
    pub(crate) away: bool,
    pub(crate) ended: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) task: usize,
    pub(crate) uuid: String,
    pub(crate) container: ContainerId,
}

/// The events of one life of a session, from its creation to its deletion.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) session: SessionId,
    pub(crate) events: Vec<StoredEvent>,
}

#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) since: u64,
    pub(crate) events: Vec<StoredEvent>,
}

impl Board {
    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until something holds. False: it did not within the bound.
    pub(crate) fn until(&self, bound: Duration, holds: impl Fn(&State) -> bool) -> bool {
        let end = Instant::now() + bound;
        let mut state = self.lock();
        while !holds(&state) {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            (state, _) = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
