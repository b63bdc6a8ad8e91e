//! What a session's worker can be asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::agent::AgentName;
use domain::session::SessionId;
use domain::task::{TaskId, TaskRecord, TaskRequest};
use domain::webhook::Target;
use secrecy::SecretString;
use store::{IdempotencyKey, StoreError};
use tokio::sync::oneshot;

use super::log::EventLog;

#[derive(Debug)]
pub(crate) enum Message {
    Submit(Box<Submission>, oneshot::Sender<Result<Accepted, SubmitError>>),
    /// Answers with the task's record once it has ended; `None` where this session does not have it.
    Wait(TaskId, oneshot::Sender<Option<TaskRecord>>),
    Abort(AbortScope, AbortMode, oneshot::Sender<bool>),
    /// False: there is no such session.
    Reset(oneshot::Sender<Result<bool, Arc<StoreError>>>),
    Delete(oneshot::Sender<Result<(), Arc<StoreError>>>),
    /// The session's own credential, or none any more. False: there is no such session.
    SetCredential(Option<OwnCredential>, oneshot::Sender<Result<bool, Arc<StoreError>>>),
    Subscribe(oneshot::Sender<Subscription>),
    /// Somebody looks, and a task may follow: what it needs is made ready, where that takes nothing from others.
    Prepare,
    /// `None`: there is no such session.
    Describe(oneshot::Sender<Option<SessionView>>),
}

/// A task as a caller hands it in, checked.
#[derive(Debug)]
pub struct Submission {
    /// The id that the task is to have; a new one where it is not given.
    pub task: Option<TaskId>,
    /// That a new session has from now on, and an old one must have.
    pub agent: AgentName,
    pub request: TaskRequest,
    /// Merged into the session's and kept for later tasks.
    pub env: BTreeMap<String, SecretString>,
    /// Variables that the session must have then, each with a value.
    pub needs: Vec<String>,
    pub idempotency: Option<IdempotencyKey>,
    /// Where its end is to be told.
    pub webhook: Option<Target>,
}

/// A session's own credential as it is kept: the variable that it would be in a task's `env`, and its value.
#[derive(Debug)]
pub struct OwnCredential {
    pub name: &'static str,
    pub value: SecretString,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Accepted {
    pub task: TaskId,
    /// Tasks ahead of it, the running one included.
    pub position: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error("the session has {0} tasks waiting, which is as many as MAX_QUEUE allows")]
    QueueFull(usize),
    #[error("could not write the task down")]
    Store(#[source] Arc<StoreError>),
    #[error("the server is shutting down")]
    ShuttingDown,
    #[error(
        "agent: the session's agent is `{0}`, as long as it lives: leave `agent` out or send that; another agent needs \
         another sessionId, or DELETE this session first"
    )]
    OtherAgent(AgentName),
    #[error("env: {name} is missing, which the agent `{agent}` needs; send it with the session's first task")]
    EnvMissing { name: String, agent: AgentName },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AbortScope {
    /// The running task and all that wait.
    Session,
    Task(TaskId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AbortMode {
    /// The sandbox is killed.
    Kill,
    /// The agent ends its turn and stays.
    Interrupt,
}

#[derive(Debug)]
pub struct Subscription {
    pub log: Arc<EventLog>,
    pub busy: bool,
    pub turns: u64,
}

/// A session as `GET /session/:id` shows it.
#[derive(Clone, Debug)]
pub struct SessionView {
    pub id: SessionId,
    pub agent: AgentName,
    /// It works in a repository, where no template is.
    pub in_repository: bool,
    pub created: jiff::Timestamp,
    pub last_active: jiff::Timestamp,
    pub turns: u64,
    pub busy: bool,
    pub queued: usize,
    pub state: &'static str,
    pub claude_session_id: Option<String>,
    pub last_seq: u64,
    /// Model requests go out with a credential of the session's own.
    pub own_credential: bool,
}
