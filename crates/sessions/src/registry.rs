//! The map of live sessions: finds a session's worker, or starts one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use domain::ask::AskRecord;
use domain::session::{SessionId, SessionRecord};
use domain::task::{ErrorType, Failure, TaskId, TaskRecord};
use failpoint::failpoint;
use jiff::Timestamp;
use store::{Change, StoreError, UnfinishedTask};
use tokio::sync::oneshot;
use tracing::{debug, error, info, warn};

use crate::session::{
    AbortMode, AbortScope, Accepted, AnswerError, AnswerRequest, OwnCredential, Reply, Request, SessionContext,
    SessionHandle, SessionView, Status, Submission, SubmitError, Subscription, Until,
};

/// Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    context: Arc<SessionContext>,
    live: Arc<DashMap<SessionId, SessionHandle>>,
    /// The number of workers that have ended. A session that was read before a worker ended may be out of date.
    ended: Arc<AtomicU64>,
}

/// A session without a worker, as the store has it.
struct AtRest {
    /// `None`: the session does not exist yet.
    record: Option<SessionRecord>,
    unfinished: Vec<UnfinishedTask>,
    /// [`Registry::ended`] before the session was read.
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

    /// Starts the workers of all sessions that the previous coordinator left with a sandbox or an unended task.
    pub async fn restore(&self) -> Result<(), RegistryError> {
        let sessions = self.context.store.live_sessions().await.map_err(Arc::new)?;
        // All of them before the first removal of orphans, which would remove their sandboxes.
        for sandbox in sessions.iter().filter_map(|record| record.sandbox.as_ref()) {
            self.context.sandboxes.keep(sandbox);
        }
        failpoint!("restore.read");
        for record in sessions {
            info!(session.id = %record.id, "session has unfinished work");
            match self.open(&record.id).await {
                Err(RegistryError::Store(error)) if error.is_damage() => {
                    // One session's trouble must not keep the others from starting.
                    error!(session.id = %record.id, %error, "the session's record is damaged; it is skipped");
                }
                opened => drop(opened?),
            }
        }
        Ok(())
    }

    pub async fn submit(&self, id: &SessionId, submission: Submission) -> Result<Accepted, SubmitError> {
        match self.ask(id, |reply| Request::Submit(Box::new(submission), reply)).await {
            Ok(accepted) => accepted,
            Err(RegistryError::Store(error)) => Err(SubmitError::Store(error)),
            Err(RegistryError::ShuttingDown) => Err(SubmitError::ShuttingDown),
        }
    }

    /// A task's record once the task has ended, perhaps without the texts of its request. `None`: the session does not have this
    /// task.
    pub async fn wait(
        &self,
        id: &SessionId,
        task: &TaskId,
        until: Until,
    ) -> Result<Option<Arc<TaskRecord>>, RegistryError> {
        self.ask(id, |reply| Request::Wait(task.clone(), until, reply)).await
    }

    /// Answers an ask of the session. Returns how it ended.
    pub async fn answer(&self, id: &SessionId, answer: AnswerRequest) -> Result<AskRecord, AnswerError> {
        match self.ask(id, |reply| Request::Answer(Box::new(answer), reply)).await {
            Ok(answered) => answered,
            Err(RegistryError::Store(error)) => Err(AnswerError::Store(error)),
            Err(RegistryError::ShuttingDown) => Err(AnswerError::ShuttingDown),
        }
    }

    /// Returns false if no task was running or queued.
    pub async fn abort(&self, id: &SessionId, scope: AbortScope, mode: AbortMode) -> Result<bool, RegistryError> {
        self.ask(id, |reply| Request::Abort(scope, mode, reply)).await
    }

    /// Returns false if the session does not exist.
    pub async fn reset(&self, id: &SessionId) -> Result<bool, RegistryError> {
        Ok(self.ask(id, Request::Reset).await??)
    }

    /// `None` removes the credential. Returns false if the session does not exist.
    pub async fn set_credential(
        &self,
        id: &SessionId,
        credential: Option<OwnCredential>,
    ) -> Result<bool, RegistryError> {
        Ok(self.ask(id, |reply| Request::SetCredential(credential, reply)).await??)
    }

    pub async fn delete(&self, id: &SessionId) -> Result<(), RegistryError> {
        match self.ask(id, Request::Delete).await {
            Err(RegistryError::Store(error)) if error.is_damage() => self.delete_damaged(id).await,
            deleted => Ok(deleted??),
        }
    }

    /// Deletes a session whose record cannot be read, so that it can have no worker.
    async fn delete_damaged(&self, id: &SessionId) -> Result<(), RegistryError> {
        let (store, sandboxes) = (&self.context.store, &self.context.sandboxes);
        let Some(key) = store.session_key(id).await.map_err(Arc::new)? else { return Ok(()) };
        // No session owns its sandbox. Volumes that cannot be removed now are removed later, like those of a deleted session.
        if let Err(error) = sandboxes.remove_orphans().await {
            warn!(session.id = %id, %error, "could not remove a damaged session's sandbox");
        }
        if let Err(error) = sandboxes.remove_volumes(key).await {
            warn!(session.id = %id, %error, "could not remove a damaged session's volumes");
        }
        let mut changes = Vec::new();
        for UnfinishedTask { mut record, .. } in store.unfinished_tasks(key).await.map_err(Arc::new)? {
            let failure = Failure::new(ErrorType::Deleted, "the session was deleted");
            record.status = failure.status();
            record.finished = Some(Timestamp::now());
            record.failure = Some(failure);
            changes.push(Change::UpdateTask(record));
        }
        changes.push(Change::DeleteSession(key));
        Ok(store.commit(changes).await.map_err(Arc::new)?)
    }

    /// This works even before the session exists: its events follow once it exists.
    pub async fn subscribe(&self, id: &SessionId) -> Result<Subscription, RegistryError> {
        self.ask(id, Request::Subscribe).await
    }

    /// Starts the sandbox of a session that had one before, if the server has spare room.
    pub async fn prepare(&self, id: &SessionId) {
        if self.context.warm.is_on()
            && let Ok(handle) = self.open(id).await
        {
            // A worker that has just ended needs no sandbox either.
            let _ = handle.send(Request::Prepare).await;
        }
    }

    pub async fn describe(&self, id: &SessionId) -> Result<Option<SessionView>, RegistryError> {
        self.ask(id, Request::Describe).await
    }

    /// Returns the status that a session's worker published last. A session without a worker is cold.
    pub fn status(&self, id: &SessionId) -> Status {
        self.live.get(id).map_or(Status { state: "cold", ..Status::default() }, |handle| handle.status())
    }

    /// The number of sessions that run a task, and the number of queued tasks.
    pub fn load(&self) -> (usize, usize) {
        self.live
            .iter()
            .map(|entry| entry.status())
            .fold((0, 0), |(running, queued), status| (running + usize::from(status.running), queued + status.queued))
    }

    /// The number of sessions in each state but `cold`.
    pub fn states(&self) -> Vec<(&'static str, usize)> {
        let mut states = ["starting", "idle", "running", "stopping"].map(|state| (state, 0));
        for entry in self.live.iter() {
            let now = entry.status().state;
            states.iter_mut().filter(|(state, _)| *state == now).for_each(|(_, count)| *count += 1);
        }
        states.to_vec()
    }

    async fn ask<T>(&self, id: &SessionId, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, RegistryError> {
        let (reply, answer) = oneshot::channel();
        let mut request = request(reply);
        loop {
            if self.context.shutdown.is_cancelled() {
                return Err(RegistryError::ShuttingDown);
            }
            match self.open(id).await?.send(request).await {
                Ok(()) => return answer.await.map_err(|_| RegistryError::ShuttingDown),
                // The worker ended just now. The next one receives the request.
                Err(gone) => {
                    request = gone.0;
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

    /// Starts a worker, unless another caller was faster. `None`: a worker ended since `found` was read, and may have
    /// deleted the session.
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
                    // Counted before the worker leaves the map: a caller that misses it there sees the new count.
                    registry.ended.fetch_add(1, Ordering::SeqCst);
                    registry.live.remove_if(&id, |_, handle| handle.is_same(&own));
                    debug!(session.id = %id, "session's worker ended");
                    for request in late {
                        registry.forward(&id, request).await;
                    }
                });
                Some(handle)
            }
        }
    }

    /// Sends a request that one worker received too late to the next worker.
    async fn forward(&self, id: &SessionId, mut request: Request) {
        while let Ok(handle) = self.open(id).await {
            match handle.send(request).await {
                Ok(()) => return,
                Err(gone) => request = gone.0,
            }
        }
    }
}

#[cfg(test)]
mod tests;
