//! What callers ask of a session: tasks taken in, waited for, aborted.

use std::sync::Arc;

use domain::event::{Event, QueuedReason};
use domain::session::{CREDENTIAL_NAMES, SessionRecord, SessionRepository};
use domain::task::{ErrorType, Failure, RepositoryProgress, TaskId, TaskRecord, TaskStatus};
use domain::webhook::WebhookId;
use failpoint::failpoint;
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use store::{Change, StoreError};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{StopReply, Waiting, Worker, aborts_task, kills};
use crate::session::conversation::task_end;
use crate::session::message::{
    AbortMode, AbortScope, Accepted, OwnCredential, SessionView, Submission, SubmitError, Subscription,
};
use crate::session::running::Running;
use crate::session::state::{After, Input, State};

impl Worker {
    /// Writes a task down and puts it into the queue. What cannot be written is not accepted.
    pub(super) async fn submit(&mut self, submission: Submission) -> Result<Accepted, SubmitError> {
        if self.queue.check_room().is_err() {
            return Err(SubmitError::QueueFull(self.queue.len()));
        }
        self.check_agent(&submission)?;
        // So that only this task's own writing can fail below.
        self.commit().await.map_err(|error| SubmitError::Store(Arc::new(error)))?;

        let before = self.conversation.record.clone();
        // A warm one is of the agent image.
        let takes_warm = before.is_none() && submission.request.repository.is_none();
        let warm = if takes_warm { self.take_warm(&submission.agent).await } else { None };
        let now = Timestamp::now();
        let session = self.conversation.record.get_or_insert_with(|| SessionRecord {
            key: self.conversation.journal.session(),
            id: self.conversation.id.clone(),
            agent: submission.agent,
            created: now,
            last_active: now,
            turns: 0,
            claude_session_id: None,
            env: std::collections::BTreeMap::new(),
            last_seq: 0,
            // In one commit with the session: after a crash it is the session's, or a leftover, and never both.
            sandbox: warm.as_ref().map(|warm| warm.sandbox.record()),
            repository: submission.request.repository.as_ref().map(|_| SessionRepository::default()),
        });
        session.last_active = now;
        // The credential given last is the one that holds, of whatever kind.
        if CREDENTIAL_NAMES.iter().any(|name| submission.env.contains_key(*name)) {
            session.env.retain(|name, _| !CREDENTIAL_NAMES.contains(&name.as_str()));
        }
        session.env.extend(submission.env);
        let change = if before.is_some() {
            Change::UpdateSession(session.clone())
        } else {
            Change::InsertSession(session.clone())
        };
        self.conversation.journal.change(change);

        let record = TaskRecord {
            id: submission.task.unwrap_or_else(TaskId::generate),
            session: session.key,
            session_id: session.id.clone(),
            status: TaskStatus::Queued,
            request: submission.request,
            created: now,
            started: None,
            finished: None,
            attempt: 0,
            answer: None,
            failure: None,
            repository: session.repository.as_ref().map(|_| RepositoryProgress::default()),
        };
        let (task, prompt) = (record.id.clone(), Uuid::new_v4());
        let position = self.queue.len() + usize::from(self.conversation.running.is_some());
        let idempotency = submission.idempotency;
        self.conversation.journal.change(Change::InsertTask {
            record: record.clone(),
            prompt_uuid: prompt,
            idempotency,
        });
        if let Some(target) = submission.webhook {
            let (id, task) = (WebhookId::generate(), record.clone());
            self.conversation.journal.change(Change::InsertWebhook { id, task, target });
        }
        let reason = (position > 0).then_some(QueuedReason::Session);
        let event = Event::TaskQueued { session_id: self.conversation.id.clone(), position, reason };
        self.conversation.journal.tell(&event, Some(&task));

        // One wait for the disk instead of two.
        let at_once = self.takes_at_once();
        let mut waiting = Some(Waiting { record, prompt });
        if at_once {
            self.queue.extend(waiting.take());
            self.begin_task();
        }
        failpoint!("task.writing");
        if let Err(error) = self.commit().await {
            self.discard();
            self.conversation.record = before;
            if at_once {
                self.forget_begun();
            }
            self.discard_warm(warm);
            return Err(SubmitError::Store(Arc::new(error)));
        }
        failpoint!("task.written");
        if let Some(warm) = warm {
            self.context.sandboxes.disown(warm.session);
            self.warm = Some(warm);
            failpoint!("warm.claimed");
        }
        self.queue.extend(waiting);
        Ok(Accepted { task, position })
    }

    /// The agent is the session's, and has what it needs.
    fn check_agent(&self, submission: &Submission) -> Result<(), SubmitError> {
        let session = self.conversation.record.as_ref();
        if let Some(session) = session.filter(|session| session.agent != submission.agent) {
            return Err(SubmitError::OtherAgent(session.agent.clone()));
        }
        let given = |name: &&String| {
            let sent = submission.env.get(*name).or_else(|| session?.env.get(*name));
            sent.is_some_and(|value| !value.expose_secret().is_empty())
        };
        match submission.needs.iter().find(|name| !given(name)) {
            Some(name) => Err(SubmitError::EnvMissing { name: name.clone(), agent: submission.agent.clone() }),
            None => Ok(()),
        }
    }

    /// Durable when it returns, and what the next model request goes out with. False: there is no such session.
    pub(super) async fn set_credential(&mut self, credential: Option<OwnCredential>) -> Result<bool, StoreError> {
        self.commit().await?;
        let before = self.conversation.record.clone();
        let Some(session) = &mut self.conversation.record else { return Ok(false) };
        session.env.retain(|name, _| !CREDENTIAL_NAMES.contains(&name.as_str()));
        session.env.extend(credential.map(|own| (own.name.to_owned(), own.value)));
        let change = Change::UpdateSession(session.clone());
        self.conversation.journal.change(change);
        if let Err(error) = self.commit().await {
            self.discard();
            self.conversation.record = before;
            return Err(error);
        }
        self.conversation.learn_secrets();
        if let Some(sandbox) = &self.sandbox {
            sandbox.gateway.set_access(self.conversation.access());
        }
        Ok(true)
    }

    pub(super) async fn wait(&mut self, task: TaskId, reply: oneshot::Sender<Option<TaskRecord>>) {
        let running = self.conversation.current().is_some_and(|record| record.id == task);
        if running || self.queue.any(|waiting| waiting.record.id == task) || self.conversation.journal.ends(&task) {
            self.waiting.entry(task).or_default().push(reply);
            return;
        }
        let found = self.context.store.task(&task).await.ok().flatten();
        let _ = reply.send(found.filter(|record| record.session_id == self.conversation.id));
    }

    pub(super) async fn abort(&mut self, scope: AbortScope, mode: AbortMode, reply: oneshot::Sender<bool>) {
        let running = self.conversation.running.as_ref().map(|running| running.record.id.clone());
        let running = running.filter(|task| aborts_task(&scope, task));
        let failure = Failure::new(ErrorType::Aborted, "the task was aborted by a request");

        if let (Some(task), false) = (&running, kills(mode)) {
            self.interrupted.push((task.clone(), reply));
            self.conversation.interrupt(failure);
            self.send().await;
            return;
        }
        let mut aborted = running.is_some();
        // Only if it is meant: another task of the session may be the one that runs.
        if running.is_some() {
            self.end_running(failure.clone(), "request");
        }
        while let Some(waiting) = self.queue.remove(|waiting| aborts_task(&scope, &waiting.record.id)) {
            self.end_waiting(&waiting, failure.clone(), "request");
            aborted = true;
        }
        self.flush().await;
        failpoint!("abort.written");
        let starting = self.state == State::Starting && (self.queue.is_empty() || self.conversation.is_ending());
        if running.is_some() || (aborted && starting) {
            self.stopping.push(StopReply::Abort(reply));
            self.transition(Input::Stop(After::Rest)).await;
        } else {
            let _ = reply.send(aborted);
        }
    }

    /// Ends everything the session has, for a reset or a deletion.
    pub(super) async fn stop(&mut self, after: After) {
        let (failure, by) = match after {
            After::Delete => (Failure::new(ErrorType::Deleted, "the session was deleted"), "delete"),
            After::Reset | After::Rest => (Failure::new(ErrorType::Aborted, "the session was reset"), "reset"),
        };
        self.end_running(failure.clone(), by);
        for waiting in self.queue.drain() {
            self.end_waiting(&waiting, failure.clone(), by);
        }
        self.flush().await;
        self.transition(Input::Stop(after)).await;
    }

    /// Ends the running task for a reason of ours. Its sandbox is of no use after that.
    pub(super) fn end_running(&mut self, failure: Failure, by: &'static str) {
        if let Some(sandbox) = &self.sandbox
            && self.conversation.running.is_some()
        {
            sandbox.gateway.end_task(task_end(self.conversation.reason_of_end(Some(&failure))));
        }
        self.conversation.end_task(failure, self.reading(), by);
        self.unsaid = false;
    }

    /// Ends a task that never ran.
    pub(super) fn end_waiting(&mut self, waiting: &Waiting, failure: Failure, by: &'static str) {
        let resumed = self.conversation.record.as_ref().is_some_and(|record| record.claude_session_id.is_some());
        let running = Running::begin(waiting.record.clone(), waiting.prompt, resumed, gateway::Reading::default());
        let started = waiting.record.started;
        let record = TaskRecord { started, ..running.fail(gateway::Reading::default(), failure) };
        self.conversation.write_end(record, by);
    }

    pub(super) fn subscription(&self) -> Subscription {
        Subscription {
            log: Arc::clone(self.conversation.journal.log()),
            busy: self.conversation.current().is_some() || !self.queue.is_empty(),
            turns: self.conversation.record.as_ref().map_or(0, |record| record.turns),
        }
    }

    pub(super) fn view(&self) -> Option<SessionView> {
        let record = self.conversation.record.as_ref()?;
        Some(SessionView {
            id: record.id.clone(),
            agent: record.agent.clone(),
            in_repository: record.repository.is_some(),
            created: record.created,
            last_active: record.last_active,
            turns: record.turns,
            busy: self.conversation.current().is_some() || !self.queue.is_empty(),
            queued: self.queue.len(),
            state: self.state.as_str(),
            claude_session_id: record.claude_session_id.clone(),
            last_seq: self.conversation.journal.log().latest(),
            own_credential: CREDENTIAL_NAMES.iter().any(|name| record.env.contains_key(*name)),
        })
    }
}
