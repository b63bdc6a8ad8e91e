//! The address of a session's worker. Cheap to clone, holds no state.

use std::sync::Arc;

use domain::session::{SessionId, SessionRecord};
use tokio::sync::{mpsc, watch};

use super::context::SessionContext;
use super::published::Status;
use super::request::Request;
use super::worker::Worker;

/// The number of requests that wait for the worker. Further callers wait.
const MAILBOX: usize = 64;

#[derive(Clone, Debug)]
pub struct SessionHandle {
    requests: mpsc::Sender<Request>,
    status: watch::Receiver<Status>,
}

/// The worker has ended, because the session is at rest or the coordinator ends. The request was not accepted.
#[derive(Debug)]
pub(crate) struct SessionGone(pub(crate) Request);

impl SessionHandle {
    /// A worker that does not run yet, and its address.
    pub(crate) fn with_worker(
        context: Arc<SessionContext>,
        id: SessionId,
        record: Option<SessionRecord>,
    ) -> (Self, Worker) {
        let (requests, inbox) = mpsc::channel(MAILBOX);
        let (publish, status) = watch::channel(Status::default());
        (SessionHandle { requests, status }, Worker::new(context, id, record, inbox, publish))
    }

    pub fn status(&self) -> Status {
        *self.status.borrow()
    }

    pub(crate) async fn send(&self, request: Request) -> Result<(), SessionGone> {
        self.requests.send(request).await.map_err(|refused| SessionGone(refused.0))
    }

    pub(crate) fn is_same(&self, other: &SessionHandle) -> bool {
        self.requests.same_channel(&other.requests)
    }
}
