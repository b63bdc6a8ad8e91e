//! Repairs the agent's home. A damaged file there would fail the next task, or every task, of its session.

use tracing::warn;

use super::{LaunchError, Sandbox};

/// Runs in the sandbox, with the rights of the agent.
const SCRIPT: &str = include_str!("repair.sh");

/// The number of repairs that are reported.
const MAX_REPAIRS: usize = 20;

impl Sandbox {
    /// Repairs the home before an agent starts in it. Damaged files are put aside. Returns a sentence for each repair.
    pub(super) async fn repair_home(&mut self, conversation: Option<&str>) -> Result<Vec<String>, LaunchError> {
        let arguments = ["-c", SCRIPT, "repair", conversation.unwrap_or_default()];
        let finished = self.run("/", "/bin/bash", &arguments, &[]).await?;
        if !finished.succeeded() {
            // The agent may start all the same.
            warn!(sandbox.name = %self.name, error = finished.stderr, "could not examine the home of an agent");
        }
        let repairs: Vec<String> = finished.stdout.lines().take(MAX_REPAIRS).map(str::to_owned).collect();
        for repair in &repairs {
            warn!(sandbox.name = %self.name, repair, "repaired the home of an agent");
        }
        Ok(repairs)
    }
}
