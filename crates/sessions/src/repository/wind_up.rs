//! The end of a repository task: the remaining commits are pushed, and the pull request gets its final text.
//!
//! The agent's sandbox has been removed by then. A new one, in which only git runs, has the same files. All of this can be repeated
//! after a crash.

use std::sync::Arc;
use std::time::Duration;

use agent_template::AgentTemplate;
use domain::error_chain;
use domain::repository::{Checkout, Pull};
use domain::session::SessionKey;
use domain::task::{ErrorType, Failure, TaskId, TaskStatus};
use forge::{GitHubError, NewPull, PullChanges};
use sandbox::{Assignment, LaunchError, LaunchOrder, Sandbox, SandboxHost};
use store::Store;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Repositories, WorkReport, clone, failure, pull_request};

/// The pauses before a call to the forge that failed temporarily is repeated. The last one is repeated, too.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(30),
    Duration::from_mins(2),
];

/// The time limit of handing in. It exceeds an hour because the forge's rate limit resets within an hour.
const PATIENCE: Duration = Duration::from_mins(65);
/// The time limit if a caller ended the task, because the caller may wait for the session.
const SHORT_PATIENCE: Duration = Duration::from_mins(1);

/// The time limit of one push. git itself waits for ever, for example where an agent made one of its files a FIFO.
const PUSH_LIMIT: Duration = Duration::from_mins(10);
/// The time that a push still has when a caller needs the session.
const HURRY_GRACE: Duration = Duration::from_secs(15);

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
    /// Cancelled when a caller needs the session, which ends all waits.
    pub(crate) hurry: CancellationToken,
}

/// The outcome of handing in.
#[derive(Debug, Default)]
pub(crate) struct WoundUp {
    pub(crate) pull: Option<Pull>,
    /// The failure of a task that the agent completed. Of another task, the reason why work was not handed in.
    pub(crate) failure: Option<Failure>,
}

/// The outcome of one attempt to push.
enum Pushed {
    Complete,
    Refused(String),
    /// The forge may accept it after this time.
    Later(Duration, String),
}

/// The pauses of one handing in.
struct Pauses {
    deadline: Instant,
    hurry: CancellationToken,
    taken: usize,
}

impl Pauses {
    /// Waits at least `wait`. Returns false if that would take too long, or if a caller needs the session.
    async fn pause(&mut self, wait: Duration) -> bool {
        let pause = wait.max(PAUSES[self.taken.min(PAUSES.len() - 1)]);
        self.taken += 1;
        let in_time = Instant::now() + pause <= self.deadline;
        in_time && self.hurry.run_until_cancelled(tokio::time::sleep(pause)).await.is_some()
    }
}

impl WindUp {
    /// Hands in as much as possible.
    pub(crate) async fn run(self, cancel: &CancellationToken) -> WoundUp {
        let is_ended_by_caller =
            self.outcome.failure.as_ref().is_some_and(|failure| failure.status() == TaskStatus::Aborted);
        let patience = if is_ended_by_caller { SHORT_PATIENCE } else { PATIENCE };
        let mut pauses = Pauses { deadline: Instant::now() + patience, hurry: self.hurry.clone(), taken: 0 };
        let handed_in = async {
            let rejected = if self.cloned { self.push(cancel, &mut pauses).await } else { None };
            self.insist(rejected.as_ref(), &mut pauses).await
        };
        cancel.run_until_cancelled(handed_in).await.unwrap_or_default()
    }

    /// Hands in, and repeats that while the forge may accept it later.
    async fn insist(&self, rejected: Option<&Failure>, pauses: &mut Pauses) -> WoundUp {
        let (task, mut pull) = (&self.outcome.task, None);
        loop {
            let error = match Box::pin(self.hand_in(rejected, &mut pull)).await {
                Ok(wound_up) => return wound_up,
                Err(error) => error,
            };
            warn!(task.id = %task, %error, "a pull request could not be finished");
            let wait = error.wait().or(error.is_passing().then_some(Duration::ZERO));
            let repeats = if let Some(wait) = wait { pauses.pause(wait).await } else { false };
            if !repeats {
                let failure = failure::handing_in(&error, &self.checkout, pull.as_ref());
                return WoundUp { pull, failure: Some(failure) };
            }
        }
    }

    /// Pushes, and returns the reason of a refusal.
    async fn push(&self, cancel: &CancellationToken, pauses: &mut Pauses) -> Option<Failure> {
        let said = loop {
            match Box::pin(self.try_push(cancel)).await {
                Ok(Pushed::Complete) => return None,
                Ok(Pushed::Refused(said)) => break said,
                Ok(Pushed::Later(wait, said)) => {
                    warn!(task.id = %self.outcome.task, error = said, "commits could not be pushed yet");
                    if !pauses.pause(wait).await {
                        break said;
                    }
                }
                Err(error) => {
                    let said = format!("{}; the commits are in the session's workspace", error_chain(&error));
                    if !error.may_pass() || !pauses.pause(Duration::ZERO).await {
                        break said;
                    }
                }
            }
        };
        Some(Failure::new(ErrorType::PushRejected, format!("commits could not be pushed: {said}")))
    }

    async fn try_push(&self, cancel: &CancellationToken) -> Result<Pushed, LaunchError> {
        let order = LaunchOrder {
            session: self.session,
            template: AgentTemplate::of_instructions("").into(),
            model: self.outcome.model.clone(),
            resume: None,
            fresh_workspace: false,
            assignment: Assignment::Image(self.repositories.settings.image.clone()),
            asks: false,
        };
        let mut sandbox = self.sandboxes.open(&order, cancel).await?;
        sandbox.gateway.set_repository(self.repositories.access(&self.checkout));
        let in_time = async {
            tokio::select! {
                biased;
                pushed = self.push_from(&mut sandbox) => pushed,
                said = self.too_late() => Ok(Pushed::Refused(said)),
            }
        };
        let pushed = cancel.run_until_cancelled(in_time).await;
        let name = sandbox.name.clone();
        drop(sandbox);
        if let Err(error) = self.sandboxes.take_down(&name).await {
            warn!(sandbox.name = %name, %error, "could not remove a sandbox; it will be removed as an orphan");
        }
        pushed.unwrap_or(Err(LaunchError::Cancelled))
    }

    /// Returns why a push is not waited for any longer. The agent's files can make git wait for ever.
    async fn too_late(&self) -> String {
        let hurried = async {
            self.hurry.cancelled().await;
            tokio::time::sleep(HURRY_GRACE).await;
        };
        tokio::select! {
            () = tokio::time::sleep(PUSH_LIMIT) => format!("git did not end within {} minutes", PUSH_LIMIT.as_secs() / 60),
            () = hurried => "git did not end in time, and a caller needs the session".to_owned(),
        }
    }

    async fn push_from(&self, sandbox: &mut Sandbox) -> Result<Pushed, LaunchError> {
        let Some(said) = clone::push(sandbox, &self.checkout).await? else { return Ok(Pushed::Complete) };
        // The branch may have moved although the answer was lost or says otherwise.
        let Checkout { name, branch, .. } = &self.checkout;
        if let Some(head) = clone::head(sandbox, &self.checkout).await?
            && self.repositories.github.branch(name, branch).await.is_ok_and(|there| there.as_ref() == Some(&head))
        {
            return Ok(Pushed::Complete);
        }
        Ok(match sandbox.gateway.push_retry() {
            Some(wait) => Pushed::Later(wait, said),
            None => Pushed::Refused(said),
        })
    }

    /// `pull` is set as soon as the pull request is known.
    async fn hand_in(&self, rejected: Option<&Failure>, pull: &mut Option<Pull>) -> Result<WoundUp, GitHubError> {
        let WindUp { repositories, checkout, outcome, .. } = self;
        let Checkout { name, branch, start, .. } = checkout;
        let github = &repositories.github;
        let completed = outcome.failure.is_none();
        let head = github.branch(name, branch).await?;
        if head.is_none() {
            // The forge gives the same answer for a repository that the credential can no longer see.
            github.repository(name).await?;
        }
        let Some(head) = head.filter(|head| head != start) else {
            if checkout.own_branch && rejected.is_none() && github.branch(name, branch).await?.as_ref() == Some(start) {
                let deleted = github.delete_reference(name, &format!("refs/heads/{branch}")).await;
                if let Err(error) = deleted {
                    warn!(task.id = %outcome.task, branch, %error, "could not delete the task's empty branch");
                }
            }
            let nothing = || Failure::new(ErrorType::NothingToDo, nothing_changed(outcome.report.as_ref(), checkout));
            let failure = rejected.cloned().or_else(|| completed.then(nothing));
            return Ok(WoundUp { pull: None, failure });
        };
        let rejected = rejected.map(|failure| {
            let error = format!("{}; what was pushed before is on the branch {branch}", failure.error.trim_end());
            Failure::new(failure.error_type, error)
        });
        let failure = outcome.failure.as_ref().or(rejected.as_ref());
        let (prompt, task) = (prompt_of(&outcome.task, &self.store).await, outcome.task.as_str());
        let opened = match repositories.open_pull(checkout, task, &prompt).await {
            // Somebody has merged the commits already.
            Err(GitHubError::Invalid(message)) if message.contains("No commits between") => {
                let merged = github.closed_pull(name, branch).await?.ok_or(GitHubError::Invalid(message))?;
                info!(task.id = task, head, pull.url = merged.html_url, "the commits are merged already");
                return Ok(WoundUp { pull: Some(merged), failure: rejected });
            }
            opened => opened?,
        };
        let opened = pull.insert(opened);
        let (title, body) = pull_request::last_words(&prompt, task, outcome.cost, outcome.report.as_ref(), failure);
        let changes = PullChanges { title: Some(title), body: Some(body) };
        *opened = github.change_pull(name, opened.number, &changes).await?;
        if failure.is_none() && opened.draft {
            github.mark_ready(name, opened).await?;
        }
        Ok(WoundUp { pull: pull.take(), failure: rejected })
    }
}

fn nothing_changed(report: Option<&WorkReport>, checkout: &Checkout) -> String {
    let said = report.map(|report| report.summary.trim()).filter(|summary| !summary.is_empty());
    let said = said.map(|said| format!(": {}", said.chars().take(500).collect::<String>())).unwrap_or_default();
    let Checkout { branch, made, .. } = checkout;
    if made.is_empty() {
        return format!("nothing was changed in the repository, so there is no pull request{said}");
    }
    let others = made.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    format!(
        "nothing was changed on the branch {branch}, so there is no pull request; the session pushed other branches, \
         {others}{said}"
    )
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
    /// Returns the open pull request of the branch. Opens a draft if there is none.
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
