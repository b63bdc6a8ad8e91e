//! The self-test of an OCI runtime (SANDBOX_RUNTIME): a complete sandbox in which `claude` makes a real tool call,
//! requested by a built-in model.

use std::time::Duration;

use agent_template::AgentTemplate;
use claude_stream::{AgentEvent, user_message};
use domain::budget::Payer;
use domain::session::SessionKey;
use gateway::{Credential, Credentials, Gateway, GatewaySettings, Prices};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use self::model::Model;
use super::launch::{Assignment, LaunchError, LaunchOrder};
use super::process::{ProcessEnd, ProcessOutput};
use super::{Sandbox, SandboxHost};

mod model;

/// The time limit from the message to the answer. It takes about 100 ms, and much longer in an emulating runtime.
const TASK_TIMEOUT: Duration = Duration::from_mins(1);

impl SandboxHost {
    /// Returns once the runtime has passed its self-test. The test runs at the first call, and again after each
    /// failure. For the engine's default runtime it returns at once.
    pub async fn prove_runtime(&self, cancel: &CancellationToken) -> Result<(), LaunchError> {
        let Some(runtime) = &self.settings.runtime else { return Ok(()) };
        let failed = |reason: String| LaunchError::Runtime { runtime: runtime.clone(), reason };
        let proof = self.proven.get_or_try_init(|| async {
            match self.test_runtime(cancel).await {
                Ok(()) => {
                    info!(runtime, "SANDBOX_RUNTIME has passed its self-test, a tool call of Claude Code");
                    Ok(())
                }
                // This error says nothing about the runtime. The caller waits and repeats.
                Err(error) if error.may_pass() || matches!(error, LaunchError::Cancelled) => Err(error),
                Err(error) => Err(failed(reason_of(&error))),
            }
        });
        proof.await.map(drop)
    }

    /// `None` for the engine's default runtime, which needs no proof. Otherwise: true if the runtime has passed.
    pub fn runtime_is_proven(&self) -> Option<bool> {
        self.settings.runtime.as_ref().map(|_| self.proven.initialized())
    }

    async fn test_runtime(&self, cancel: &CancellationToken) -> Result<(), LaunchError> {
        let refused = |reason: String| LaunchError::Refused(reason);
        let mut model = Model::start(&self.tracker).await.map_err(|error| refused(error.to_string()))?;
        let prices = Prices::load(None).map_err(|error| refused(error.to_string()))?;
        let credential = Credential::api_key("self-test").map_err(|error| refused(error.to_string()))?;
        let upstream = model.url().parse().map_err(|_| refused("no address for the model".to_owned()))?;
        let settings = GatewaySettings::new(upstream, prices);
        let gateway = Gateway::new(settings, Credentials::new(Some(credential), None), self.tracker.clone())
            .map_err(|error| refused(error.to_string()))?;

        let session = SessionKey::generate();
        let order = LaunchOrder {
            session,
            template: AgentTemplate::of_instructions("You are tested.").into(),
            model: model::NAME.to_owned(),
            resume: None,
            fresh_workspace: true,
            assignment: Assignment::Workspace,
            asks: false,
        };
        let launched = self.launch_with(order, cancel.clone(), &gateway).await;
        let outcome = match launched {
            Ok(mut sandbox) => {
                let conversation = cancel.run_until_cancelled(timeout(TASK_TIMEOUT, converse(&mut sandbox)));
                let outcome = match conversation.await {
                    Some(outcome) => outcome.unwrap_or(Err(LaunchError::Timeout)),
                    None => Err(LaunchError::Cancelled),
                };
                self.take_down(&sandbox.name).await.map_err(LaunchError::Engine).and(outcome)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = self.remove_volumes(session).await {
            warn!(%error, "could not remove the volumes of a self-test; they will be removed as orphans");
        }
        outcome?;
        model.result().map_err(refused)
    }
}

fn reason_of(error: &LaunchError) -> String {
    let reason = domain::error_chain(error);
    match error {
        LaunchError::Ended(ProcessEnd::NotStarted { reason: cause }) if cause.contains("Permission denied") => format!(
            "{reason}. A runtime with its own kernel, such as gVisor, reads what it executes, and the image's claude is not \
             readable: build a variant of the image (docs/reference/engines.md, gVisor)"
        ),
        _ => reason,
    }
}

/// Sends one message and waits for the result.
async fn converse(sandbox: &mut Sandbox) -> Result<(), LaunchError> {
    let Sandbox { process, link, gateway, .. } = sandbox;
    gateway.begin_task(Payer::default());
    link.stdin(user_message(&Uuid::now_v7().to_string(), "Make the call.").into()).await?;
    let mut end = None;
    loop {
        match process.recv().await {
            ProcessOutput::Frames(frames) => {
                let ended = process.decode(frames, |line| {
                    if let Ok(AgentEvent::Result(result)) = line.map(|line| line.event) {
                        let said = result.result.map(std::borrow::Cow::into_owned).unwrap_or_default();
                        end = Some(if result.is_error { Err(LaunchError::Refused(said)) } else { Ok(()) });
                    }
                });
                link.acknowledge(process.last_frame());
                if let Some(ended) = ended {
                    return Err(LaunchError::Ended(ended));
                }
            }
            ProcessOutput::Ended(ended) => return Err(LaunchError::Ended(ended)),
        }
        if let Some(end) = end.take() {
            return end;
        }
    }
}
