//! The callers that wait for something of a session: the end of a task, a completed stop, the session's next life.

use std::collections::HashMap;
use std::sync::Arc;

use domain::task::{TaskId, TaskRecord};

use super::request::{Accepted, Reply, Submission, SubmitError, Until, Written};

/// A caller that waits for the end of a task. All of them share the record.
type EndReply = Reply<Option<Arc<TaskRecord>>>;

#[derive(Debug, Default)]
pub(crate) struct Waiters {
    ends: HashMap<TaskId, Vec<EndReply>>,
    /// Callers that wait for the end of a task, or for its first open ask.
    asks: HashMap<TaskId, Vec<EndReply>>,
    interrupts: Vec<(TaskId, Reply<bool>)>,
    stops: Vec<StopReply>,
    deferred: Vec<DeferredTask>,
}

/// A task that was submitted while the session was being deleted: it belongs to the next session of this id.
pub(crate) type DeferredTask = (Box<Submission>, Reply<Result<Accepted, SubmitError>>);

/// A caller that waits for a stop to complete.
#[derive(Debug)]
pub(crate) enum StopReply {
    Abort(Reply<bool>),
    Reset(Reply<Written<bool>>),
    Delete(Reply<Written<()>>),
}

impl StopReply {
    /// Answers that there is no session to stop.
    pub(crate) fn no_session(self) {
        match self {
            StopReply::Abort(reply) => drop(reply.send(false)),
            StopReply::Reset(reply) => drop(reply.send(Ok(false))),
            StopReply::Delete(reply) => drop(reply.send(Ok(()))),
        }
    }

    fn stopped(self, outcome: Written<()>) {
        match self {
            // The aborted tasks have ended, even if other changes could not be written.
            StopReply::Abort(reply) => drop(reply.send(true)),
            StopReply::Reset(reply) => drop(reply.send(outcome.map(|()| true))),
            StopReply::Delete(reply) => drop(reply.send(outcome)),
        }
    }
}

impl Waiters {
    pub(crate) fn wait_for(&mut self, task: TaskId, until: Until, reply: EndReply) {
        let replies = match until {
            Until::End => &mut self.ends,
            Until::Ask => &mut self.asks,
        };
        replies.entry(task).or_default().push(reply);
    }

    /// Answers the callers that do not wait longer than for an ask. `waiting`: the running task, if an ask of it is open and durable.
    pub(crate) fn task_waits(&mut self, waiting: Option<&TaskRecord>) {
        if let Some(record) = waiting {
            answer(self.asks.remove(&record.id).unwrap_or_default(), record);
        }
    }

    /// Answers true once the task that was interrupted has ended.
    pub(crate) fn wait_for_interrupt(&mut self, task: TaskId, reply: Reply<bool>) {
        self.interrupts.push((task, reply));
    }

    pub(crate) fn wait_for_stop(&mut self, reply: StopReply) {
        self.stops.push(reply);
    }

    /// Keeps a task for the session's next life. Refuses it if `bound` tasks are kept already.
    pub(crate) fn defer(&mut self, (submission, reply): DeferredTask, bound: usize) {
        if self.deferred.len() < bound {
            self.deferred.push((submission, reply));
        } else {
            let _ = reply.send(Err(SubmitError::QueueFull(self.deferred.len())));
        }
    }

    pub(crate) fn take_deferred(&mut self) -> Vec<DeferredTask> {
        std::mem::take(&mut self.deferred)
    }

    pub(crate) fn has_deferred(&self) -> bool {
        !self.deferred.is_empty()
    }

    /// Answers the callers that wait for a task, whose end is durable now.
    pub(crate) fn task_ended(&mut self, record: &TaskRecord) {
        answer(self.ends.remove(&record.id).unwrap_or_default(), record);
        answer(self.asks.remove(&record.id).unwrap_or_default(), record);
        for (_, reply) in self.interrupts.extract_if(.., |(task, _)| *task == record.id) {
            let _ = reply.send(true);
        }
    }

    /// Answers the callers of a stop that is complete or could not be written.
    pub(crate) fn stopped(&mut self, outcome: &Written<()>) {
        for reply in self.stops.drain(..) {
            reply.stopped(outcome.clone());
        }
    }
}

fn answer(replies: Vec<EndReply>, record: &TaskRecord) {
    if replies.is_empty() {
        return;
    }
    let record = Arc::new(record.clone());
    for reply in replies {
        drop(reply.send(Some(Arc::clone(&record))));
    }
}

#[cfg(test)]
mod tests;
