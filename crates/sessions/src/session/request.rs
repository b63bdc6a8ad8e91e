//! The requests to a session's worker.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::agent::AgentName;
use domain::ask::{AskAnswer, AskId, AskRecord, DecidedBy};
use domain::session::{CREDENTIAL_NAMES, Epoch, MAX_ENV_BYTES, MAX_VARIABLES, SessionId};
use domain::task::{TaskId, TaskRecord, TaskRequest};
use domain::webhook::Target;
use secrecy::SecretString;
use store::{IdempotencyKey, StoreError};
use tokio::sync::oneshot;

use super::durable::DurableState;
use super::log::EventLog;
use super::state::State;
use super::tasks::Tasks;

/// The channel for the answer to a request.
pub(crate) type Reply<T> = oneshot::Sender<T>;

/// The result of a write. The error is shared: several callers can wait for one commit.
pub(crate) type Written<T> = Result<T, Arc<StoreError>>;

/// A request with the type of its answer. The worker answers every request that it accepts, unless the coordinator
/// ends.
#[derive(Debug)]
pub(crate) enum Request {
    Submit(Box<Submission>, Reply<Result<Accepted, SubmitError>>),
    /// Answers with the task's record once the task has ended, or with `None` if the session does not have this task.
    /// With [`Until::Ask`], the record may be that of the running task.
    Wait(TaskId, Until, Reply<Option<Arc<TaskRecord>>>),
    /// Answers an ask, with how it ended.
    Answer(Box<AnswerRequest>, Reply<Result<AskRecord, AnswerError>>),
    /// Answers false if no task was running or queued.
    Abort(AbortScope, AbortMode, Reply<bool>),
    /// Answers false if the session does not exist.
    Reset(Reply<Written<bool>>),
    Delete(Reply<Written<()>>),
    /// Sets or removes the session's own credential. Answers false if the session does not exist.
    SetCredential(Option<OwnCredential>, Reply<Written<bool>>),
    Subscribe(Reply<Subscription>),
    /// A task is likely to follow: the worker starts a sandbox if no other session needs the slot.
    Prepare,
    /// Answers `None` if the session does not exist.
    Describe(Reply<Option<SessionView>>),
}

/// A task as a caller submits it, validated.
#[derive(Debug)]
pub struct Submission {
    /// The task's id; `None` for a new one.
    pub task: Option<TaskId>,
    /// The agent of a new session. An existing session must have the same.
    pub agent: AgentName,
    pub request: TaskRequest,
    /// Merged into the session's variables and kept for later tasks.
    pub env: BTreeMap<String, SecretString>,
    /// Variables that the session must have after the merge, each with a value.
    pub needs: Vec<String>,
    pub idempotency: Option<IdempotencyKey>,
    /// The address that receives the task's end.
    pub webhook: Option<Target>,
}

/// What a caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The end of the task.
    End,
    /// The end of the task, or its first open ask.
    Ask,
}

/// An answer to an ask.
#[derive(Debug)]
pub struct AnswerRequest {
    pub ask: AskId,
    pub answer: AskAnswer,
    pub by: DecidedBy,
}

/// An answer that was not taken.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error("the ask has ended")]
    NotOpen,
    /// It begins with the name of the member.
    #[error("{0}")]
    Invalid(String),
    #[error("could not store the answer")]
    Store(#[source] Arc<StoreError>),
    #[error("the server is shutting down")]
    ShuttingDown,
}

/// A session's own credential in its stored form: a variable of a task's `env`, and its value.
#[derive(Debug)]
pub struct OwnCredential {
    pub name: &'static str,
    pub value: SecretString,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Accepted {
    pub task: TaskId,
    /// Tasks ahead of it, including the running one.
    pub position: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error("the session's queue is full: {0} tasks wait (MAX_QUEUE)")]
    QueueFull(usize),
    #[error("could not store the task")]
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
    #[error(
        "env: the session's variables would have {0} bytes in all, names included, which must be at most {MAX_ENV_BYTES}"
    )]
    EnvTooLarge(usize),
    #[error("env: the session would have {0} variables, which must be at most {MAX_VARIABLES}")]
    TooManyVariables(usize),
}

impl From<StoreError> for AnswerError {
    fn from(error: StoreError) -> Self {
        AnswerError::Store(Arc::new(error))
    }
}

impl From<StoreError> for SubmitError {
    fn from(error: StoreError) -> Self {
        SubmitError::Store(Arc::new(error))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AbortScope {
    /// The running task and all queued ones.
    Session,
    Task(TaskId),
}

impl AbortScope {
    pub(crate) fn includes(&self, task: &TaskId) -> bool {
        match self {
            AbortScope::Session => true,
            AbortScope::Task(id) => id == task,
        }
    }
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
    pub epoch: Epoch,
    pub agent: AgentName,
    /// The session works in a repository and has no template.
    pub in_repository: bool,
    pub created: jiff::Timestamp,
    pub last_active: jiff::Timestamp,
    pub turns: u64,
    pub busy: bool,
    pub queued: usize,
    pub state: &'static str,
    pub claude_session_id: Option<String>,
    pub last_seq: u64,
    /// Model requests use a credential of the session's own.
    pub own_credential: bool,
}

impl Subscription {
    pub(crate) fn new(durable: &DurableState, tasks: &Tasks) -> Self {
        Subscription {
            log: Arc::clone(durable.log()),
            busy: tasks.is_busy(),
            turns: durable.record().map_or(0, |record| record.turns),
        }
    }
}

impl SessionView {
    /// Returns `None` if the session does not exist.
    pub(crate) fn new(durable: &DurableState, tasks: &Tasks, state: State) -> Option<Self> {
        let record = durable.record()?;
        Some(SessionView {
            id: record.id.clone(),
            epoch: record.epoch,
            agent: record.agent.clone(),
            in_repository: record.repository.is_some(),
            created: record.created,
            last_active: record.last_active,
            turns: record.turns,
            busy: tasks.is_busy(),
            queued: tasks.queued(),
            state: state.as_str(),
            claude_session_id: record.claude_session_id.clone(),
            last_seq: durable.log().latest(),
            own_credential: CREDENTIAL_NAMES.iter().any(|name| record.env.contains_key(*name)),
        })
    }
}
