//! Starts the agent in a sandbox, and initialises it.

use claude_stream::{AgentEvent, ControlRequest, LineError};
use domain::ask::Stance;
use failpoint::failpoint;
use link::Link;
use sandbox_link::frame::Start;

use super::process::{Process, ProcessEnd, ProcessOutput};
use super::{Assignment, LaunchError, LaunchOrder, Sandbox, agent};

impl Sandbox {
    /// Starts the agent and initialises it. It resumes the order's conversation if its transcript exists.
    pub async fn start_agent(&mut self, order: &LaunchOrder) -> Result<(), LaunchError> {
        self.gateway.expect_conversation();
        let mut resume = order.resume.as_deref();
        if !order.fresh_workspace {
            self.repairs = self.repair_home(resume).await?;
        }
        if resume.is_some() && !self.start_agent_in(order, resume).await? {
            // The transcript is missing: start a new conversation in the existing files.
            resume = None;
        }
        if resume.is_none() && !self.start_agent_in(order, None).await? {
            return Err(LaunchError::Refused("the agent did not initialise".to_owned()));
        }
        self.resumed = resume.is_some();
        self.model.clone_from(&order.model);
        self.asks = order.asks;
        Ok(())
    }

    async fn start_agent_in(&mut self, order: &LaunchOrder, resume: Option<&str>) -> Result<bool, LaunchError> {
        let fetches = self.gateway.has_egress_rules() || !order.template.settings.egress.is_empty();
        let start = start_of(order, resume, fetches, self.gateway.has_own_authorities());
        start_agent(&self.link, &mut self.process, order, resume.is_some(), start).await
    }
}

/// The start of the CLI. `fetches`: an egress rule lets the agent fetch pages.
fn start_of(order: &LaunchOrder, resume: Option<&str>, fetches: bool, own_authorities: bool) -> Start {
    let (directory, rules) = match &order.assignment {
        Assignment::Workspace | Assignment::Image(_) => (domain::sandbox::WORKSPACE, None),
        Assignment::Directory { path, .. } => (path.as_str(), Some(order.template.system_prompt.as_str())),
    };
    // An agent without a table has nobody to ask. Its hook only keeps the rules of its task.
    let table = order.template.settings.asks.as_ref().filter(|_| order.asks);
    let offers = agent::Offers {
        pages: fetches,
        questions: table.is_some_and(|table| table.questions),
        plans: table.is_some_and(|table| table.plans != Stance::Deny),
    };
    Start {
        program: agent::PROGRAM.to_owned(),
        arguments: agent::arguments(&order.model, rules, resume, &order.template.settings, offers),
        directory: directory.to_owned(),
        environment: agent::environment(own_authorities),
    }
}

/// Starts the CLI and initialises it. Returns false if the conversation that it `resumes` does not exist.
async fn start_agent(
    link: &Link,
    process: &mut Process,
    order: &LaunchOrder,
    resumes: bool,
    start: Start,
) -> Result<bool, LaunchError> {
    const REQUEST: &str = "initialize";
    /// The id under which the agent asks about calls of tools.
    const HOOK: &str = "asks";

    link.start(start).await?;
    failpoint!("agent.started");
    let initialize = ControlRequest::Initialize {
        system_prompt: match order.assignment {
            Assignment::Workspace | Assignment::Image(_) => Some(&order.template.system_prompt),
            // The CLI keeps its own prompt, and the template's is appended by an argument.
            Assignment::Directory { .. } => None,
        },
        json_schema: order.template.output_schema.as_ref().map(agent_template::schema::OutputSchema::source),
        hook: order.asks.then_some(HOOK),
    };
    link.stdin(initialize.to_line(REQUEST).into()).await?;
    failpoint!("agent.asked");

    let mut answer = None;
    let mut refused = None;
    loop {
        let end = match process.recv().await {
            ProcessOutput::Frames(frames) => {
                let end = process.decode(frames, |line| match line.map(|line| line.event) {
                    Ok(AgentEvent::ControlResponse { request_id, outcome }) if request_id == REQUEST => {
                        answer = Some(outcome.map(|_| ()));
                    }
                    Ok(AgentEvent::Result(result)) => refused = Some(result.errors.join("; ")),
                    Ok(_) => {}
                    Err(error) => refused = Some(describe(&error)),
                });
                link.acknowledge(process.last_frame());
                end
            }
            ProcessOutput::Ended(end) => Some(end),
        };
        match (answer.take(), end) {
            (Some(Ok(())), None) => return Ok(true),
            (Some(Err(reason)), _) => {
                return Err(LaunchError::Refused(format!("the agent did not initialise: {reason}")));
            }
            (None, Some(ProcessEnd::Exited { .. })) if resumes && refused.is_some() => return Ok(false),
            (_, Some(end)) => {
                return Err(refused.map_or(LaunchError::Ended(end), LaunchError::Refused));
            }
            (None, None) => {}
        }
    }
}

fn describe(error: &LineError) -> String {
    format!("the agent printed a line that is not stream-json: {error}")
}
