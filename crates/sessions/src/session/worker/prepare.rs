//! The sandbox of a session that works in a repository: the repository is chosen, cloned where it is not there yet, and an
//! agent begins in the clone. Runs beside the worker and tells it of each step, which is durable before the next one.

use std::sync::Arc;
use std::time::Duration;

use agent_template::AgentTemplate;
use agent_template::output::OutputSchema;
use domain::repository::Checkout;
use domain::session::SessionId;
use domain::task::{ErrorType, Failure, RepositoryRequest, TaskId};
use engine::EngineError;
use gateway::{SessionAccess, TaskEnd};
use sandbox::capacity::Slot;
use sandbox::{Assignment, LaunchError, LaunchOrder, Reply, Sandbox};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Report;
use super::start::{Launched, NotLaunched, Wanted};
use crate::repository::{
    ANSWER_SCHEMA, Candidate, Decision, Lease, MirrorSource, REPORT_SCHEMA, Repositories, clone, question,
};
use crate::session::context::SessionContext;
use crate::session::running::gateway_failure;

/// How far it has come.
#[derive(Debug)]
pub(crate) enum Step {
    Begun,
    /// What an orchestrator said.
    Heard(Vec<String>),
    /// Another session works on the branch.
    Waits,
    Chosen(Box<Checkout>),
    Cloned(Box<Checkout>),
}

/// What a session knows of the repository that it wants.
pub(super) struct WantedRepository {
    pub(super) task: TaskId,
    pub(super) prompt: String,
    pub(super) request: RepositoryRequest,
    pub(super) checkout: Option<Checkout>,
    pub(super) cloned: bool,
    pub(super) session: SessionId,
    pub(super) access: SessionAccess,
}

/// What is at work.
struct Preparation<'a> {
    context: &'a SessionContext,
    repositories: &'a Repositories,
    report: &'a mpsc::Sender<Report>,
    wanted: &'a Wanted,
    repository: &'a WantedRepository,
    cancel: &'a CancellationToken,
    /// Left to be taken down where it is not handed out.
    sandbox: Option<Sandbox>,
}

pub(super) async fn prepare(
    context: &SessionContext,
    report: &mpsc::Sender<Report>,
    wanted: Wanted,
    slot: Slot,
    cancel: &CancellationToken,
) -> Result<Launched, NotLaunched> {
    let (Some(repositories), Some(repository)) = (&context.repositories, &wanted.repository) else {
        let error = "the server has no credential for the forge any more (GITHUB_TOKEN, GITHUB_APP_ID)";
        return Err(NotLaunched::Failed(Failure::new(ErrorType::AuthExpired, error)));
    };
    let mut preparation =
        Preparation { context, repositories, report, wanted: &wanted, repository, cancel, sandbox: None };
    let outcome = tokio::select! {
        biased;
        () = cancel.cancelled() => Err(NotLaunched::Sandbox(LaunchError::Cancelled)),
        outcome = preparation.run() => outcome,
    };
    match (outcome, preparation.sandbox.take()) {
        (Ok((template, lease)), Some(sandbox)) => Ok(Launched {
            transcript_lost: wanted.resume.is_some() && !sandbox.resumed,
            sandbox,
            template,
            slot: Some(slot),
            lease: Some(lease),
        }),
        (outcome, sandbox) => {
            if let Some(sandbox) = sandbox {
                let name = sandbox.name.clone();
                if cancel.is_cancelled() {
                    sandbox.gateway.end_task(TaskEnd::Caller);
                }
                drop(sandbox);
                if let Err(error) = context.sandboxes.take_down(&name).await {
                    warn!(sandbox.name = %name, %error, "could not take down a sandbox that was not made ready");
                }
            }
            // One that was still being made.
            context.sandboxes.remove_suspected_orphans().await;
            Err(outcome.err().unwrap_or(NotLaunched::Sandbox(LaunchError::Cancelled)))
        }
    }
}

/// What a worker is told, and how it is to answer.
pub(super) async fn worker_template(context: &SessionContext) -> Result<Arc<AgentTemplate>, NotLaunched> {
    let prompts = context.repositories.as_ref().map(|repositories| repositories.settings.prompts.clone());
    let rules = prompts.unwrap_or_default().worker().await;
    let rules = rules.map_err(|error| failed(ErrorType::EngineUnavailable, domain::error_chain(&error)))?;
    template(&rules, REPORT_SCHEMA)
}

fn template(prompt: &str, schema: &str) -> Result<Arc<AgentTemplate>, NotLaunched> {
    let schema = OutputSchema::compile(schema).map_err(|error| failed(ErrorType::EngineUnavailable, error))?;
    Ok(AgentTemplate { output_schema: Some(schema), ..AgentTemplate::of_instructions(prompt) }.into())
}

fn failed(error_type: ErrorType, error: String) -> NotLaunched {
    NotLaunched::Failed(Failure::new(error_type, error))
}

impl Preparation<'_> {
    async fn run(&mut self) -> Result<(Arc<AgentTemplate>, Lease), NotLaunched> {
        if !self.repository.cloned {
            self.tell(Step::Begun).await?;
        }
        let began = Instant::now();
        let limit = self.repositories.settings.orchestrator_timeout;
        let checkout = in_time(limit, limit, self.choose()).await?;
        let chosen = began.elapsed();
        // Whoever has the branch may have it for long, which is not this task's doing.
        let lease = if let Some(lease) = self.repositories.try_lease(&checkout) {
            lease
        } else {
            self.tell(Step::Waits).await?;
            self.repositories.lease(&checkout).await
        };
        let template = in_time(limit, limit.saturating_sub(chosen), self.bring_up(checkout)).await?;
        Ok((template, lease))
    }

    async fn choose(&mut self) -> Result<Checkout, NotLaunched> {
        if let Some(checkout) = &self.repository.checkout {
            return Ok(checkout.clone());
        }
        let WantedRepository { prompt, request, task, .. } = self.repository;
        let decision = self.repositories.decide(prompt, request).await.map_err(NotLaunched::Failed)?;
        let repository = match decision {
            Decision::Made(repository) => *repository,
            Decision::Open(candidates) => self.ask(&candidates).await?,
        };
        let checkout = self.repositories.check_out(&repository, request, task.as_str()).await;
        let checkout = checkout.map_err(NotLaunched::Failed)?;
        self.tell(Step::Chosen(Box::new(checkout.clone()))).await?;
        Ok(checkout)
    }

    /// Has an orchestrator choose.
    async fn ask(&mut self, candidates: &[Candidate]) -> Result<forge::Repository, NotLaunched> {
        let prompt = self.repositories.settings.prompts.orchestrator().await;
        let prompt = prompt.map_err(|error| failed(ErrorType::EngineUnavailable, domain::error_chain(&error)))?;
        let order = LaunchOrder { resume: None, ..self.order(template(&prompt, ANSWER_SCHEMA)?, None) };
        let question = question(&self.repository.prompt, candidates);
        let sandbox = self.open(&order).await?;
        sandbox.start_agent(&order).await.map_err(NotLaunched::Sandbox)?;
        let mut lines = Vec::new();
        let asked = sandbox.ask(&question, &mut lines).await;
        let failure = sandbox.gateway.failure();
        self.tell(Step::Heard(lines)).await?;
        let Reply { structured, text, is_error } = asked.map_err(NotLaunched::Sandbox)?;
        let answer = match (is_error, failure, structured) {
            (true, Some(failure), _) => return Err(NotLaunched::Failed(gateway_failure(&failure))),
            (false, _, Some(answer)) => answer,
            (true, None, _) | (false, _, None) => {
                let error = format!("the repository could not be chosen: {text}");
                return Err(failed(ErrorType::ExitCode, error));
            }
        };
        if let Some(sandbox) = &mut self.sandbox {
            sandbox.end_agent().await.map_err(NotLaunched::Sandbox)?;
        }
        self.repositories.settle(candidates, &answer).await.map_err(NotLaunched::Failed)
    }

    /// From a decision to an agent in the clone.
    async fn bring_up(&mut self, mut checkout: Checkout) -> Result<Arc<AgentTemplate>, NotLaunched> {
        self.repositories.make_branch(&checkout).await.map_err(NotLaunched::Failed)?;
        let template = worker_template(self.context).await?;
        let order = self.order(Arc::clone(&template), Some(checkout.directory()));
        let repositories = self.repositories;
        if self.sandbox.is_none() {
            self.open(&order).await?;
        }
        let Some(sandbox) = &mut self.sandbox else { return Err(NotLaunched::Sandbox(LaunchError::Cancelled)) };
        sandbox.gateway.set_repository(repositories.access(&checkout));
        if !self.repository.cloned {
            let sandboxes = &self.context.sandboxes;
            // A whole history takes room that the agent's work needs too.
            let (engine, most_bytes) = (sandboxes.engine(), sandboxes.settings().disk_bytes / 2);
            let mirror = repositories.mirrors.as_ref().map(|mirrors| MirrorSource { mirrors, engine, most_bytes });
            let cloned = clone::clone(sandbox, repositories.github.url(), &checkout, mirror).await;
            let submodules = cloned.map_err(NotLaunched::Sandbox)?.map_err(NotLaunched::Failed)?;
            checkout.submodules = submodules.iter().map(|submodule| submodule.name.clone()).collect();
            sandbox.gateway.set_repository(repositories.access(&checkout));
            let added = clone::add_submodules(sandbox, &checkout, &submodules).await;
            added.map_err(NotLaunched::Sandbox)?;
            self.tell(Step::Cloned(Box::new(checkout))).await?;
        }
        let Some(sandbox) = &mut self.sandbox else { return Err(NotLaunched::Sandbox(LaunchError::Cancelled)) };
        sandbox.start_agent(&order).await.map_err(NotLaunched::Sandbox)?;
        Ok(template)
    }

    async fn open(&mut self, order: &LaunchOrder) -> Result<&mut Sandbox, NotLaunched> {
        let sandbox = self.context.sandboxes.open(order, self.cancel).await.map_err(|error| match error {
            LaunchError::Engine(EngineError::ImageMissing { image }) => {
                let error = format!(
                    "the image {image} (REPOSITORY_IMAGE) is not there; build it with `claude-runner image build --repository`"
                );
                failed(ErrorType::EngineUnavailable, error)
            }
            error => NotLaunched::Sandbox(error),
        })?;
        sandbox.gateway.set_session(self.repository.session.as_str());
        sandbox.gateway.set_access(self.repository.access.clone());
        sandbox.gateway.begin_task(self.wanted.payer.clone().unwrap_or_default());
        sandbox.gateway.trace_as(self.wanted.trace.before_agent());
        Ok(self.sandbox.insert(sandbox))
    }

    fn order(&self, template: Arc<AgentTemplate>, directory: Option<String>) -> LaunchOrder {
        let image = self.repositories.settings.image.clone();
        LaunchOrder {
            session: self.wanted.session,
            template,
            model: self.wanted.model.clone(),
            resume: self.wanted.resume.clone(),
            untouched: self.wanted.untouched,
            assignment: match directory {
                Some(path) => Assignment::Directory { path, image },
                None => Assignment::Image(image),
            },
        }
    }

    /// Returns when the worker has written it down.
    async fn tell(&self, step: Step) -> Result<(), NotLaunched> {
        let (written, wait) = oneshot::channel();
        let told = self.report.send(Report::Prepared(step, written)).await;
        let lost = || NotLaunched::Sandbox(LaunchError::Cancelled);
        told.map_err(|_| lost())?;
        wait.await.map_err(|_| lost())
    }
}

async fn in_time<T>(
    limit: Duration,
    left: Duration,
    work: impl Future<Output = Result<T, NotLaunched>>,
) -> Result<T, NotLaunched> {
    let seconds = limit.as_secs_f64();
    let late = || format!("the repository was not ready within {seconds} s (ORCHESTRATOR_TIMEOUT_MS)");
    timeout(left, work).await.unwrap_or_else(|_| Err(failed(ErrorType::Timeout, late())))
}
