//! The answers to callers, the events of subscribers and the model's requests while faults were injected, with the true
//! state in the end. Collected by the scenarios, judged by [`crate::check`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;

#[derive(Debug, Default)]
pub(crate) struct History {
    /// Accepted tasks, those of one session in the order in which they were accepted.
    pub(crate) accepted: Vec<AcceptedTask>,
    pub(crate) followers: Vec<Follower>,
    /// Each session's whole log, read when all was over.
    pub(crate) logs: BTreeMap<String, Vec<Value>>,
    /// `GET /task/:id` of each task when all was over.
    pub(crate) records: BTreeMap<String, Value>,
    /// Sessions that were deleted at some time: what was before is in no log.
    pub(crate) deleted: BTreeSet<String>,
    /// Model requests by what the user wrote last.
    pub(crate) asked: BTreeMap<String, usize>,
    /// When something was done that may cut a model request.
    pub(crate) faults: Vec<Timestamp>,
}

/// A task that a caller knows was accepted.
#[derive(Clone, Debug)]
pub(crate) struct AcceptedTask {
    pub(crate) session: String,
    pub(crate) task: String,
    pub(crate) message: String,
    pub(crate) expected: Expected,
}

/// The ends that a task may have.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    pub(crate) completes: Completes,
    /// The `errorType`s that would be true.
    pub(crate) errors: &'static [&'static str],
    /// Model requests without any fault. `None`: they are not counted.
    pub(crate) requests: Option<usize>,
}

#[derive(Clone, Debug)]
pub(crate) enum Completes {
    Never,
    WithAnyText,
    /// Its `text` events come to this, those of all its messages together.
    WithText(String),
}

/// One subscriber that came back each time it was cut off.
#[derive(Debug, Default)]
pub(crate) struct Follower {
    pub(crate) session: String,
    pub(crate) connections: Vec<Connection>,
}

/// The events of one connection.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    /// The last event that the subscriber had before.
    pub(crate) since: u64,
    pub(crate) events: Vec<Value>,
}

impl History {
    pub(crate) fn log(&self, session: &str) -> &[Value] {
        self.logs.get(session).map_or(&[], Vec::as_slice)
    }
}

impl Follower {
    /// The last event that it has.
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
