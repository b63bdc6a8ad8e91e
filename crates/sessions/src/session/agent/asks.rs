//! The asks of the agent.

use std::time::Duration;

use domain::ask::AskRecord;
use tokio::time::Instant;

use super::{Agent, Scope};
use crate::session::request::{AnswerError, AnswerRequest};
use crate::session::running::Running;
use crate::session::tasks::Tasks;

impl Agent {
    /// A person answers an ask. The agent gets the decision after the next commit.
    pub(crate) fn answer(&mut self, request: AnswerRequest, scope: &mut Scope<'_>) -> Result<AskRecord, AnswerError> {
        let AnswerRequest { ask, answer, by } = request;
        let answered = self.conversation.answer(&ask, answer, by, scope.tasks, scope.durable)?;
        self.mark(scope);
        Ok(answered)
    }

    /// Ends the asks whose time is over.
    pub(super) fn expire_asks(&mut self, scope: &mut Scope<'_>) {
        if self.conversation.asks_expire_at().is_some_and(|at| at <= Instant::now()) {
            if let Some(failure) = self.conversation.expire_asks(scope.tasks, scope.durable) {
                self.conversation.withdraw_asks(scope.tasks, scope.durable);
                self.interrupt(failure, scope.tasks);
            }
            self.mark(scope);
        }
    }

    /// The earliest moment at which something about the running task is due: its end, a stall, or the end of an ask.
    pub(crate) fn acts_at(&self, tasks: &Tasks, stall_timeout: Duration) -> Option<Instant> {
        let times_out_at = tasks.running().and_then(Running::deadline);
        let stalls_at = self.stalls_at(tasks, stall_timeout);
        [times_out_at, stalls_at, self.conversation.asks_expire_at()].into_iter().flatten().min()
    }

    /// Withdraws the open asks of a task that is interrupted.
    pub(crate) fn withdraw_asks(&mut self, scope: &mut Scope<'_>) {
        self.conversation.withdraw_asks(scope.tasks, scope.durable);
        self.mark(scope);
    }

    /// The decisions are durable: the agent gets them.
    pub(crate) fn release_decisions(&mut self) {
        self.conversation.release_decisions();
    }

    /// The session forgets the decisions that it remembers.
    pub(crate) fn forget_decisions(&mut self) {
        self.conversation.forget_decisions();
    }
}
