//! The test's view of the world, and a way to wait for its changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::event::StoredEvent;
use domain::session::{SessionId, SessionKey};
use domain::task::{TaskId, TaskRecord};
use engine::ContainerId;
use tokio::sync::mpsc;

use crate::agent::Command;

/// The time after which a step counts as hung.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
pub(crate) struct Board {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub(crate) struct State {
    /// The started containers, with the workspace of each.
    pub(crate) sandboxes: BTreeMap<ContainerId, SandboxEntry>,
    /// Messages that reached an agent, in order. A message that the agent already had is not added.
    pub(crate) given: Vec<Given>,
    /// Tasks, by their number, whose turn is open in an agent.
    pub(crate) open: BTreeSet<usize>,
    /// Tells agents to end their open turns at once.
    pub(crate) finish_all: bool,
    /// Each life of a session, as received by a subscriber of all events.
    pub(crate) lives: BTreeMap<SessionKey, Life>,
    /// The events that other subscribers received.
    pub(crate) views: Vec<View>,
    pub(crate) tasks: BTreeMap<usize, TaskId>,
    /// Refused submissions and the reasons.
    pub(crate) refused: BTreeMap<usize, String>,
    /// The records that waiting callers got.
    pub(crate) told: BTreeMap<TaskId, TaskRecord>,
    /// Questions without an answer yet.
    pub(crate) asked: BTreeMap<usize, String>,
    /// The disk was full, so a write may have been refused.
    pub(crate) disk_was_full: bool,
    pub(crate) violations: Vec<String>,
}

pub(crate) struct SandboxEntry {
    pub(crate) workspace: String,
    pub(crate) commands: mpsc::Sender<Command>,
    /// The sandbox has no connection, and opens none until [`Command::Return`].
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

    /// Waits until `holds` returns true. Returns false if the bound passes first.
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
