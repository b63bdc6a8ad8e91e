//! Asks an agent one question and ends it.

use std::time::Duration;

use claude_stream::{AgentEvent, deny_tool, user_message};
use nix::sys::signal::Signal;
use sandbox_link::frame::SignalTarget;
use serde_json::Value;
use tokio::time::timeout;
use uuid::Uuid;

use super::process::{ProcessOutput, belongs_in_log};
use super::{LaunchError, Sandbox};

/// The time that an agent has to end after its input was closed.
const END_GRACE: Duration = Duration::from_secs(5);

/// An agent's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    pub structured: Option<Value>,
    pub text: String,
    pub is_error: bool,
}

impl Sandbox {
    /// Sends a message to the waiting agent and returns its answer. Lines that belong in the task's log are appended to
    /// `lines`.
    pub async fn ask(&mut self, message: &str, lines: &mut Vec<String>) -> Result<Reply, LaunchError> {
        self.link.stdin(user_message(&Uuid::new_v4().to_string(), message).into()).await?;
        loop {
            let (mut reply, mut denials) = (None, Vec::new());
            let end = match self.process.recv().await {
                ProcessOutput::Frames(frames) => {
                    let end = self.process.decode(frames, |line| {
                        let Ok(line) = line else { return };
                        if belongs_in_log(&line) {
                            lines.push(line.raw.to_owned());
                        }
                        if let AgentEvent::ControlRequest { request_id, .. } = &line.event {
                            denials.push(deny_tool(request_id, "no person is available to answer"));
                        }
                        if let AgentEvent::Result(result) = line.event {
                            let structured = result.structured_output.map(|json| serde_json::from_str(json.get()));
                            reply = Some(Reply {
                                structured: structured.and_then(Result::ok),
                                text: result.result.map(std::borrow::Cow::into_owned).unwrap_or_default(),
                                is_error: result.is_error,
                            });
                        }
                    });
                    self.link.acknowledge(self.process.last_frame());
                    end
                }
                ProcessOutput::Ended(end) => Some(end),
            };
            for denial in denials {
                self.link.stdin(denial.into()).await?;
            }
            match (reply, end) {
                (Some(reply), _) => return Ok(reply),
                (None, Some(end)) => return Err(LaunchError::Ended(end)),
                (None, None) => {}
            }
        }
    }

    /// Ends the agent, so that another program can run.
    pub async fn end_agent(&mut self) -> Result<(), LaunchError> {
        self.link.close_stdin().await?;
        if timeout(END_GRACE, self.rest()).await.is_err() {
            self.link.signal(Signal::SIGKILL as i32, SignalTarget::Program).await?;
            self.rest().await;
        }
        Ok(())
    }
}
