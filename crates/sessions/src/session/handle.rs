//! The address of a session's worker. Cheap to clone, holds no state.

use std::sync::Arc;

use domain::session::{SessionId, SessionRecord};
use tokio::sync::{mpsc, watch};

use super::context::SessionContext;
use super::message::Message;
use super::worker::Worker;

/// Messages that a worker has not looked at yet; who sends more waits.
const MAILBOX: usize = 64;

#[derive(Clone, Debug)]
pub struct SessionHandle {
    messages: mpsc::Sender<Message>,
    status: watch::Receiver<Status>,
}

/// What a list of sessions shows without asking each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    pub busy: bool,
    pub running: bool,
    pub queued: usize,
    pub state: &'static str,
}

/// The worker ended: the session is at rest, or the server is. The message was not taken.
#[derive(Debug)]
pub(crate) struct SessionGone(pub(crate) Message);

impl SessionHandle {
    /// A worker that does not run yet, and its address.
    pub(crate) fn with_worker(
        context: Arc<SessionContext>,
        id: SessionId,
        record: Option<SessionRecord>,
    ) -> (Self, Worker) {
        let (messages, inbox) = mpsc::channel(MAILBOX);
        let (tell, status) = watch::channel(Status::default());
        (SessionHandle { messages, status }, Worker::new(context, id, record, inbox, tell))
    }

    pub fn status(&self) -> Status {
        *self.status.borrow()
    }

    pub(crate) async fn send(&self, message: Message) -> Result<(), SessionGone> {
        self.messages.send(message).await.map_err(|refused| SessionGone(refused.0))
    }

    pub(crate) fn is_same(&self, other: &SessionHandle) -> bool {
        self.messages.same_channel(&other.messages)
    }
}
