//! The resources that a session holds for its sandbox: the reservation before a launch, the launch, the sandbox itself,
//! its slot, and the lease of its branch.

mod failure;
mod launch;
mod prepare;
mod reattach;
mod take_down;
mod wanted;
mod warm;

use std::collections::BTreeMap;
use std::sync::Arc;

use agent_template::AgentTemplate;
use claude_stream::{AgentLine, LineError};
use domain::session::SandboxRecord;
use domain::usage::Cost;
use gateway::{Assignee, SandboxGateway, UsageSnapshot};
use sandbox::capacity::Slot;
use sandbox::{ProcessEnd, ProcessOutput, Sandbox, SandboxName, Warm};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::context::SessionContext;
use super::report::Report;
use super::state::State;
use crate::repository::Lease;
pub(crate) use failure::{failure_of, failure_of_end};
use launch::Launch;
pub(crate) use launch::{Launched, NotLaunched};
pub(crate) use prepare::Step;
pub(crate) use reattach::Found;
pub(crate) use take_down::{SETTLE, TakeDown, wipe};
pub(crate) use wanted::Wanted;
pub(crate) use warm::{discard_warm, take_warm};

#[derive(Default)]
pub(crate) struct SessionSandbox {
    reserved: Reserved,
    /// Cancels the launch in progress.
    launching: Option<CancellationToken>,
    attached: Option<Attached>,
    /// Held until the sandbox is removed.
    slot: Option<Slot>,
    /// The right to work on the session's branch, held until the sandbox is removed.
    lease: Option<Lease>,
}

/// The start of the next launch.
#[derive(Default)]
enum Reserved {
    #[default]
    Nothing,
    Slot(Slot),
    Warm(Box<Warm>),
}

struct Attached {
    sandbox: Sandbox,
    /// The environment that the agent has. `None`: not known.
    applied_env: Option<BTreeMap<String, String>>,
}

impl SessionSandbox {
    /// The next launch uses this warm sandbox.
    pub(crate) fn reserve_warm(&mut self, warm: Box<Warm>) {
        self.reserved = Reserved::Warm(warm);
    }

    /// The next launch uses this slot.
    pub(crate) fn reserve_slot(&mut self, slot: Slot) {
        self.reserved = Reserved::Slot(slot);
    }

    /// Spawns a launch, which reports [`Report::Launched`].
    pub(crate) fn launch(&mut self, wanted: Wanted, context: &Arc<SessionContext>, reports: &mpsc::Sender<Report>) {
        let cancel = CancellationToken::new();
        self.launching = Some(cancel.clone());
        let reserved = std::mem::take(&mut self.reserved);
        let launch = Launch { context: Arc::clone(context), reports: reports.clone(), wanted, cancel };
        context.tracker.spawn(async move {
            let outcome = Box::pin(launch.run(reserved)).await;
            let _ = launch.reports.send(Report::Launched(Box::new(outcome))).await;
        });
    }

    /// Spawns the reattachment of the sandbox that the previous coordinator left, which reports [`Report::Reattached`].
    pub(crate) fn reattach(&mut self, found: Found, context: &Arc<SessionContext>, reports: &mpsc::Sender<Report>) {
        let cancel = CancellationToken::new();
        self.launching = Some(cancel.clone());
        self.slot = Some(context.capacity.adopt());
        self.lease = found.lease(context);
        let (context, reports) = (Arc::clone(context), reports.clone());
        context.tracker.clone().spawn(async move {
            let outcome = found.reattach(&context, cancel).await;
            let _ = reports.send(Report::Reattached(Box::new(outcome))).await;
        });
    }

    /// Cancels the launch. Its report follows.
    pub(crate) fn cancel_launch(&self) {
        if let Some(launching) = &self.launching {
            launching.cancel();
        }
    }

    /// Processes the end of a launch and keeps its resources.
    pub(crate) fn on_launch_end(&mut self, outcome: Result<Launched, NotLaunched>) -> Result<Ready, NotLaunched> {
        self.launching = None;
        let Launched { sandbox, template, transcript_lost, spent, slot, lease } = outcome?;
        // A reattached sandbox already has its slot and its lease.
        self.slot = slot.or(self.slot.take());
        self.lease = lease.or(self.lease.take());
        let (record, model, repairs) = (sandbox.record(), sandbox.model.clone(), sandbox.repairs.clone());
        let asks = sandbox.asks;
        self.attached = Some(Attached { sandbox, applied_env: None });
        Ok(Ready { template, model, asks, transcript_lost, spent, record, repairs })
    }

    /// Takes the sandbox and its slot out, to take the sandbox down. The lease stays until
    /// [`SessionSandbox::on_taken_down`].
    pub(crate) fn detach(&mut self) -> (Option<Sandbox>, Option<Slot>) {
        (self.attached.take().map(|attached| attached.sandbox), self.slot.take())
    }

    /// Releases the branch: the sandbox was removed, and the work of its task was handed in.
    pub(crate) fn on_taken_down(&mut self) {
        self.lease = None;
    }

    /// Returns the next output of the agent and the eviction request. Each never resolves if there is nothing to wait for. Both are
    /// cancel-safe.
    pub(crate) fn listen(&mut self) -> (impl Future<Output = ProcessOutput>, impl Future<Output = ()>) {
        let SessionSandbox { attached, slot, .. } = self;
        let output = async move {
            match attached {
                Some(attached) => attached.sandbox.process.recv().await,
                None => std::future::pending().await,
            }
        };
        let eviction = async move {
            match slot {
                Some(slot) => slot.eviction_requested().await,
                None => std::future::pending().await,
            }
        };
        (output, eviction)
    }

    /// Reports the use of the sandbox to the ledger, which decides which sandbox is evicted.
    pub(crate) fn report_usage(&self, state: State) {
        let Some(slot) = &self.slot else { return };
        match state {
            State::Running => slot.busy(),
            State::Idle => slot.idle(),
            State::Cold
            | State::Starting
            | State::Evicting
            | State::Cancelling(_)
            | State::Stopping(_)
            | State::Wiping(_) => {}
        }
    }

    /// Yields the slot if another session has waited long. Returns true if the sandbox then counts as evicted.
    pub(crate) fn yield_slot(&self) -> bool {
        self.slot.as_ref().is_some_and(Slot::yields_slot)
    }

    /// True if a new sandbox would have another image than the attached one.
    pub(crate) fn is_outdated(&self, context: &SessionContext) -> bool {
        let outdated = self.attached.as_ref().map(|attached| &attached.sandbox);
        let outdated = outdated.filter(|sandbox| !context.sandboxes.is_current(sandbox));
        if let Some(sandbox) = outdated {
            info!(sandbox.name = %sandbox.name, "the image has changed: the next task gets a new sandbox");
        }
        outdated.is_some()
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.attached.is_some()
    }

    pub(crate) fn gateway(&self) -> Option<&SandboxGateway> {
        self.attached.as_ref().map(|attached| &*attached.sandbox.gateway)
    }

    pub(crate) fn assign(&self, assignee: Assignee) {
        if let (Some(slot), Some(task)) = (&self.slot, &assignee.task) {
            slot.assign(task.payer.key.clone());
        }
        if let Some(gateway) = self.gateway() {
            gateway.assign(assignee);
        }
    }

    /// The usage that the gateway has counted for this sandbox.
    pub(crate) fn used(&self) -> UsageSnapshot {
        self.gateway().map(SandboxGateway::usage).unwrap_or_default()
    }

    /// Returns true if the agent may have sent a model request since the task began. A sandbox that is not attached was not
    /// watched.
    pub(crate) fn may_have_asked(&self) -> bool {
        self.gateway().is_none_or(SandboxGateway::was_asked)
    }

    pub(crate) fn last_frame(&self) -> u64 {
        self.attached.as_ref().map_or(0, |attached| attached.sandbox.process.last_frame())
    }

    /// Decodes the agent's output into lines. Returns the end of its process if the output contains it.
    pub(crate) fn decode(
        &mut self,
        output: ProcessOutput,
        mut on_line: impl FnMut(Result<AgentLine<'_>, LineError>, &SandboxGateway),
    ) -> Option<ProcessEnd> {
        match (output, &mut self.attached) {
            (ProcessOutput::Frames(frames), Some(Attached { sandbox, .. })) => {
                let gateway = &sandbox.gateway;
                sandbox.process.decode(frames, |line| on_line(line, gateway))
            }
            (ProcessOutput::Frames(_), None) => None,
            (ProcessOutput::Ended(end), _) => Some(end),
        }
    }

    /// Tells the sandbox that it can discard its frames up to this one.
    pub(crate) fn acknowledge(&self, frame: u64) {
        if let Some(attached) = &self.attached {
            attached.sandbox.link.acknowledge(frame);
        }
    }

    /// Sends lines to the agent. A broken link also ends the output, which is where the error is handled.
    pub(crate) async fn send(&self, lines: Vec<String>) {
        let Some(attached) = &self.attached else { return };
        for line in lines {
            if attached.sandbox.link.stdin(line.into()).await.is_err() {
                break;
            }
        }
    }

    /// Notes the environment that the agent is about to get. False: the agent has it already.
    pub(crate) fn apply_env(&mut self, env: &BTreeMap<String, String>) -> bool {
        let Some(attached) = &mut self.attached else { return false };
        let changed = attached.applied_env.as_ref() != Some(env);
        if changed {
            attached.applied_env = Some(env.clone());
        }
        changed
    }

    /// Ends a launch in progress, and takes the sandbox down. Returns true if the session no longer has a sandbox.
    pub(crate) async fn shut_down(&mut self, context: &SessionContext, reports: &mut mpsc::Receiver<Report>) -> bool {
        if let Some(launching) = &self.launching {
            launching.cancel();
            while let Some(report) = reports.recv().await {
                match report {
                    Report::Launched(outcome) | Report::Reattached(outcome) => {
                        let _ = self.on_launch_end(*outcome);
                        break;
                    }
                    // The report was sent before the launch was cancelled.
                    Report::Waits { .. }
                    | Report::Prepared(..)
                    | Report::PullOpened(_)
                    | Report::BranchesMade(_)
                    | Report::Settled(_) => {}
                    // No other work is in progress during a launch.
                    Report::TakenDown(_) | Report::Wiped => break,
                }
            }
        }
        let (Some(sandbox), _slot) = self.detach() else { return false };
        let name: SandboxName = sandbox.name.clone();
        drop(sandbox);
        let taken_down = context.sandboxes.take_down(&name).await;
        taken_down.inspect_err(|error| warn!(sandbox.name = %name, %error, "could not remove a sandbox")).is_ok()
    }
}

/// A sandbox whose agent waits for messages.
pub(crate) struct Ready {
    pub(crate) template: Arc<AgentTemplate>,
    /// The model that a new agent was started with.
    pub(crate) model: String,
    /// The new agent asks about each call of a tool.
    pub(crate) asks: bool,
    /// A conversation was to be resumed, but its transcript is lost.
    pub(crate) transcript_lost: bool,
    /// The cost of the task that was running, if the sandbox was reattached.
    pub(crate) spent: Option<Cost>,
    pub(crate) record: SandboxRecord,
    /// A sentence for each repair of the agent's home.
    pub(crate) repairs: Vec<String>,
}

#[cfg(test)]
mod tests;
