//! What the journal holds is committed; only then does anyone hear of it.

use std::time::Duration;

use domain::task::TaskRecord;
use failpoint::failpoint;
use store::StoreError;
use tokio::time::Instant;
use tracing::warn;

use super::Worker;
use crate::session::feed::Changed;

/// How soon a commit that failed is tried again.
const COMMIT_RETRY: Duration = Duration::from_millis(500);

impl Worker {
    /// Commits what is in the journal. What cannot be written now is kept and tried again.
    pub(super) async fn flush(&mut self) {
        // What failed is tried again, which is all there is to do about it here.
        let _ = self.commit().await;
    }

    /// As [`Worker::flush`], for those who must know.
    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        match self.conversation.journal.flush().await {
            Ok(flushed) => {
                self.retry_commit = None;
                if let (Some(frame), Some(sandbox)) = (flushed.last_frame, &self.sandbox) {
                    sandbox.link.acknowledge(frame);
                }
                // Before anyone is told: who asks then sees a session that is not busy any more.
                for record in &flushed.tasks {
                    self.context.feed.publish(&Changed::Task(record));
                }
                if flushed.session_deleted {
                    self.context.feed.publish(&Changed::SessionDeleted(&self.conversation.id));
                    self.told = None;
                }
                self.publish_status();
                if let Some(lag) = flushed.lag {
                    self.context.metrics.events_published(lag);
                }
                for record in flushed.ended {
                    failpoint!("end.written");
                    self.count_ended(&record);
                    self.tell_ended(&record);
                    failpoint!("end.told");
                }
                // Whichever commit it was that made the task's start durable.
                self.say_prompt_once_durable().await;
                Ok(())
            }
            Err(error) => {
                warn!(session.id = %self.conversation.id, %error, "could not commit; trying again");
                self.retry_commit = Some(Instant::now() + COMMIT_RETRY);
                Err(error)
            }
        }
    }

    /// Takes back what was just put in the journal and could not be committed.
    pub(super) fn discard(&mut self) {
        self.conversation.journal.discard();
        self.retry_commit = None;
    }

    fn tell_ended(&mut self, record: &TaskRecord) {
        for reply in self.waiting.remove(&record.id).unwrap_or_default() {
            let _ = reply.send(Some(record.clone()));
        }
        for (_, reply) in self.interrupted.extract_if(.., |(task, _)| *task == record.id) {
            let _ = reply.send(true);
        }
    }
}
