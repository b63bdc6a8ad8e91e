//! The worker owns a session's state and has its only `select!`. It never waits for the engine: slow work is spawned and
//! reports back.

mod intake;
mod prepare;
mod repository;
mod sandbox;
mod start;
mod tasks;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use super::context::SessionContext;
use super::conversation::Conversation;
use super::journal::Journal;
use super::log::EventLog;
use super::message::{AbortMode, AbortScope, Message, SubmitError};
use super::queue::Queue;
use super::state::{Action, After, Input, State};
use super::{SessionId, SessionKey, SessionRecord, Status};
use crate::failpoint::failpoint;
use crate::github::Pull;
use crate::repository::{Lease, WoundUp};
use crate::sandbox::capacity::{Shortage, Slot};
use crate::sandbox::{Sandbox, Warm};
use crate::store::{StoreError, UnfinishedTask};
use crate::task::{TaskId, TaskRecord};

/// How soon a commit that failed is tried again.
const COMMIT_RETRY: Duration = Duration::from_millis(500);

/// A worker that has nothing to do and nobody to talk to ends after this long; the session is in the store.
const RETIRE_AFTER: Duration = Duration::from_secs(30);

/// A sandbox that has to make room for others stays this long after its last task: until the agent has written down its
/// conversation, which it does within 100 ms.
const SETTLE: Duration = Duration::from_millis(250);

/// Reports of spawned work: at most one launch, one removal and one wiping are under way.
pub(super) const REPORTS: usize = 4;

pub(crate) struct Worker {
    context: Arc<SessionContext>,
    messages: mpsc::Receiver<Message>,
    reports: (mpsc::Sender<Report>, mpsc::Receiver<Report>),
    status: watch::Sender<Status>,

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
        Worker {
            messages,
            reports: mpsc::channel(REPORTS),
            status,
            state: State::Cold,
            queue: Queue::new(context.settings.max_queue),
            conversation: Conversation::new(id, record, journal, redactor),
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
    pub(super) fn make_way(&mut self) {
        if !self.queue.is_empty() && self.slot.as_ref().is_some_and(Slot::gives_up) {
            info!(session.id = %self.conversation.id, "the session lets another one go first");
            self.leaving = true;
            self.idle_since = Instant::now();
        }
    }

    /// When an idle sandbox goes.
    fn idles_out_at(&self) -> Instant {
        self.idle_since + if self.leaving { SETTLE } else { self.context.settings.idle_timeout }
    }

    /// Whether a task waits that may begin now.
    fn may_begin(&self) -> bool {
        !self.queue.is_empty() && !self.leaving && !self.context.draining.is_cancelled()
    }

    /// Commits what is in the journal. What cannot be written now is kept and tried again.
    async fn flush(&mut self) {
        // What failed is tried again, which is all there is to do about it here.
        let _ = self.commit().await;
    }

    /// As [`Worker::flush`], for those who must know.
    async fn commit(&mut self) -> Result<(), StoreError> {
        match self.conversation.journal.flush().await {
            Ok(flushed) => {
                self.retry_commit = None;
                if let (Some(frame), Some(sandbox)) = (flushed.last_frame, &self.sandbox) {
                    sandbox.link.acknowledge(frame);
                }
                // Before anyone is told: who asks then sees a session that is not busy any more.
                self.publish_status();
                if let Some(lag) = flushed.lag {
                    self.context.metrics.events_told(lag);
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
    fn discard(&mut self) {
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

    /// The earliest moment at which something has to be done without being asked.
    fn next_deadline(&self) -> Instant {
        let idle = (self.state == State::Idle).then(|| self.idles_out_at());
        let rest = (self.state == State::Cold).then(|| self.idle_since + RETIRE_AFTER);
        let task = self.conversation.running.as_ref().map(super::running::Running::deadline);
        [idle, rest, task, self.stalls_at(), self.retry_commit]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or_else(|| Instant::now() + Duration::from_hours(1))
    }

    async fn on_deadline(&mut self) {
        let now = Instant::now();
        if self.retry_commit.is_some_and(|at| at <= now) {
            self.flush().await;
        }
        if self.state == State::Idle && self.idles_out_at() <= now {
            info!(session.id = %self.conversation.id, "session idle: its container goes, its volumes stay");
            failpoint!("session.idle");
            self.transition(Input::IdledOut).await;
        }
        self.check_running(now).await;
    }

    fn may_retire(&self) -> bool {
        let at_rest = self.state == State::Cold
            && self.queue.is_empty()
            && self.deferred.is_empty()
            && self.conversation.journal.is_empty()
            && self.messages.is_empty();
        // A session that nobody posted to needs no worker once its last subscriber is gone.
        let born = self.conversation.record.is_some();
        at_rest
            && self.conversation.journal.log().subscribers() == 0
            && Arc::strong_count(self.conversation.journal.log()) == 1
            && (!born || self.idle_since + RETIRE_AFTER <= Instant::now())
    }

    fn publish_status(&self) {
        let status = Status {
            busy: self.conversation.current().is_some() || !self.queue.is_empty(),
            running: self.conversation.current().is_some(),
            queued: self.queue.len(),
            state: self.state.as_str(),
        };
        self.status.send_if_modified(|old| std::mem::replace(old, status) != status);
    }
}

/// What the sandbox says next; never, where there is none.
async fn hear(sandbox: &mut Option<Sandbox>) -> crate::sandbox::ProcessOutput {
    match sandbox {
        Some(sandbox) => sandbox.process.recv().await,
        None => std::future::pending().await,
    }
}

/// Resolves when the sandbox has to make room; never, where there is none.
async fn unwanted(slot: &mut Option<Slot>) {
    match slot {
        Some(slot) => slot.unwanted().await,
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
