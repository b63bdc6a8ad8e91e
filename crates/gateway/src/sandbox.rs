//! One sandbox's view of the gateway.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use domain::budget::Payer;
use domain::egress::{EgressChannel, EgressDecision, EgressRule, Origin};
use domain::session::SessionId;
use forge::GitHubError;
use http::HeaderValue;
use observe::audit;
use observe::telemetry::TaskTrace;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::GatewayState;
use super::activity::{Activity, ActivityTracker};
use super::answer::shortened;
use super::body_room::room_of;
use super::credential::{Credential, Unusable};
use super::failure::GatewayFailure;
use super::git::{PushPolicy, RepositoryAccess};
use super::meter::{Meter, UsageSnapshot};
use super::outage::Outage;
use super::request_gate::RequestGate;
use super::task::TaskEnd;
use super::task_quota::TaskQuota;

/// The access of a session beyond the operator's settings for all sessions.
#[derive(Clone, Debug, Default)]
pub struct SessionAccess {
    /// The session's own credential, used instead of the operator's.
    pub credential: Option<Credential>,
    /// The origins of the URLs in the task's `env`, see [`domain::egress::origins_in_env`].
    pub origins: Vec<Origin>,
    /// Destinations that the operator allows to the session's agent besides EGRESS_ALLOW.
    pub egress: Vec<EgressRule>,
}

/// The session and task on whose behalf a sandbox sends its requests.
#[derive(Clone, Debug)]
pub struct Assignee {
    /// Named in the audit log.
    pub session: SessionId,
    pub access: SessionAccess,
    /// `None`: no task runs, and model requests are refused.
    pub task: Option<AssignedTask>,
}

/// The task that model requests are charged to.
#[derive(Clone, Debug)]
pub struct AssignedTask {
    pub payer: Payer,
    /// The trace that model requests are recorded in.
    pub trace: TaskTrace,
    /// The model that the task asks for. A request of its conversation with another one is refused. `None`: any.
    pub model: Option<String>,
}

/// Destinations that one sandbox may reach besides EGRESS_ALLOW, by the party that allowed them.
#[derive(Debug, Default)]
pub(super) struct SandboxRules {
    pub(super) operator: Vec<EgressRule>,
    pub(super) caller: Vec<EgressRule>,
}

/// The number of concurrent pushes of one sandbox. A push continues after its git has ended.
const MAX_PUSHES: usize = 8;

/// Serves one sandbox (see [`SandboxGateway::serve`]) and counts its usage.
pub struct SandboxGateway {
    pub(super) shared: Arc<GatewayState>,
    pub(super) meter: Arc<Meter>,
    pub(super) activity_tracker: Arc<ActivityTracker>,
    pub(super) request_gate: Arc<RequestGate>,
    pub(super) task_quota: Arc<TaskQuota>,
    pub(super) connections: Arc<Semaphore>,
    /// Open model requests, including those that their agent has abandoned.
    pub(super) relays: Arc<Semaphore>,
    /// Pushes, including those that their git has abandoned.
    pub(super) pushes: Arc<Semaphore>,
    /// The sandbox's share of the room for the bodies of model requests.
    pub(super) buffered: Arc<Semaphore>,
    pub(super) closed: CancellationToken,
    access: RwLock<Access>,
    repository: RwLock<Option<Arc<RepositoryAccess>>>,
    /// The commit of the last push of the task's own branch.
    pushed: watch::Sender<Option<String>>,
    /// The other branches that were created in this sandbox.
    pub(super) made: watch::Sender<BTreeSet<String>>,
    push_retry: Mutex<Option<Duration>>,
    /// Allows the examination of one push at a time.
    pub(super) examining: Semaphore,
    session: RwLock<Option<Arc<str>>>,
    failure: Mutex<Option<GatewayFailure>>,
    /// The name that the CLI gave to the main conversation of the sandbox.
    conversation: Mutex<MainConversation>,
    /// The API's last refusal of a request of this task, until one succeeds.
    refusal: Mutex<Option<String>>,
    pub(super) outage: Outage,
    /// The number of model requests before the task began.
    requests_before: AtomicU64,
}

/// The conversation whose requests have the model of the task.
#[derive(Default)]
enum MainConversation {
    /// No agent has started since this gateway was opened. After a restart of the server, one may be at work.
    #[default]
    Unknown,
    /// The next one that asks is the main one.
    Expected,
    Named(HeaderValue),
}

#[derive(Default)]
struct Access {
    credential: Option<Credential>,
    rules: Arc<SandboxRules>,
}

impl SandboxGateway {
    pub(super) fn new(shared: Arc<GatewayState>) -> Arc<Self> {
        Arc::new(SandboxGateway {
            meter: Arc::new(Meter::new(
                Arc::clone(&shared.prices),
                Arc::clone(&shared.tiers),
                shared.budgets.clone(),
                shared.metrics.clone(),
                shared.settle,
            )),
            activity_tracker: Arc::new(ActivityTracker::new()),
            request_gate: Arc::new(RequestGate::new()),
            task_quota: Arc::new(TaskQuota::new(shared.bounds.requests_per_minute, shared.bounds.outside_bytes)),
            connections: Arc::new(Semaphore::new(shared.bounds.connections)),
            relays: Arc::new(Semaphore::new(shared.bounds.connections)),
            pushes: Arc::new(Semaphore::new(MAX_PUSHES)),
            buffered: room_of(shared.bounds.buffered_bytes),
            closed: shared.closed.child_token(),
            access: RwLock::default(),
            repository: RwLock::default(),
            pushed: watch::Sender::default(),
            made: watch::Sender::default(),
            push_retry: Mutex::default(),
            examining: Semaphore::new(1),
            session: RwLock::default(),
            failure: Mutex::default(),
            conversation: Mutex::default(),
            refusal: Mutex::default(),
            outage: Outage::default(),
            requests_before: AtomicU64::new(0),
            shared,
        })
    }

    /// Returns true if EGRESS_ALLOW has a rule.
    pub fn has_egress_rules(&self) -> bool {
        self.shared.egress.has_rules()
    }

    /// Returns true if CA_FILE is set. A proxy that decrypts the sandbox's requests then has certificates of these authorities.
    pub fn has_own_authorities(&self) -> bool {
        self.shared.network.ca_file().is_some()
    }

    /// Gives the sandbox to a task, or to its session where no task runs: new requests use this access, and model
    /// requests are charged to the task. The failure, the held requests and the quota of the previous task are cleared,
    /// but the access is set first: a request that waited is never sent with the access of the previous task.
    pub fn assign(&self, assignee: Assignee) {
        let Assignee { session, access, task } = assignee;
        self.set_session(session.as_str());
        self.set_access(access);
        match task {
            Some(AssignedTask { payer, trace, model }) => {
                self.begin(payer, model);
                self.meter.trace_as(trace);
            }
            None => self.await_task(),
        }
    }

    /// Replaces the access. New requests use it; open requests keep the old one.
    pub fn set_access(&self, access: SessionAccess) {
        let caller = access.origins.into_iter().map(EgressRule::from).collect();
        let rules = Arc::new(SandboxRules { operator: access.egress, caller });
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = Access { credential: access.credential, rules };
    }

    /// Sets the sandbox's access to a repository.
    pub fn set_repository(&self, access: RepositoryAccess) {
        *self.repository.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(access));
    }

    /// Publishes each push of the task's own branch: the commit that the branch points to.
    pub fn pushes(&self) -> watch::Receiver<Option<String>> {
        self.pushed.subscribe()
    }

    /// Returns the other branches that the task created in this sandbox.
    pub fn made_branches(&self) -> watch::Receiver<BTreeSet<String>> {
        self.made.subscribe()
    }

    /// Returns the time after which the last push can succeed. `None`: it did not fail, or a retry would fail too.
    pub fn push_retry(&self) -> Option<Duration> {
        *self.push_retry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin_push(&self) {
        *self.push_retry.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    pub(super) fn note_push_failure(&self, error: &GitHubError) {
        let passing = error.is_passing().then_some(Duration::ZERO);
        *self.push_retry.lock().unwrap_or_else(PoisonError::into_inner) = error.wait().or(passing);
    }

    /// Records the commit to which a branch points now.
    pub(super) fn note_push(&self, branch: &str, commit: &str, policy: &PushPolicy) {
        if branch == policy.branch {
            self.pushed.send_replace(Some(commit.to_owned()));
        } else if !policy.made.contains(branch) {
            self.made.send_if_modified(|made| made.insert(branch.to_owned()));
        }
    }

    pub(super) fn repository(&self) -> Option<Arc<RepositoryAccess>> {
        self.repository.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Names the session whose sandbox this is, for the audit log.
    pub(super) fn set_session(&self, id: &str) {
        *self.session.write().unwrap_or_else(PoisonError::into_inner) = Some(id.into());
    }

    /// An agent starts in the sandbox: the next conversation that asks the model is the main one.
    pub fn expect_conversation(&self) {
        *self.conversation.lock().unwrap_or_else(PoisonError::into_inner) = MainConversation::Expected;
    }

    /// Returns true if the CLI gave this name to the main conversation, or gives it now.
    pub(super) fn is_main_conversation(&self, name: &HeaderValue) -> bool {
        let mut main = self.conversation.lock().unwrap_or_else(PoisonError::into_inner);
        if let MainConversation::Expected = *main {
            *main = MainConversation::Named(name.clone());
        }
        matches!(&*main, MainConversation::Named(known) if known == name)
    }

    /// Begins a task in a sandbox without a session: model requests are charged to it, and its failure is cleared. For other
    /// sandboxes see [`SandboxGateway::assign`].
    pub fn begin_task(&self, payer: Payer) {
        self.begin(payer, None);
    }

    fn begin(&self, payer: Payer, model: Option<String>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.outage.end();
        self.requests_before.store(self.activity_tracker.read().requests, Ordering::Relaxed);
        self.meter.begin(payer, model);
        self.request_gate.restart();
        self.task_quota.begin_task();
    }

    /// Ends the task in the way of `end`: no model request starts until the next task. The cost of the task is final after
    /// [`Budgets::settled`](crate::budget::Budgets::settled).
    pub fn end_task(&self, end: TaskEnd) {
        self.meter.end(end);
        self.request_gate.release();
    }

    /// The sandbox has a session and no task: model requests are refused.
    pub(super) fn await_task(&self) {
        self.meter.forget();
        self.request_gate.restart();
    }

    /// Returns true if a model request arrived since [`SandboxGateway::assign`].
    pub fn was_asked(&self) -> bool {
        self.activity_tracker.read().requests > self.requests_before.load(Ordering::Relaxed)
    }

    /// Holds back new model requests: the task may have had its last turn, which the worker has not confirmed yet.
    pub fn hold_requests(&self) {
        self.request_gate.hold();
    }

    pub fn release_requests(&self) {
        self.request_gate.release();
    }

    /// Confirms that the worker has seen a tool call. The next model request waits for that, so that [`Self::hold_requests`] is in
    /// time.
    pub fn confirm_tool_call(&self) {
        self.request_gate.confirm_call();
    }

    /// Returns the usage of the current task in this sandbox, or of the last one.
    pub fn usage(&self) -> UsageSnapshot {
        self.meter.read()
    }

    /// Returns the last failure since [`SandboxGateway::assign`] that no later success cleared. A task can succeed despite it, so
    /// it explains a failure that was seen elsewhere but is not the failure itself.
    pub fn failure(&self) -> Option<GatewayFailure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn activity(&self) -> Activity {
        self.activity_tracker.read()
    }

    /// Records that the link has reconnected.
    pub fn link_reconnected(&self) {
        self.shared.metrics.link_reconnected();
    }

    /// Closes all current and later connections, because the sandbox was removed. The answers of open model requests are read as
    /// after [`TaskEnd::Own`], unless the task has ended in another way.
    pub fn close(&self) {
        self.meter.end(TaskEnd::Own);
        self.closed.cancel();
    }

    pub(super) fn fail(&self, failure: GatewayFailure) {
        tracing::warn!(?failure, "a model request failed");
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    /// Records why the API refused a request. Returns true if it refused the previous one for the same reason.
    pub(super) fn repeats(&self, sentence: &str) -> bool {
        let mut refusal = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        refusal.replace(sentence.to_owned()).is_some_and(|previous| previous == sentence)
    }

    /// Clears passing failures after a model request succeeded.
    pub(super) fn recover(&self) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.outage.end();
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take_if(|failure| failure.is_passing());
    }

    pub(super) fn credential(&self) -> Result<Credential, Unusable> {
        let session = self.access.read().unwrap_or_else(PoisonError::into_inner).credential.clone();
        self.shared.credentials.select(session.as_ref())
    }

    /// Reports a decision to the audit log and the metrics.
    ///
    /// `target`: `host:port` as the agent wrote it, or the method and path of a model request. It is shortened here.
    pub(super) fn decided(&self, channel: EgressChannel, target: &str, decision: EgressDecision) {
        let session = self.session.read().unwrap_or_else(PoisonError::into_inner).clone();
        let target = shortened(target);
        self.shared.metrics.decided(channel, decision);
        let decision = decision.to_string();
        tracing::info!(
            target: audit::TARGET,
            {
                session.id = session.as_deref(),
                egress.via = channel.as_str(),
                egress.target = &*target,
                egress.decision = &*decision,
            },
            "a sandbox's way out"
        );
    }

    pub(super) fn rules(&self) -> Arc<SandboxRules> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner).rules)
    }
}
