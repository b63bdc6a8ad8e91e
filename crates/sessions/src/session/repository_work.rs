//! The work of a session in a repository: the stages that its tasks publish, the pull request, and the work that is
//! handed in before a task's end is published.

mod stages;

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::repository::Pull;
use domain::session::SessionRepository;
use domain::task::{ErrorType, Failure, TaskRecord, TaskStatus};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::agent::Scope;
use super::context::SessionContext;
use super::durable::DurableState;
use super::report::Report;
use super::sandbox::SessionSandbox;
use super::tasks::{Ending, Tasks};
use crate::repository::{Outcome, WindUp, WorkReport, WoundUp, prompt_of};
use stages::fill_in;
pub(crate) use stages::{apply_step, enter_worker_stage, on_pull_opened};

#[derive(Default)]
pub(crate) struct RepositoryWork {
    /// Follows the pushes of the sandbox.
    opener: Option<Opener>,
    /// Ends the waits of the work that is handed in.
    hurry: CancellationToken,
}

/// Waits for the first push and then opens the pull request. Reports the other branches that the task creates.
pub(crate) struct Opener {
    enough: CancellationToken,
    work: JoinHandle<()>,
}

impl Opener {
    /// Returns once no call to the forge is in progress. Such a call is never interrupted, because its outcome would be unknown.
    pub(crate) async fn finish(self) {
        self.enough.cancel();
        // A panic of the opener is logged where it happens.
        let _ = self.work.await;
    }
}

impl RepositoryWork {
    /// Follows the pushes from now on. Opens the pull request after the first one if it is not open yet.
    pub(crate) fn follow_pushes(&mut self, sandbox: &SessionSandbox, scope: &Scope<'_>) {
        let Scope { tasks, durable, context, reports } = scope;
        let (Some(SessionRepository { checkout: Some(checkout), pull, .. }), Some(gateway)) =
            (durable.repository(), sandbox.gateway())
        else {
            return;
        };
        let running = tasks.running().map(|running| &running.record);
        let task = running.or_else(|| tasks.first().map(|waiting| &waiting.record));
        let (Some(task), Some(repositories)) = (task, context.repositories.clone()) else { return };
        let (checkout, task, store) = (checkout.clone(), task.id.clone(), context.store.clone());
        let (mut pushes, made, is_open) = (gateway.pushes(), gateway.made_branches(), pull.is_some());
        let (enough, opens, branches) = (CancellationToken::new(), (*reports).clone(), (*reports).clone());
        let stop = enough.clone();
        let work = context.tracker.spawn(async move {
            let opener = async {
                while !is_open && stop.run_until_cancelled(next_work(&mut pushes, &checkout.start)).await == Some(true)
                {
                    let prompt = prompt_of(&task, &store).await;
                    match repositories.open_pull(&checkout, task.as_str(), &prompt).await {
                        Ok(pull) => {
                            let _ = opens.send(Report::PullOpened(pull)).await;
                            return;
                        }
                        // The next push and the end of the task try again.
                        Err(error) => warn!(task.id = %task, %error, "the pull request could not be opened yet"),
                    }
                }
            };
            tokio::join!(opener, report_branches(made, branches, &stop));
        });
        self.opener = Some(Opener { enough, work });
    }

    pub(crate) fn take_opener(&mut self) -> Option<Opener> {
        self.opener.take()
    }

    /// The work to hand in for the task that ended. `None`: no task ended, or none left work.
    pub(crate) fn wind_up(
        &mut self,
        tasks: &Tasks,
        durable: &DurableState,
        context: &SessionContext,
    ) -> Option<WindUp> {
        self.hurry = CancellationToken::new();
        wind_up(self.hurry.clone(), tasks, durable, context)
    }

    /// Ends the waits for the forge, because a caller ends the task or needs the session.
    pub(crate) fn hurry(&self) {
        self.hurry.cancel();
    }
}

fn wind_up(
    hurry: CancellationToken,
    tasks: &Tasks,
    durable: &DurableState,
    context: &SessionContext,
) -> Option<WindUp> {
    let Ending { record, .. } = tasks.handing_in()?;
    let SessionRepository { checkout, cloned, .. } = durable.repository()?;
    let report = report_of(record);
    Some(WindUp {
        hurry,
        repositories: context.repositories.clone()?,
        sandboxes: Arc::clone(&context.sandboxes),
        store: context.store.clone(),
        session: durable.key(),
        checkout: checkout.clone()?,
        cloned: *cloned,
        outcome: Outcome {
            task: record.id.clone(),
            model: record.request.model.clone(),
            cost: record.answer.as_ref().map_or(0.0, |answer| answer.cost),
            failure: record.failure.clone().or_else(|| blocked(report.as_ref())),
            report,
        },
    })
}

/// Returns true if the agent ended the task by itself and may still be writing its transcript.
pub(crate) fn agent_settles(tasks: &Tasks) -> bool {
    tasks.ending().is_some_and(|ending| ending.record.status != TaskStatus::Aborted)
}

/// Publishes the end of the task that waited for its charges or whose work was handed in. Returns false if no task has ended.
pub(crate) fn conclude(wound_up: Option<WoundUp>, tasks: &mut Tasks, durable: &mut DurableState) -> bool {
    if tasks.publish_settled(durable) {
        return true;
    }
    let Some(Ending { mut record, by, .. }) = tasks.take_ending() else { return false };
    let WoundUp { pull, failure } = wound_up.unwrap_or_default();
    let report = report_of(&record);
    if let Some(pull) = pull {
        set_pull(pull, tasks, durable);
    }
    let progress = record.repository.get_or_insert_default();
    if let Some(known) = durable.repository() {
        fill_in(progress, known);
    }
    progress.summary = report.as_ref().map(|report| report.summary.clone());
    match (&mut record.failure, failure) {
        // Whatever ended the task, its error names the work that was pushed, and the work that was not.
        (Some(own), Some(handing_in)) => own.error = format!("{}; {}", own.error.trim_end(), handing_in.error),
        (Some(_), None) => {}
        (None, failure) => {
            if let Some(failure) = failure.or_else(|| blocked(report.as_ref())) {
                record.status = failure.status();
                if let Some(answer) = &mut record.answer {
                    answer.status = record.status;
                }
                record.failure = Some(failure);
            }
        }
    }
    tasks.publish_end(record, by, durable);
    true
}

/// Writes the pull request into the records of the session and of the running task.
fn set_pull(pull: Pull, tasks: &mut Tasks, durable: &mut DurableState) {
    durable.set_pull(pull);
    if let (Some(running), Some(known)) = (tasks.running_mut(), durable.repository()) {
        fill_in(running.record.repository.get_or_insert_default(), known);
    }
}

fn report_of(record: &TaskRecord) -> Option<WorkReport> {
    WorkReport::read(record.answer.as_ref()?.output.as_ref()?)
}

/// The failure of a task whose agent reports blockers.
fn blocked(report: Option<&WorkReport>) -> Option<Failure> {
    let blockers = report?.blockers.as_ref()?;
    let error = format!("the agent could not finish: {}", blockers.chars().take(2000).collect::<String>());
    Some(Failure::new(ErrorType::ExitCode, error))
}

/// Waits for the next push of a commit other than `start`. Returns false if no push will follow.
async fn next_work(pushes: &mut watch::Receiver<Option<String>>, start: &str) -> bool {
    loop {
        if pushes.changed().await.is_err() {
            return false;
        }
        if pushes.borrow_and_update().as_deref().is_some_and(|commit| commit != start) {
            return true;
        }
    }
}

/// Reports the branches that the task creates. If a crash loses the report of a branch, the task can no longer move it.
async fn report_branches(
    mut made: watch::Receiver<BTreeSet<String>>,
    reports: mpsc::Sender<Report>,
    stop: &CancellationToken,
) {
    let mut reported = BTreeSet::new();
    loop {
        let goes_on = matches!(stop.run_until_cancelled(made.changed()).await, Some(Ok(())));
        let branches = made.borrow_and_update().clone();
        if branches != reported {
            reported.clone_from(&branches);
            let _ = reports.send(Report::BranchesMade(branches)).await;
        }
        if !goes_on {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
