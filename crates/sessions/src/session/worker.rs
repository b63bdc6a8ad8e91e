//! The worker owns a session's state and has its only `select!`. It never waits for the engine: slow work is spawned
//! and reports back.

use std::sync::Arc;

use domain::ask::AskRecord;
use domain::event::EndedBy;
use domain::session::{SessionId, SessionRecord};
use domain::task::{ErrorType, Failure, TaskId, TaskRecord};
use failpoint::failpoint;
use store::{StoreError, UnfinishedTask};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::info;

use super::agent::{Agent, Scope};
use super::context::SessionContext;
use super::durable::{DurableState, Savepoint};
use super::idle::{IdleTimer, LONGEST_SLEEP};
use super::intake::PendingTask;
use super::published::{LastPublished, Status};
use super::report::{self, Next, Report, Reports};
use super::request::{
    AbortMode, AbortScope, Accepted, AnswerError, AnswerRequest, OwnCredential, Reply, Request, SessionView,
    Submission, SubmitError, Subscription, Until,
};
use super::sandbox::{take_warm, wipe};
use super::state::{Action, After, Input, State};
use super::tasks::{End, Tasks};
use super::waiters::{StopReply, Waiters};

pub(crate) struct Worker {
    context: Arc<SessionContext>,
    requests: mpsc::Receiver<Request>,
    reports: Reports,
    state: State,
    durable: DurableState,
    tasks: Tasks,
    agent: Agent,
    waiters: Waiters,
    published: LastPublished,
    idle: IdleTimer,
}

impl Worker {
    pub(crate) fn new(
        context: Arc<SessionContext>,
        id: SessionId,
        record: Option<SessionRecord>,
        requests: mpsc::Receiver<Request>,
        status: watch::Sender<Status>,
    ) -> Self {
        Worker {
            requests,
            reports: report::channel(),
            state: State::Cold,
            durable: DurableState::new(&context.store, &context.redactor, id, record),
            tasks: Tasks::new(context.settings.max_queue, context.sandboxes.gateway().budgets().clone()),
            agent: Agent::new(),
            waiters: Waiters::default(),
            published: LastPublished::new(status),
            idle: IdleTimer::new(context.settings.idle_timeout, Instant::now()),
            context,
        }
    }

    /// Runs until the session is idle without subscribers, or until the coordinator ends. Returns the requests that came too late.
    pub(crate) async fn run(mut self, unfinished: Vec<UnfinishedTask>) -> Vec<Request> {
        self.context.load_balances(&unfinished).await;
        let asks = self.context.load_asks(&self.durable).await;
        let input = self.with_agent(|agent, scope| agent.restore(unfinished, asks, scope));
        self.advance(input).await;
        let shutdown = self.context.shutdown.clone();
        loop {
            self.publish();
            let (deadline, state) = (self.next_deadline(), self.state);
            let is_committed = self.durable.retry_at().is_none();
            let (output, eviction) = self.agent.listen();
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {
                    self.shut_down().await;
                    return Vec::new();
                }
                Some(request) = self.requests.recv() => self.on_request(request).await,
                Some(report) = self.reports.1.recv() => self.on_report(report).await,
                // The agent waits while its output cannot be committed.
                output = output, if is_committed => {
                    let input = self.with_agent(|agent, scope| agent.on_output(output, scope));
                    self.advance(input).await;
                }
                () = eviction, if state == State::Idle => self.transition(Input::EvictionRequested).await,
                () = tokio::time::sleep_until(deadline) => self.on_deadline().await,
            }
            if self.may_retire() {
                self.requests.close();
                let mut late = Vec::new();
                while let Some(request) = self.requests.recv().await {
                    late.push(request);
                }
                return late;
            }
            self.idle.postpone_retirement(self.state, Instant::now());
        }
    }

    async fn on_request(&mut self, request: Request) {
        match request {
            Request::Submit(submission, reply) => self.on_submit(submission, reply).await,
            Request::Wait(task, until, reply) => self.wait(task, until, reply).await,
            Request::Answer(answer, reply) => drop(reply.send(self.answer(*answer).await)),
            Request::Abort(scope, mode, reply) => self.abort(&scope, mode, reply).await,
            Request::Reset(reply) => self.stop(After::Reset, StopReply::Reset(reply)).await,
            Request::Delete(reply) => self.stop(After::Delete, StopReply::Delete(reply)).await,
            Request::SetCredential(credential, reply) => {
                let _ = reply.send(self.set_credential(credential).await.map_err(Arc::new));
            }
            Request::Subscribe(reply) => drop(reply.send(Subscription::new(&self.durable, &self.tasks))),
            Request::Prepare => self.prepare().await,
            Request::Describe(reply) => drop(reply.send(SessionView::new(&self.durable, &self.tasks, self.state))),
        }
    }

    async fn on_report(&mut self, report: Report) {
        let state = self.state;
        match self.with_agent(|agent, scope| agent.on_report(report, state, scope)) {
            Next::Advance(input) => self.advance(input).await,
            Next::Confirm(committed) => drop(self.commit().await.map(|()| committed.send(()))),
        }
    }

    async fn on_submit(&mut self, submission: Box<Submission>, reply: Reply<Result<Accepted, SubmitError>>) {
        if self.state.stop() == Some(After::Delete) {
            return self.waiters.defer((submission, reply), self.context.settings.max_queue);
        }
        let is_usable = self.agent.keeps_rules_of(&submission.request) && !self.agent.is_outdated(&self.context);
        if self.state == State::Idle && !is_usable {
            self.transition(Input::IdledOut).await;
        }
        let accepted = self.submit(*submission).await;
        let is_accepted = accepted.is_ok();
        let _ = reply.send(accepted);
        if is_accepted {
            let has_begun = self.state == State::Idle && self.tasks.running().is_some();
            self.transition(if has_begun { Input::Begun } else { Input::Queued }).await;
        }
    }

    /// Commits a task and queues it. A task that cannot be committed is not accepted.
    async fn submit(&mut self, submission: Submission) -> Result<Accepted, SubmitError> {
        self.tasks.check_room()?;
        self.durable.check_agent(&submission)?;
        self.durable.check_env(&submission)?;
        // After this commit, only this task's own commit can fail below.
        self.commit().await?;
        let (before, state) = (self.durable.savepoint(), self.state);
        let warm = take_warm(&submission, state, &self.context, &mut self.durable).await;
        let pending = self.with_agent(|agent, scope| PendingTask::new(submission, warm, before, state, agent, scope));
        failpoint!("task.writing");
        if let Err(error) = self.commit().await {
            self.with_agent(|agent, scope| pending.undo(agent, scope));
            return Err(error.into());
        }
        failpoint!("task.written");
        Ok(self.with_agent(|agent, scope| pending.accept(agent, scope)))
    }

    /// Sets the credential. It is durable on return, and the next model request uses it.
    async fn set_credential(&mut self, credential: Option<OwnCredential>) -> Result<bool, StoreError> {
        self.commit().await?;
        let before = self.durable.savepoint();
        if !self.durable.set_credential(credential) {
            return Ok(false);
        }
        self.commit_or_undo(before).await?;
        self.durable.learn_secrets();
        self.agent.refresh_access(&self.durable);
        Ok(true)
    }

    async fn wait(&mut self, task: TaskId, until: Until, reply: Reply<Option<Arc<TaskRecord>>>) {
        if self.tasks.has(&task) || self.durable.ends(&task) {
            self.waiters.wait_for(task, until, reply);
            return self.flush().await;
        }
        let found = self.context.store.task(&task).await.ok().flatten();
        let found = found.filter(|record| record.session_id == *self.durable.id());
        let _ = reply.send(found.map(Arc::new));
    }

    async fn answer(&mut self, answer: AnswerRequest) -> Result<AskRecord, AnswerError> {
        self.commit().await?;
        let answered = self.with_agent(|agent, scope| agent.answer(answer, scope))?;
        self.commit().await?;
        self.agent.send().await;
        Ok(answered)
    }

    async fn abort(&mut self, scope: &AbortScope, mode: AbortMode, reply: Reply<bool>) {
        let end = End::new(Failure::new(ErrorType::Aborted, "the task was aborted by a request"), EndedBy::Request);
        let running = self.tasks.running_in(scope);
        if let (Some(task), AbortMode::Interrupt) = (&running, mode) {
            self.waiters.wait_for_interrupt(task.clone(), reply);
            self.agent.interrupt(end.failure, &mut self.tasks);
            self.with_agent(Agent::withdraw_asks);
            return self.advance(None).await;
        }
        let aborted = self.with_agent(|agent, parts| agent.end_tasks(scope, &end, parts));
        self.flush().await;
        failpoint!("abort.written");
        let is_unused = self.state == State::Starting && (self.tasks.queued() == 0 || self.tasks.ending().is_some());
        if running.is_some() || (aborted && is_unused) {
            self.waiters.wait_for_stop(StopReply::Abort(reply));
            self.transition(Input::Stop(After::Rest)).await;
        } else {
            let _ = reply.send(aborted);
        }
    }

    /// Ends all tasks of the session, for a reset or a deletion.
    async fn stop(&mut self, after: After, reply: StopReply) {
        if self.durable.record().is_none() {
            return reply.no_session();
        }
        self.waiters.wait_for_stop(reply);
        self.with_agent(|agent, scope| agent.end_tasks(&AbortScope::Session, &End::of_stop(after), scope));
        self.advance(Some(Input::Stop(after))).await;
    }

    /// Starts the sandbox of a session that had one, because a task is likely to follow, if no other session needs the slot.
    async fn prepare(&mut self) {
        if self.state == State::Cold && self.with_agent(|agent, scope| agent.reserve_spare_slot(scope)) {
            self.transition(Input::Expected).await;
        }
    }

    /// Commits the changes, sends the agent its lines, and makes the transition that follows.
    async fn advance(&mut self, input: Option<Input>) {
        self.flush().await;
        self.agent.send().await;
        if let Some(input) = input {
            report::reach_failpoint(input);
            self.transition(input).await;
        }
    }

    /// Changes the state and takes the action that follows, until no further input follows from it.
    async fn transition(&mut self, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            let input = if self.tasks.ending().is_some() { input.handing_in() } else { input };
            let before = self.state;
            let (state, action) = before.next(input, self.tasks.is_ready(&self.context));
            self.state = state;
            if state != before {
                self.agent.report_usage(state);
            }
            match action {
                Action::Nothing => {}
                Action::StartSandbox => self.with_agent(|agent, scope| agent.start_sandbox(scope)),
                Action::ReattachSandbox => self.with_agent(|agent, scope| agent.reattach_sandbox(scope)),
                Action::StartTask => {
                    self.with_agent(Agent::begin_next);
                    self.flush().await;
                }
                Action::CancelLaunch => self.agent.cancel_launch(),
                Action::StopSandbox => self.with_agent(|agent, scope| agent.stop_sandbox(scope)),
                Action::RemoveStorage => wipe(self.durable.key(), &self.context, &self.reports.0),
                Action::Settle(after) => {
                    self.settle(after).await;
                    next = self.tasks.is_ready(&self.context).then_some(Input::Queued);
                }
            }
            self.idle.on_transition(before, self.state, Instant::now());
        }
    }

    /// Completes a stop. The tasks that waited for the session's next life begin it.
    async fn settle(&mut self, after: After) {
        let outcome = self.write_stop(after).await.map_err(Arc::new);
        failpoint!("stop.written");
        self.waiters.stopped(&outcome);
        for (submission, reply) in self.waiters.take_deferred() {
            // Boxed: a submission can settle another stop.
            Box::pin(self.on_submit(submission, reply)).await;
        }
    }

    /// Stores a stop. If that fails, the session is unchanged and its callers can ask again.
    async fn write_stop(&mut self, after: After) -> Result<(), StoreError> {
        // This commit keeps earlier, uncommitted ends of tasks from being undone.
        self.commit().await?;
        let before = self.durable.savepoint();
        match after {
            After::Rest => return Ok(()),
            After::Reset => self.durable.reset(),
            After::Delete => self.durable.delete(),
        }
        self.commit_or_undo(before).await?;
        self.agent.forget_decisions();
        if after == After::Delete {
            self.durable = self.durable.next_life(&self.context);
            self.agent.forget_conversation();
        }
        Ok(())
    }

    /// Commits the changes. If that fails, they are committed later.
    async fn flush(&mut self) {
        let _ = self.commit().await;
    }

    /// Commits the changes, then publishes and answers.
    async fn commit(&mut self) -> Result<(), StoreError> {
        let flushed = self.durable.flush().await?;
        if let Some(frame) = flushed.last_frame {
            self.agent.acknowledge(frame);
        }
        // Before the callers get their answers: one that asks then sees a session that is not busy any more.
        self.published.publish_commit(&flushed, self.durable.id(), &self.context).await;
        self.published.publish_status(Status::new(&self.tasks, self.state));
        if let Some(lag) = flushed.lag {
            self.context.metrics.events_published(lag);
        }
        for record in &flushed.ended {
            failpoint!("end.written");
            self.context.count_ended(record, &self.durable.agent());
            self.waiters.task_ended(record);
            failpoint!("end.published");
        }
        self.waiters.task_waits(self.tasks.waiting());
        self.agent.release_decisions();
        self.agent.send_pending_prompt(&self.context, &mut self.tasks, &self.durable).await;
        Ok(())
    }

    async fn commit_or_undo(&mut self, before: Savepoint) -> Result<(), StoreError> {
        self.commit().await.inspect_err(|_| self.durable.undo(before))
    }

    /// Publishes the session's status and row, between changes only.
    fn publish(&mut self) {
        self.published.publish_status(Status::new(&self.tasks, self.state));
        if let (Some(record), None) = (self.durable.record(), self.durable.retry_at()) {
            self.published.notify_watchers(&self.context.feed, record, self.durable.log().latest());
        }
    }

    /// The earliest moment at which the worker acts by itself.
    fn next_deadline(&self) -> Instant {
        let (stops_at, retires_at) = (self.idle.stops_at(self.state), self.idle.retires_at(self.state));
        let acts_at = self.agent.acts_at(&self.tasks, self.context.settings.stall_timeout);
        let deadlines = [stops_at, retires_at, acts_at, self.durable.retry_at()];
        deadlines.into_iter().flatten().min().unwrap_or_else(|| Instant::now() + LONGEST_SLEEP)
    }

    async fn on_deadline(&mut self) {
        let now = Instant::now();
        if self.idle.stops_at(self.state).is_some_and(|at| at <= now) {
            info!(session.id = %self.durable.id(), "session idle: removing its container, keeping its volumes");
            failpoint!("session.idle");
            self.transition(Input::IdledOut).await;
        }
        let input = self.with_agent(|agent, scope| agent.check_running(now, scope));
        self.advance(input).await;
    }

    fn may_retire(&self) -> bool {
        let is_at_rest = self.state == State::Cold && self.tasks.queued() == 0 && !self.waiters.has_deferred();
        // A session without tasks needs no worker after its last subscriber.
        let is_over = self.durable.record().is_none() || self.idle.retires_at(self.state) <= Some(Instant::now());
        is_at_rest && is_over && self.durable.is_at_rest() && self.requests.is_empty()
    }

    /// Shuts the session down: the running task ends, and queued tasks run after the next start. With `hand_off` the next
    /// coordinator continues the running task.
    async fn shut_down(&mut self) {
        if self.context.settings.hand_off {
            self.flush().await;
            failpoint!("session.left");
            return;
        }
        let Worker { context, reports, tasks, durable, agent, .. } = self;
        agent.end_at_shutdown(&mut Scope { context, reports: &reports.0, tasks, durable }).await;
        self.flush().await;
        failpoint!("session.ended");
        if self.agent.shut_down(&self.context, &mut self.reports.1).await {
            self.durable.remove_sandbox();
            self.durable.touch();
            self.flush().await;
        }
    }

    /// Lends the agent and the parts that it works on to `work`.
    fn with_agent<T>(&mut self, work: impl FnOnce(&mut Agent, &mut Scope<'_>) -> T) -> T {
        let Worker { context, reports, tasks, durable, agent, .. } = self;
        work(agent, &mut Scope { context, reports: &reports.0, tasks, durable })
    }
}
