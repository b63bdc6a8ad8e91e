//! The launch of a session that works in a repository: it chooses the repository, clones it if the clone is missing, and starts an
//! agent in the clone. Each step is reported to the worker and durable before the next one begins.

use std::sync::Arc;
use std::time::Duration;

use agent_template::AgentTemplate;
use agent_template::schema::OutputSchema;
use domain::repository::Checkout;
use domain::task::{ErrorType, Failure};
use engine::EngineError;
use gateway::TaskEnd;
use sandbox::capacity::Slot;
use sandbox::{Assignment, LaunchError, LaunchOrder, Reply, Sandbox};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tracing::warn;

use super::launch::{Launch, Launched, NotLaunched};
use super::wanted::WantedRepository;
use crate::repository::clone::Cloned;
use crate::repository::{
    ANSWER_SCHEMA, Candidate, Decision, Lease, MirrorSource, REPORT_SCHEMA, Repositories, clone, question,
};
use crate::session::context::SessionContext;
use crate::session::report::Report;
use crate::session::running::gateway_failure;

/// A step of the preparation.
#[derive(Debug)]
pub(crate) enum Step {
    Begun,
    /// The lines of the orchestrator's log.
    Log(Vec<String>),
    /// Another session works on the branch.
    Waits,
    Chosen(Box<Checkout>),
    Cloned {
        checkout: Box<Checkout>,
        /// A sentence for each part of the repository that is not in the clone.
        left_out: Vec<String>,
    },
}

/// A preparation that is under way.
struct Preparation<'a> {
    launch: &'a Launch,
    wanted: &'a WantedRepository,
    repositories: &'a Repositories,
    /// The sandbox, which is taken down if the preparation fails.
    sandbox: Option<Sandbox>,
}

pub(super) async fn prepare(launch: &Launch, wanted: &WantedRepository, slot: Slot) -> Result<Launched, NotLaunched> {
    let Some(repositories) = &launch.context.repositories else {
        let error = "the server has no credential for the forge any more (GITHUB_TOKEN, GITHUB_APP_ID)";
        return Err(Failure::new(ErrorType::NoCredential, error).into());
    };
    let mut preparation = Preparation { launch, wanted, repositories, sandbox: None };
    let outcome = launch.unless_cancelled(Box::pin(preparation.run())).await.flatten();
    match (outcome, preparation.sandbox.take()) {
        (Ok((template, lease)), Some(sandbox)) => Ok(launch.launched(sandbox, template, slot, Some(lease))),
        (outcome, sandbox) => {
            let sandboxes = &launch.context.sandboxes;
            if let Some(sandbox) = sandbox {
                let name = sandbox.name.clone();
                if launch.cancel.is_cancelled() {
                    sandbox.gateway.end_task(TaskEnd::Cancelled);
                }
                drop(sandbox);
                if let Err(error) = sandboxes.take_down(&name).await {
                    warn!(sandbox.name = %name, %error, "could not remove a sandbox that did not get ready");
                }
            }
            // The sandbox was still starting.
            sandboxes.remove_suspected_orphans().await;
            Err(outcome.err().unwrap_or_else(NotLaunched::cancelled))
        }
    }
}

/// The instructions of the agent in the clone, and the schema of its answer.
pub(super) async fn worker_template(context: &SessionContext) -> Result<Arc<AgentTemplate>, NotLaunched> {
    let prompts = context.repositories.as_ref().map(|repositories| repositories.settings.prompts.clone());
    let rules = prompts.unwrap_or_default().worker().await;
    let rules = rules.map_err(|error| failed(ErrorType::EngineUnavailable, domain::error_chain(&error)))?;
    template(&rules, REPORT_SCHEMA)
}

fn template(prompt: &str, schema: &str) -> Result<Arc<AgentTemplate>, NotLaunched> {
    let schema = OutputSchema::compile(schema).map_err(|error| failed(ErrorType::EngineUnavailable, error.reason))?;
    Ok(AgentTemplate { output_schema: Some(schema), ..AgentTemplate::of_instructions(prompt) }.into())
}

fn failed(error_type: ErrorType, error: String) -> NotLaunched {
    Failure::new(error_type, error).into()
}

impl Preparation<'_> {
    async fn run(&mut self) -> Result<(Arc<AgentTemplate>, Lease), NotLaunched> {
        if !self.wanted.cloned {
            self.report(Step::Begun).await?;
        }
        let began = Instant::now();
        let limit = self.repositories.settings.orchestrator_timeout;
        let checkout = in_time(limit, limit, self.choose()).await?;
        let chosen = began.elapsed();
        // The wait for the branch does not count: another session may hold it for long.
        let lease = if let Some(lease) = self.repositories.try_lease(&checkout) {
            lease
        } else {
            self.report(Step::Waits).await?;
            self.repositories.lease(&checkout).await
        };
        let template = in_time(limit, limit.saturating_sub(chosen), self.bring_up(checkout)).await?;
        Ok((template, lease))
    }

    async fn choose(&mut self) -> Result<Checkout, NotLaunched> {
        if let Some(checkout) = &self.wanted.checkout {
            return Ok(checkout.clone());
        }
        let WantedRepository { request, task, .. } = self.wanted;
        let prompt = self.prompt().await?;
        let decision = self.repositories.decide(&prompt, request).await?;
        let repository = match decision {
            Decision::Made(repository) => *repository,
            Decision::Open(candidates) => self.ask(&prompt, &candidates).await?,
        };
        let checkout = self.repositories.check_out(&repository, request, task.as_str()).await?;
        self.report(Step::Chosen(Box::new(checkout.clone()))).await?;
        Ok(checkout)
    }

    /// The prompt of the task. Only the store has it while the task waits.
    async fn prompt(&self) -> Result<String, NotLaunched> {
        let request = self.launch.context.store.task_request(&self.wanted.task).await;
        Ok(request.map_err(NotLaunched::Store)?.message)
    }

    /// Asks an orchestrator to choose.
    async fn ask(&mut self, prompt: &str, candidates: &[Candidate]) -> Result<forge::Repository, NotLaunched> {
        let rules = self.repositories.settings.prompts.orchestrator().await;
        let rules = rules.map_err(|error| failed(ErrorType::EngineUnavailable, domain::error_chain(&error)))?;
        let assignment = Assignment::Image(self.image());
        let order = self.launch.wanted.order(template(&rules, ANSWER_SCHEMA)?, assignment);
        let order = LaunchOrder { resume: None, asks: false, ..order };
        let question = question(prompt, candidates);
        let sandbox = self.open(&order).await?;
        sandbox.start_agent(&order).await?;
        let mut lines = Vec::new();
        let asked = sandbox.ask(&question, &mut lines).await;
        let failure = sandbox.gateway.failure();
        self.report(Step::Log(lines)).await?;
        let Reply { structured, text, is_error } = asked?;
        let answer = match (is_error, failure, structured) {
            (true, Some(failure), _) => return Err(gateway_failure(&failure).into()),
            (false, _, Some(answer)) => answer,
            (true, None, _) | (false, _, None) => {
                let error = format!("the repository could not be chosen: {text}");
                return Err(failed(ErrorType::ExitCode, error));
            }
        };
        if let Some(sandbox) = &mut self.sandbox {
            sandbox.end_agent().await?;
        }
        Ok(self.repositories.settle(candidates, &answer).await?)
    }

    /// Brings up the agent in the clone after the repository was chosen.
    async fn bring_up(&mut self, mut checkout: Checkout) -> Result<Arc<AgentTemplate>, NotLaunched> {
        self.repositories.make_branch(&checkout).await?;
        let template = worker_template(&self.launch.context).await?;
        let assignment = Assignment::Directory { path: checkout.directory(), image: self.image() };
        let order = self.launch.wanted.order(Arc::clone(&template), assignment);
        let repositories = self.repositories;
        if self.sandbox.is_none() {
            self.open(&order).await?;
        }
        let Some(sandbox) = &mut self.sandbox else { return Err(NotLaunched::cancelled()) };
        sandbox.gateway.set_repository(repositories.access(&checkout));
        if !self.wanted.cloned {
            let sandboxes = &self.launch.context.sandboxes;
            // The agent's work needs space beside the history.
            let most_bytes = sandboxes.settings().disk_bytes / 2;
            let mirror = repositories.mirrors.as_ref().map(|mirrors| MirrorSource { mirrors, most_bytes });
            let forge = repositories.github.url();
            let Cloned { submodules, mut left_out } = clone::clone(sandbox, forge, &checkout, mirror).await??;
            checkout.submodules = submodules.iter().map(|submodule| submodule.repository.clone()).collect();
            sandbox.gateway.set_repository(repositories.access(&checkout));
            left_out.extend(clone::add_submodules(sandbox, forge, &checkout, &submodules).await?);
            self.report(Step::Cloned { checkout: Box::new(checkout), left_out }).await?;
        }
        let Some(sandbox) = &mut self.sandbox else { return Err(NotLaunched::cancelled()) };
        sandbox.start_agent(&order).await?;
        Ok(template)
    }

    async fn open(&mut self, order: &LaunchOrder) -> Result<&mut Sandbox, NotLaunched> {
        let sandbox = self.launch.context.sandboxes.open(order, &self.launch.cancel).await.map_err(|error| match error {
            LaunchError::Engine(EngineError::ImageMissing { image }) => {
                let error = format!(
                    "the image {image} (REPOSITORY_IMAGE) is not there; build it with `claude-runner image build --repository`"
                );
                failed(ErrorType::EngineUnavailable, error)
            }
            error => NotLaunched::Sandbox(error),
        })?;
        sandbox.gateway.assign(self.launch.wanted.preparing(self.wanted));
        Ok(self.sandbox.insert(sandbox))
    }

    fn image(&self) -> String {
        self.repositories.settings.image.clone()
    }

    /// Returns once the worker has committed the step.
    async fn report(&self, step: Step) -> Result<(), NotLaunched> {
        let (committed, wait) = oneshot::channel();
        let sent = self.launch.reports.send(Report::Prepared(step, committed)).await;
        sent.map_err(|_| NotLaunched::cancelled())?;
        wait.await.map_err(|_| NotLaunched::cancelled())
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
