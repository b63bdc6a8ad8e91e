//! The worker owns a session's state and has its only `select!`. It never waits for the engine: slow work is spawned and
//! reports back.

mod commit;
mod deadlines;
mod intake;
mod prepare;
mod repository;
mod sandbox;
mod start;
mod status;
mod stop;
mod tasks;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use domain::repository::Pull;
use domain::session::{SessionId, SessionKey, SessionRecord};
use domain::task::{TaskId, TaskRecord};
use store::{StoreError, UnfinishedTask};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::info;
use uuid::Uuid;

use super::Status;
use super::context::SessionContext;
use super::conversation::Conversation;
use super::journal::Journal;
use super::log::EventLog;
use super::message::{AbortMode, AbortScope, Message, SubmitError};
use super::queue::Queue;
use super::state::{Action, After, Input, State};
use crate::repository::{Lease, WoundUp};
use ::sandbox::capacity::{Shortage, Slot};
use ::sandbox::{Sandbox, Warm};
use status::Told;

/// A sandbox that has to make room for others stays this long after its last task: until the agent has written down its
/// conversation, which it does within 100 ms.
const SETTLE: Duration = Duration::from_millis(250);

/// Reports of spawned work: at most one launch, one removal, one wiping and one wait for charges are under way.
const REPORTS: usize = 5;

pub(crate) struct Worker {
    context: Arc<SessionContext>,
    messages: mpsc::Receiver<Message>,
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    status: watch::Sender<Status>,
    /// What those who watch the feed know of this session.
    told: Option<Told>,

    state: State,
    queue: Queue<Waiting>,
    conversation: Conversation,
    sandbox: Option<Sandbox>,
    /// Calls off the launch that is under way.
    launching: Option<CancellationToken>,
    /// The running task's message waits until its start is durable.
    unsaid: bool,
    /// A sandbox that was made ahead and not used yet.
    warm: Option<Box<Warm>>,
    /// The right to the sandbox that there is.
    slot: Option<Slot>,
    /// The sandbox goes, because other sessions wait for the room.
    leaving: bool,
    /// The right to work on the branch, where the session works in a repository.
    lease: Option<Lease>,
    /// Opens the pull request as soon as something was pushed.
    opener: Option<repository::Opener>,
    /// The environment that the agent has.
    applied: Option<std::collections::BTreeMap<String, String>>,

    /// Those who wait for a task's end.
    waiting: HashMap<TaskId, Vec<oneshot::Sender<Option<TaskRecord>>>>,
    interrupted: Vec<(TaskId, oneshot::Sender<bool>)>,
    stopping: Vec<StopReply>,
    /// Tasks posted while the session is being deleted: they belong to its next life.
    deferred: Vec<Message>,

    idle_since: Instant,
    retry_commit: Option<Instant>,
}

/// A task that waits for its turn.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) record: TaskRecord,
    pub(crate) prompt: Uuid,
}

/// What spawned work came to.
pub(crate) enum Report {
    /// There is no room for the sandbox now, with so many ahead.
    Waits {
        ahead: usize,
        shortage: Shortage,
    },
    Launched(Box<Result<start::Launched, start::NotLaunched>>),
    TakenOver(Box<Result<start::Launched, start::NotLaunched>>),
    /// A step on the way to the sandbox of a session that works in a repository; it goes on once that is written down.
    Prepared(prepare::Step, oneshot::Sender<()>),
    /// The pull request is there.
    Opened(Pull),
    /// Every model request of a task that has ended is charged.
    Settled(TaskId),
    /// With what came of the task that ended before.
    TakenDown(Option<WoundUp>),
    Wiped,
}

/// Who waits for a stop to be complete.
enum StopReply {
    Abort(oneshot::Sender<bool>),
    Reset(oneshot::Sender<Result<bool, Arc<StoreError>>>),
    Delete(oneshot::Sender<Result<(), Arc<StoreError>>>),
}

impl Worker {
    pub(crate) fn new(
        context: Arc<SessionContext>,
        id: SessionId,
        record: Option<SessionRecord>,
        messages: mpsc::Receiver<Message>,
        status: watch::Sender<Status>,
    ) -> Self {
        let key = record.as_ref().map_or_else(SessionKey::generate, |record| record.key);
        let latest = record.as_ref().map_or(0, |record| record.last_seq);
        let journal = journal(&context, key, latest);
        let redactor = Arc::clone(&context.redactor);
        let budgets = context.sandboxes.gateway().budgets().clone();
        Worker {
            messages,
            reports: mpsc::channel(REPORTS),
            status,
            told: None,
            state: State::Cold,
            queue: Queue::new(context.settings.max_queue),
            conversation: Conversation::new(id, record, journal, redactor, budgets),
            sandbox: None,
            launching: None,
            unsaid: false,
            warm: None,
            slot: None,
            leaving: false,
            lease: None,
            opener: None,
            applied: None,
            waiting: HashMap::new(),
            interrupted: Vec::new(),
            stopping: Vec::new(),
            deferred: Vec::new(),
            idle_since: Instant::now(),
            retry_commit: None,
            context,
        }
    }

    /// Runs until the session is at rest and nobody needs it, or until the coordinator ends. Returns the messages that
    /// came too late.
    pub(crate) async fn run(mut self, restored: Vec<UnfinishedTask>) -> Vec<Message> {
        self.restore(restored).await;
        let shutdown = self.context.shutdown.clone();
        loop {
            self.publish_status();
            self.tell_watchers();
            let deadline = self.next_deadline();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {
                    self.shut_down().await;
                    return Vec::new();
                }
                Some(message) = self.messages.recv() => self.on_message(message).await,
                Some(report) = self.reports.1.recv() => self.on_report(report).await,
                // While what was heard cannot be written down, the agent waits.
                output = hear(&mut self.sandbox), if self.retry_commit.is_none() => self.on_output(output).await,
                () = unwanted(&mut self.slot), if self.state == State::Idle && !self.leaving => self.leaving = true,
                () = tokio::time::sleep_until(deadline) => self.on_deadline().await,
            }
            if self.may_retire() {
                self.messages.close();
                let mut late = Vec::new();
                while let Some(message) = self.messages.recv().await {
                    late.push(message);
                }
                return late;
            }
        }
    }

    async fn on_message(&mut self, message: Message) {
        match message {
            Message::Submit(submission, reply) => {
                if self.state == State::Stopping(After::Delete) {
                    if self.deferred.len() < self.context.settings.max_queue {
                        self.deferred.push(Message::Submit(submission, reply));
                    } else {
                        let _ = reply.send(Err(SubmitError::QueueFull(self.deferred.len())));
                    }
                    return;
                }
                let accepted = self.submit(*submission).await;
                let queued = accepted.is_ok();
                let _ = reply.send(accepted);
                if queued && self.state == State::Idle && self.conversation.running.is_some() {
                    self.log_begun();
                    self.transition(Input::Begun).await;
                } else if queued {
                    self.transition(Input::Queued).await;
                }
            }
            Message::Wait(task, reply) => self.wait(task, reply).await,
            Message::Abort(scope, mode, reply) => self.abort(scope, mode, reply).await,
            Message::Reset(reply) => {
                if self.conversation.record.is_none() {
                    let _ = reply.send(Ok(false));
                } else {
                    self.stopping.push(StopReply::Reset(reply));
                    self.stop(After::Reset).await;
                }
            }
            Message::Delete(reply) => {
                if self.conversation.record.is_none() {
                    let _ = reply.send(Ok(()));
                } else {
                    self.stopping.push(StopReply::Delete(reply));
                    self.stop(After::Delete).await;
                }
            }
            Message::SetCredential(credential, reply) => {
                let _ = reply.send(self.set_credential(credential).await.map_err(Arc::new));
            }
            Message::Subscribe(reply) => {
                let _ = reply.send(self.subscription());
            }
            Message::Prepare => self.prepare().await,
            Message::Describe(reply) => {
                let _ = reply.send(self.view());
            }
        }
    }

    /// Moves the state and does what follows from it, until nothing more does.
    async fn transition(&mut self, input: Input) {
        let mut input = Some(input);
        while let Some(now) = input.take() {
            // What a task has done is handed in before anything else begins, and its sandbox has gone by then.
            let now = if self.conversation.is_ending() { now.after_the_end() } else { now };
            let waiting = self.may_begin();
            let (state, action) = self.state.next(now, waiting);
            if state != self.state {
                self.state = state;
                self.tell_use();
            }
            match action {
                Action::Nothing => {}
                Action::StartSandbox => self.start_sandbox(),
                Action::TakeOverSandbox => self.take_over_sandbox(),
                Action::StartTask => self.start_task().await,
                Action::StopSandbox => self.stop_sandbox(),
                Action::Settle(after) => {
                    self.settle(after).await;
                    input = self.may_begin().then_some(Input::Queued);
                }
            }
            if self.state == State::Idle && !self.leaving {
                self.idle_since = Instant::now();
            }
        }
    }

    /// Says what the sandbox is good for, to those who decide which has to make room.
    fn tell_use(&self) {
        let Some(slot) = &self.slot else { return };
        match self.state {
            State::Running => slot.busy(),
            State::Idle if !self.leaving => slot.idle(),
            State::Idle | State::Cold | State::Starting | State::Stopping(_) => {}
        }
    }

    /// A task ended and another one waits. Where another session has waited long, that goes first.
    pub(super) fn yield_slot(&mut self) {
        if !self.queue.is_empty() && self.slot.as_ref().is_some_and(Slot::yields_slot) {
            info!(session.id = %self.conversation.id, "the session lets another one go first");
            self.leaving = true;
            self.idle_since = Instant::now();
        }
    }

    /// Whether a task waits that may begin now.
    fn may_begin(&self) -> bool {
        !self.queue.is_empty() && !self.leaving && !self.context.draining.is_cancelled()
    }
}

/// What the sandbox says next; never, where there is none.
async fn hear(sandbox: &mut Option<Sandbox>) -> ::sandbox::ProcessOutput {
    match sandbox {
        Some(sandbox) => sandbox.process.recv().await,
        None => std::future::pending().await,
    }
}

/// Resolves when the sandbox has to make room; never, where there is none.
async fn unwanted(slot: &mut Option<Slot>) {
    match slot {
        Some(slot) => slot.eviction_requested().await,
        None => std::future::pending().await,
    }
}

fn journal(context: &SessionContext, key: SessionKey, latest: u64) -> Journal {
    let log = Arc::new(EventLog::new(key, context.store.clone(), latest));
    Journal::new(key, context.store.clone(), log)
}

pub(super) fn aborts_task(scope: &AbortScope, task: &TaskId) -> bool {
    match scope {
        AbortScope::Session => true,
        AbortScope::Task(id) => id == task,
    }
}

/// Whether the sandbox has to go.
pub(super) fn kills(mode: AbortMode) -> bool {
    match mode {
        AbortMode::Kill => true,
        AbortMode::Interrupt => false,
    }
}
