//! The changes that callers ask for: a new task, another credential.

use std::collections::BTreeMap;

use domain::event::{Event, QueuedReason};
use domain::session::{
    CREDENTIAL_NAMES, MAX_ENV_BYTES, MAX_VARIABLES, SandboxRecord, SessionRecord, SessionRepository,
};
use domain::task::{RepositoryProgress, TaskId, TaskRecord, TaskStatus};
use domain::webhook::WebhookId;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use store::Change;
use uuid::Uuid;

use super::DurableState;
use crate::session::request::{OwnCredential, Submission, SubmitError};
use crate::session::tasks::WaitingTask;

impl DurableState {
    /// Refuses a submission for another agent, or without a variable that the agent needs.
    pub(crate) fn check_agent(&self, submission: &Submission) -> Result<(), SubmitError> {
        let session = self.record.as_ref();
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

    /// Refuses a submission whose variables, together with the session's, exceed the session's limits.
    pub(crate) fn check_env(&self, submission: &Submission) -> Result<(), SubmitError> {
        // A session of an earlier version may exceed the limit. It accepts tasks that add no variables.
        if submission.env.is_empty() {
            return Ok(());
        }
        let kept = self.record.iter().flat_map(|session| &session.env);
        let kept = kept.filter(|(name, _)| !submission.env.contains_key(*name));
        let sizes = kept.chain(&submission.env).map(|(name, value)| name.len() + value.expose_secret().len());
        let (count, bytes) = sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size));
        match (count, bytes) {
            (count, _) if count > MAX_VARIABLES => Err(SubmitError::TooManyVariables(count)),
            (_, bytes) if bytes > MAX_ENV_BYTES => Err(SubmitError::EnvTooLarge(bytes)),
            _ => Ok(()),
        }
    }

    /// Adds a task, and the session if it is new. `sandbox` is the warm one of a new session. Session and sandbox are in one
    /// commit, so that after a crash the sandbox belongs to the session or is an orphan.
    pub(crate) fn accept(
        &mut self,
        submission: Submission,
        sandbox: Option<SandboxRecord>,
        position: usize,
    ) -> WaitingTask {
        let now = Timestamp::now();
        let is_new = self.record.is_none();
        let session = self.record.get_or_insert_with(|| SessionRecord {
            key: self.journal.session(),
            id: self.id.clone(),
            // Subscribers that connected before the session existed already have it.
            epoch: self.journal.log().epoch(),
            agent: submission.agent,
            created: now,
            last_active: now,
            turns: 0,
            claude_session_id: None,
            env: BTreeMap::new(),
            last_seq: 0,
            sandbox,
            repository: submission.request.repository.as_ref().map(|_| SessionRepository::default()),
        });
        session.last_active = now;
        let is_known = |(name, value): (&String, &SecretString)| {
            session.env.get(name).is_some_and(|known| known.expose_secret() == value.expose_secret())
        };
        let changes_env = !submission.env.iter().all(is_known);
        // A credential of one kind replaces a credential of the other kind.
        if CREDENTIAL_NAMES.iter().any(|name| submission.env.contains_key(*name)) {
            session.env.retain(|name, _| !CREDENTIAL_NAMES.contains(&name.as_str()));
        }
        session.env.extend(submission.env);
        if is_new {
            self.journal.change(Change::InsertSession(session.clone()));
        } else {
            self.journal.change(Change::UpdateSession(session.without_env()));
            // Callers may send the same variables with each task. Every written one is sealed and takes the store's time.
            if changes_env {
                self.journal.change(set_env(session));
            }
        }

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
            waiting: false,
        };
        let waiting = WaitingTask::new(&record, Uuid::new_v4());
        self.journal.change(Change::InsertTask {
            record,
            prompt_uuid: waiting.prompt,
            idempotency: submission.idempotency,
        });
        if let Some(target) = submission.webhook {
            let (id, task) = (WebhookId::generate(), waiting.record.clone());
            self.journal.change(Change::InsertWebhook { id, task, target });
        }
        let reason = (position > 0).then_some(QueuedReason::Session);
        let event = Event::TaskQueued { session_id: self.id.clone(), position, reason };
        self.journal.publish(&event, Some(&waiting.record.id));
        waiting
    }

    /// Sets or removes the session's own credential. False: the session does not exist.
    pub(crate) fn set_credential(&mut self, credential: Option<OwnCredential>) -> bool {
        let Some(session) = &mut self.record else { return false };
        session.env.retain(|name, _| !CREDENTIAL_NAMES.contains(&name.as_str()));
        session.env.extend(credential.map(|own| (own.name.to_owned(), own.value)));
        self.journal.change(set_env(session));
        true
    }
}

fn set_env(session: &SessionRecord) -> Change {
    Change::SetEnv { session: session.key, env: session.env.clone() }
}
