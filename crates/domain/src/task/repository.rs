//! The parameters and the progress of a repository task.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::repository::RepositoryName;

/// The parameters that concern the repository. The orchestrator determines those that are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryRequest {
    pub repo: Option<RepositoryName>,
    /// The branch from which the work starts and which the pull request targets.
    pub base: Option<String>,
    /// The branch that receives the work.
    pub branch: Option<String>,
}

/// The current stage of a repository task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The coordinator chooses, clones and sets up the repository.
    Orchestrator,
    /// An agent works in the clone.
    Worker,
}

/// The progress and the results of a repository task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryProgress {
    /// `None` while the task waits.
    pub stage: Option<Stage>,
    pub stage_began: Option<Timestamp>,
    pub repo: Option<RepositoryName>,
    pub branch: Option<String>,
    /// The URL of the pull request's page.
    pub pull_url: Option<String>,
    pub summary: Option<String>,
}
