//! The answers to callers, the events of subscribers and the model's requests while faults were injected, and the final state. The
//! scenarios collect it, and [`crate::check`] judges it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

#[derive(Debug, Default)]
pub(crate) struct History {
    /// The accepted tasks. The tasks of one session are in the order in which they were accepted.
    pub(crate) accepted: Vec<AcceptedTask>,
    pub(crate) followers: Vec<Follower>,
    /// Each session's whole log, read at the end.
    pub(crate) logs: BTreeMap<String, Vec<Value>>,
    /// `GET /task/:id` of each task, read at the end.
    pub(crate) records: BTreeMap<String, Value>,
    /// Sessions that were deleted at some time. Their earlier events are in no log.
    pub(crate) deleted: BTreeSet<String>,
    /// The number of model requests by the latest user message.
    pub(crate) asked: BTreeMap<String, usize>,
    /// The times of actions that may have cut off a model request.
    pub(crate) faults: Vec<Timestamp>,
}

/// A task that the server accepted, as its caller knows.
#[derive(Clone, Debug)]
pub(crate) struct AcceptedTask {
    pub(crate) session: String,
    pub(crate) task: String,
    pub(crate) message: String,
    pub(crate) expected: Expected,
}

/// The possible ends of a task.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) completes: Completes,
    /// The `errorType`s that are true.
    pub(crate) errors: &'static [&'static str],
    /// The number of model requests without a fault. `None`: they are not counted.
    pub(crate) requests: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) enum Completes {
    Never,
    WithAnyText,
    /// The joined text of its `text` events, over all its messages.
    WithText(String),
}

/// A subscriber that reconnected after each interruption.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    pub(crate) session: String,
    pub(crate) connections: Vec<Connection>,
}

/// The events of one connection.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// The last event that the subscriber had received before.
    pub(crate) since: u64,
    pub(crate) events: Vec<Value>,
}

impl History {
    pub(crate) fn log(&self, session: &str) -> &[Value] {
        self.logs.get(session).map_or(&[], Vec::as_slice)
    }
}

impl Follower {
    /// The last event of this connection.
    pub(crate) fn last_seq(&self) -> u64 {
        let events = self.connections.iter().flat_map(|connection| &connection.events);
        events.filter_map(seq).next_back().unwrap_or_default()
    }
}

pub(crate) fn seq(event: &Value) -> Option<u64> {
    event["seq"].as_u64()
}

pub(crate) fn is_of(event: &Value, task: &str) -> bool {
    event["taskId"] == *task
}

/// Returns true when a task ends with this event.
pub(crate) fn is_end(event: &Value) -> bool {
    ["task_complete", "task_failed", "abort"].iter().any(|kind| event["type"] == *kind)
}

pub(crate) fn time_of(event: &Value) -> Option<Timestamp> {
    event["ts"].as_str()?.parse().ok()
}
