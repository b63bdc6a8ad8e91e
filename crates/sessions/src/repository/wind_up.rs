//! The end of a repository task: the remaining commits are pushed, and the pull request gets its final text.
//!
//! The agent's sandbox is gone by then. A new one, in which only git runs, has the same files. All of this can be
//! repeated after a crash.

use std::sync::Arc;
use std::time::Duration;

use agent_template::AgentTemplate;
use domain::error_chain;
use domain::repository::{Checkout, Pull};
use domain::session::SessionKey;
use domain::task::{ErrorType, Failure, TaskId};
use forge::{GitHubError, NewPull, PullChanges};
use sandbox::{Assignment, LaunchError, LaunchOrder, SandboxHost};
use store::Store;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{Repositories, WorkReport, clone, failure, pull_request};

/// The pauses before a call to the forge that failed temporarily is repeated.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(15), Duration::from_secs(30)];

/// The end of the task itself.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) task: TaskId,
    pub(crate) model: String,
    /// US dollars.
    pub(crate) cost: f64,
    pub(crate) report: Option<WorkReport>,
    pub(crate) failure: Option<Failure>,
}

/// The work to hand in.
pub(crate) struct WindUp {
    pub(crate) repositories: Repositories,
    pub(crate) sandboxes: Arc<SandboxHost>,
    /// Has the prompt of the task.
    pub(crate) store: Store,
    pub(crate) session: SessionKey,
    pub(crate) checkout: Checkout,
    pub(crate) cloned: bool,
    pub(crate) outcome: Outcome,
}

/// The outcome of handing in.
#[derive(Debug, Default)]
pub(crate) struct WoundUp {
    pub(crate) pull: Option<Pull>,
    /// The failure of a task that the agent completed.
    pub(crate) failure: Option<Failure>,
}

impl WindUp {
    /// Hands in as much as possible.
    pub(crate) async fn run(self, cancel: &CancellationToken) -> WoundUp {
        let rejected = if self.cloned { self.push(cancel).await } else { None };
        let handed_in = async {
            let mut pauses = PAUSES.into_iter();
            loop {
                match self.hand_in(rejected.as_ref()).await {
                    Err(error) if error.is_passing() => match pauses.next() {
                        Some(pause) => tokio::time::sleep(pause).await,
                        None => return Err(error),
                    },
                    outcome => return outcome,
                }
            }
        };
        match cancel.run_until_cancelled(handed_in).await {
            Some(Ok(wound_up)) => wound_up,
            Some(Err(error)) => {
                warn!(task.id = %self.outcome.task, %error, "a pull request could not be finished");
                WoundUp { pull: None, failure: Some(failure::handing_in(&error)) }
            }
            None => WoundUp::default(),
        }
    }

    /// The reason why the push was refused.
    async fn push(&self, cancel: &CancellationToken) -> Option<Failure> {
        match self.try_push(cancel).await {
            Ok(None) => None,
            Ok(Some(said)) => {
                let error = format!("commits could not be pushed: {said}");
                Some(Failure::new(ErrorType::PushRejected, error))
            }
            Err(error) => {
                let error = format!("commits could not be pushed: {}", error_chain(&error));
                Some(Failure::new(ErrorType::PushRejected, error))
            }
        }
    }

    async fn try_push(&self, cancel: &CancellationToken) -> Result<Option<String>, LaunchError> {
        let order = LaunchOrder {
            session: self.session,
            template: AgentTemplate::of_instructions("").into(),
            model: self.outcome.model.clone(),
            resume: None,
            untouched: false,
            assignment: Assignment::Image(self.repositories.settings.image.clone()),
        };
        let mut sandbox = self.sandboxes.open(&order, cancel).await?;
        sandbox.gateway.set_repository(self.repositories.access(&self.checkout));
        let pushed = cancel.run_until_cancelled(clone::push(&mut sandbox, &self.checkout)).await;
        let name = sandbox.name.clone();
        drop(sandbox);
        if let Err(error) = self.sandboxes.take_down(&name).await {
            warn!(sandbox.name = %name, %error, "could not remove a sandbox; it will be removed as an orphan");
        }
        pushed.unwrap_or(Err(LaunchError::Cancelled))
    }

    async fn hand_in(&self, rejected: Option<&Failure>) -> Result<WoundUp, GitHubError> {
        let WindUp { repositories, checkout, outcome, .. } = self;
        let Checkout { name, branch, start, .. } = checkout;
        let github = &repositories.github;
        let completed = outcome.failure.is_none();
        let head = github.branch(name, branch).await?;
        if head.as_ref().is_none_or(|head| head == start) {
            if head.is_some() && checkout.own_branch && rejected.is_none() {
                github.delete_reference(name, &format!("refs/heads/{branch}")).await?;
            }
            let nothing = || Failure::new(ErrorType::NothingToDo, nothing_changed(outcome.report.as_ref()));
            let failure = completed.then(|| rejected.cloned().unwrap_or_else(nothing));
            return Ok(WoundUp { pull: None, failure });
        }
        let failure = outcome.failure.as_ref().or(rejected);
        let (prompt, task) = (prompt_of(&outcome.task, &self.store).await, outcome.task.as_str());
        let pull = repositories.open_pull(checkout, task, &prompt).await?;
        let (title, body) = pull_request::last_words(&prompt, task, outcome.cost, outcome.report.as_ref(), failure);
        let pull = github.change_pull(name, pull.number, &PullChanges { title: Some(title), body: Some(body) }).await?;
        if failure.is_none() && pull.draft {
            github.mark_ready(name, &pull).await?;
        }
        Ok(WoundUp { pull: Some(pull), failure: completed.then(|| rejected.cloned()).flatten() })
    }
}

fn nothing_changed(report: Option<&WorkReport>) -> String {
    let said = report.map(|report| report.summary.trim()).filter(|summary| !summary.is_empty());
    let said = said.map(|said| format!(": {}", said.chars().take(500).collect::<String>())).unwrap_or_default();
    format!("nothing was changed in the repository, so there is no pull request{said}")
}

/// The prompt of a task, which only the store has. A pull request gets a title from it, and is better without it than not made.
pub(crate) async fn prompt_of(task: &TaskId, store: &Store) -> String {
    match store.task_request(task).await {
        Ok(request) => request.message,
        Err(error) => {
            warn!(task.id = %task, %error, "could not read a task's prompt for its pull request");
            String::new()
        }
    }
}

impl Repositories {
    /// The open pull request of the branch. Opens a draft where there is none.
    pub(crate) async fn open_pull(&self, checkout: &Checkout, task: &str, prompt: &str) -> Result<Pull, GitHubError> {
        let new = NewPull {
            title: pull_request::first_title(prompt),
            body: pull_request::first_body(task),
            head: checkout.branch.clone(),
            base: checkout.base.clone(),
        };
        self.github.open_pull(&checkout.name, &new).await
    }
}
