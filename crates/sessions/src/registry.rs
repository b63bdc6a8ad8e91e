//! The map of live sessions: finds a session's worker, or starts one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use domain::session::{SessionId, SessionRecord};
use domain::task::{TaskId, TaskRecord};
use failpoint::failpoint;
use store::{StoreError, UnfinishedTask};
use tokio::sync::oneshot;
use tracing::{debug, info};

use crate::session::{
    AbortMode, AbortScope, Accepted, Message, OwnCredential, SessionContext, SessionHandle, SessionView, Status,
    Submission, SubmitError, Subscription, questions,
};

/// Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    context: Arc<SessionContext>,
    live: Arc<DashMap<SessionId, SessionHandle>>,
    /// Workers that have ended. What was read of a session is out of date if one did meanwhile.
    ended: Arc<AtomicU64>,
}

/// What the store has of a session that has no worker.
struct AtRest {
    /// `None`: nobody posted to it yet.
    record: Option<SessionRecord>,
    unfinished: Vec<UnfinishedTask>,
    /// [`Registry::ended`] before it was read.
    ended: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl Registry {
    pub fn new(context: Arc<SessionContext>) -> Self {
        Registry { context, live: Arc::default(), ended: Arc::default() }
    }

    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// Goes on with what an earlier coordinator accepted and did not end.
    pub async fn restore(&self) -> Result<(), RegistryError> {
        let sessions = self.context.store.live_sessions().await.map_err(Arc::new)?;
        // All of them before the first sweep, which would take them for leftovers.
        for sandbox in sessions.iter().filter_map(|record| record.sandbox.as_ref()) {
            self.context.sandboxes.keep(sandbox);
        }
        failpoint!("restore.read");
        for record in sessions {
            info!(session.id = %record.id, "session has something left to do");
            self.open(&record.id).await?;
        }
        Ok(())
    }

    pub async fn submit(&self, id: &SessionId, submission: Submission) -> Result<Accepted, SubmitError> {
        let (message, answer) = questions::submit(Box::new(submission));
        match self.ask(id, message, answer).await {
            Ok(accepted) => accepted,
            Err(RegistryError::Store(error)) => Err(SubmitError::Store(error)),
            Err(RegistryError::ShuttingDown) => Err(SubmitError::ShuttingDown),
        }
    }

    /// A task's record once it has ended.
    pub async fn wait(&self, id: &SessionId, task: &TaskId) -> Result<Option<TaskRecord>, RegistryError> {
        let (message, answer) = questions::wait(task.clone());
        self.ask(id, message, answer).await
    }

    /// False: nothing was running or waiting.
    pub async fn abort(&self, id: &SessionId, scope: AbortScope, mode: AbortMode) -> Result<bool, RegistryError> {
        let (message, answer) = questions::abort(scope, mode);
        self.ask(id, message, answer).await
    }

    /// False: there is no such session.
    pub async fn reset(&self, id: &SessionId) -> Result<bool, RegistryError> {
        let (message, answer) = questions::reset();
        Ok(self.ask(id, message, answer).await??)
    }

    /// `None` takes it away. False: there is no such session.
    pub async fn set_credential(
        &self,
        id: &SessionId,
        credential: Option<OwnCredential>,
    ) -> Result<bool, RegistryError> {
        let (message, answer) = questions::set_credential(credential);
        Ok(self.ask(id, message, answer).await??)
    }

    pub async fn delete(&self, id: &SessionId) -> Result<(), RegistryError> {
        let (message, answer) = questions::delete();
        Ok(self.ask(id, message, answer).await??)
    }

    /// Also for a session that nobody posted to yet: its events come once it is there.
    pub async fn subscribe(&self, id: &SessionId) -> Result<Subscription, RegistryError> {
        let (message, answer) = questions::subscribe();
        self.ask(id, message, answer).await
    }

    /// Has a session's sandbox made ready, where it has had one and there is room to spare.
    pub async fn prepare(&self, id: &SessionId) {
        if self.context.warm.is_on()
            && let Ok(handle) = self.open(id).await
        {
            // One that ended just now rests, which is well too.
            let _ = handle.send(Message::Prepare).await;
        }
    }

    pub async fn describe(&self, id: &SessionId) -> Result<Option<SessionView>, RegistryError> {
        let (message, answer) = questions::describe();
        self.ask(id, message, answer).await
    }

    /// What a session's worker last said of itself; a session without a worker is at rest.
    pub fn status(&self, id: &SessionId) -> Status {
        self.live.get(id).map_or(Status { state: "cold", ..Status::default() }, |handle| handle.status())
    }

    /// Sessions that run a task, and tasks that wait.
    pub fn load(&self) -> (usize, usize) {
        self.live
            .iter()
            .map(|entry| entry.status())
            .fold((0, 0), |(running, queued), status| (running + usize::from(status.running), queued + status.queued))
    }

    /// How many sessions with a sandbox, or on their way to or from one, are in which state.
    pub fn states(&self) -> Vec<(&'static str, usize)> {
        let mut states = ["starting", "idle", "running", "stopping"].map(|state| (state, 0));
        for entry in self.live.iter() {
            let now = entry.status().state;
            states.iter_mut().filter(|(state, _)| *state == now).for_each(|(_, count)| *count += 1);
        }
        states.to_vec()
    }

    async fn ask<T>(
        &self,
        id: &SessionId,
        mut message: Message,
        answer: oneshot::Receiver<T>,
    ) -> Result<T, RegistryError> {
        loop {
            if self.context.shutdown.is_cancelled() {
                return Err(RegistryError::ShuttingDown);
            }
            match self.open(id).await?.send(message).await {
                Ok(()) => return answer.await.map_err(|_| RegistryError::ShuttingDown),
                // The worker retired just now. Its successor takes the message.
                Err(refused) => {
                    message = refused.0;
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    async fn open(&self, id: &SessionId) -> Result<SessionHandle, RegistryError> {
        loop {
            if let Some(handle) = self.live.get(id) {
                return Ok(handle.clone());
            }
            let found = self.read(id).await?;
            if let Some(handle) = self.live_or(id, found) {
                return Ok(handle);
            }
        }
    }

    async fn read(&self, id: &SessionId) -> Result<AtRest, RegistryError> {
        let ended = self.ended.load(Ordering::SeqCst);
        let record = self.context.store.session(id).await.map_err(Arc::new)?;
        let unfinished = match &record {
            Some(record) => self.context.store.unfinished_tasks(record.key).await.map_err(Arc::new)?,
            None => Vec::new(),
        };
        Ok(AtRest { record, unfinished, ended })
    }

    /// Starts a worker, unless another caller was quicker. `None`: one may have come and gone since `found` was read, and
    /// have deleted the session.
    fn live_or(&self, id: &SessionId, found: AtRest) -> Option<SessionHandle> {
        match self.live.entry(id.clone()) {
            Entry::Occupied(entry) => Some(entry.get().clone()),
            Entry::Vacant(_) if self.ended.load(Ordering::SeqCst) != found.ended => None,
            Entry::Vacant(entry) => {
                let AtRest { record, unfinished, .. } = found;
                let (handle, worker) = SessionHandle::with_worker(Arc::clone(&self.context), id.clone(), record);
                entry.insert(handle.clone());
                let (registry, id, own) = (self.clone(), id.clone(), handle.clone());
                self.context.tracker.spawn(async move {
                    let late = worker.run(unfinished).await;
                    // Before its place is free, so that whoever finds that free sees this, too.
                    registry.ended.fetch_add(1, Ordering::SeqCst);
                    registry.live.remove_if(&id, |_, handle| handle.is_same(&own));
                    debug!(session.id = %id, "session's worker ended");
                    for message in late {
                        registry.forward(&id, message).await;
                    }
                });
                Some(handle)
            }
        }
    }

    /// Hands a message that came too late for one worker to the next.
    async fn forward(&self, id: &SessionId, message: Message) {
        let mut message = message;
        while let Ok(handle) = self.open(id).await {
            match handle.send(message).await {
                Ok(()) => return,
                Err(refused) => message = refused.0,
            }
        }
    }
}

#[cfg(test)]
mod tests;
