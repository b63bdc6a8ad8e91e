//! The callers that wait for something of a session: the end of a task, a completed stop, the session's next life.

use std::collections::HashMap;
use std::sync::Arc;

use domain::task::{TaskId, TaskRecord};

use super::request::{Accepted, Reply, Submission, SubmitError, Written};

/// A caller that waits for the end of a task. All of them share the record.
type EndReply = Reply<Option<Arc<TaskRecord>>>;

#[derive(Debug, Default)]
pub(crate) struct Waiters {
    ends: HashMap<TaskId, Vec<EndReply>>,
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
    pub(crate) fn wait_for_end(&mut self, task: TaskId, reply: EndReply) {
        self.ends.entry(task).or_default().push(reply);
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
        let replies = self.ends.remove(&record.id).unwrap_or_default();
        if !replies.is_empty() {
            let record = Arc::new(record.clone());
            replies.into_iter().for_each(|reply| drop(reply.send(Some(Arc::clone(&record)))));
        }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use domain::agent::AgentName;
    use store::StoreError;
    use tokio::sync::oneshot;

    use super::{StopReply, Waiters};
    use crate::session::request::{Submission, SubmitError};
    use crate::session::tasks::test_record;

    #[test]
    fn the_end_of_a_task_answers_all_that_wait_for_it_and_nobody_else() {
        let mut waiters = Waiters::default();
        let (one, other) = (test_record(), test_record());
        let channels: [_; 3] = std::array::from_fn(|_| oneshot::channel());
        let [(first, mut of_first), (second, mut of_second), (third, mut of_third)] = channels;
        waiters.wait_for_end(one.id.clone(), first);
        waiters.wait_for_end(one.id.clone(), second);
        waiters.wait_for_end(other.id.clone(), third);
        let (interrupt, mut interrupted) = oneshot::channel();
        waiters.wait_for_interrupt(one.id.clone(), interrupt);
        waiters.task_ended(&one);
        assert_eq!(of_first.try_recv().unwrap().unwrap().id, one.id);
        assert_eq!(of_second.try_recv().unwrap().unwrap().id, one.id);
        assert!(interrupted.try_recv().unwrap());
        assert!(of_third.try_recv().is_err());
        waiters.task_ended(&other);
        assert_eq!(of_third.try_recv().unwrap().unwrap().id, other.id);
    }

    #[test]
    fn a_stop_that_could_not_be_written_fails_resets_and_deletes_but_no_abort() {
        let mut waiters = Waiters::default();
        let ((abort, mut aborted), (reset, mut was_reset)) = (oneshot::channel(), oneshot::channel());
        waiters.wait_for_stop(StopReply::Abort(abort));
        waiters.wait_for_stop(StopReply::Reset(reset));
        waiters.stopped(&Err(Arc::new(StoreError::Closed)));
        assert!(aborted.try_recv().unwrap());
        assert!(was_reset.try_recv().unwrap().is_err());
        // The next stop does not affect them.
        waiters.stopped(&Ok(()));
    }

    #[test]
    fn tasks_for_the_next_life_are_bounded() {
        let mut waiters = Waiters::default();
        let submission = || {
            Box::new(Submission {
                task: None,
                agent: AgentName::default(),
                request: test_record().request,
                env: [].into(),
                needs: Vec::new(),
                idempotency: None,
                webhook: None,
            })
        };
        let ((first, mut kept), (second, mut refused)) = (oneshot::channel(), oneshot::channel());
        waiters.defer((submission(), first), 1);
        waiters.defer((submission(), second), 1);
        assert!(kept.try_recv().is_err());
        assert!(matches!(refused.try_recv().unwrap(), Err(SubmitError::QueueFull(1))));
        assert_eq!(waiters.take_deferred().len(), 1);
        assert!(!waiters.has_deferred());
    }
}
