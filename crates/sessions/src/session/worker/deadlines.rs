//! What is done without being asked, when its time has come.

use std::sync::Arc;
use std::time::Duration;

use failpoint::failpoint;
use tokio::time::Instant;
use tracing::info;

use super::{SETTLE, Worker};
use crate::session::running::Running;
use crate::session::state::{Input, State};

/// A worker that has nothing to do and nobody to talk to ends after this long; the session is in the store.
const RETIRE_AFTER: Duration = Duration::from_secs(30);

impl Worker {
    /// The earliest moment at which something has to be done without being asked.
    pub(super) fn next_deadline(&self) -> Instant {
        let idle = (self.state == State::Idle).then(|| self.idles_out_at());
        let rest = (self.state == State::Cold).then(|| self.idle_since + RETIRE_AFTER);
        let task = self.conversation.running.as_ref().map(Running::deadline);
        [idle, rest, task, self.stalls_at(), self.retry_commit]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or_else(|| Instant::now() + Duration::from_hours(1))
    }

    pub(super) async fn on_deadline(&mut self) {
        let now = Instant::now();
        if self.retry_commit.is_some_and(|at| at <= now) {
            self.flush().await;
        }
        if self.state == State::Idle && self.idles_out_at() <= now {
            info!(session.id = %self.conversation.id, "session idle: its container goes, its volumes stay");
            failpoint!("session.idle");
            self.transition(Input::IdledOut).await;
        }
        self.check_running(now).await;
    }

    /// When an idle sandbox goes.
    fn idles_out_at(&self) -> Instant {
        self.idle_since + if self.leaving { SETTLE } else { self.context.settings.idle_timeout }
    }

    pub(super) fn may_retire(&self) -> bool {
        let at_rest = self.state == State::Cold
            && self.queue.is_empty()
            && self.deferred.is_empty()
            && self.conversation.journal.is_empty()
            && self.messages.is_empty();
        // A session that nobody posted to needs no worker once its last subscriber is gone.
        let born = self.conversation.record.is_some();
        at_rest
            && self.conversation.journal.log().subscribers() == 0
            && Arc::strong_count(self.conversation.journal.log()) == 1
            && (!born || self.idle_since + RETIRE_AFTER <= Instant::now())
    }
}
