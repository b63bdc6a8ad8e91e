//! What a repository task has beside other tasks.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::repository::RepositoryName;

/// What was asked for about the repository. What is not given is found out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryRequest {
    pub repo: Option<RepositoryName>,
    /// The branch to begin at, and to which the pull request goes.
    pub base: Option<String>,
    /// The branch to work on.
    pub branch: Option<String>,
}

/// What a repository task is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The repository is chosen, cloned and set up.
    Orchestrator,
    /// An agent works in the clone.
    Worker,
}

/// How far a repository task has come, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryProgress {
    /// `None` while it waits.
    pub stage: Option<Stage>,
    pub stage_began: Option<Timestamp>,
    pub repo: Option<RepositoryName>,
    pub branch: Option<String>,
    /// Of the pull request's page.
    pub pull_url: Option<String>,
    pub summary: Option<String>,
}
