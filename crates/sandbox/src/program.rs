//! Runs the coordinator's own programs in a sandbox without an agent, mainly git.

use sandbox_link::frame::Start;

use super::process::{ProcessEnd, ProcessOutput};
use super::{LaunchError, Sandbox, agent};

/// The maximum size of a program's output that is kept. A list of submodules is shorter.
const MAX_OUTPUT_BYTES: usize = 256 * 1024;

/// The result of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The exit code. `None` if a signal ended the program.
    pub code: Option<i32>,
    pub stdout: String,
    /// The end of stderr.
    pub stderr: String,
}

impl Finished {
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

impl Sandbox {
    /// Runs a program to its end. Its environment is the agent's, overridden by `variables`. Nothing else may run in
    /// the sandbox.
    pub async fn run(
        &mut self,
        directory: &str,
        program: &str,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Result<Finished, LaunchError> {
        let mut environment = agent::environment(self.gateway.has_own_authorities());
        environment.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let start = Start {
            program: program.to_owned(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            directory: directory.to_owned(),
            environment,
        };
        self.link.start(start).await?;
        self.link.close_stdin().await?;
        let mut stdout = Vec::new();
        loop {
            let end = match self.process.recv().await {
                ProcessOutput::Frames(frames) => {
                    let end = self.process.collect(frames, &mut stdout, MAX_OUTPUT_BYTES);
                    self.link.acknowledge(self.process.last_frame());
                    end
                }
                ProcessOutput::Ended(end) => Some(end),
            };
            match end {
                None => {}
                Some(ProcessEnd::Exited { code, stderr, .. }) => {
                    return Ok(Finished { code, stdout: String::from_utf8_lossy(&stdout).into_owned(), stderr });
                }
                Some(end) => return Err(LaunchError::Ended(end)),
            }
        }
    }
}
