//! Repository tasks: from a prompt to a pull request.
//!
//! A session works in one repository, which its [`Checkout`] names. This module has the calls to the forge
//! ([`Repositories`]) and the use of git in the sandbox (`clone`, `WindUp`). The session's worker decides when they
//! happen.

mod branches;
mod choice;
pub(crate) mod clone;
mod decide;
mod failure;
mod from_mirror;
mod mirror;
mod prompts;
mod pull_request;
mod report;
mod submodules;
mod wind_up;

use std::time::Duration;

use domain::repository::Checkout;

pub(crate) use branches::Lease;
pub use choice::{Candidate, Choice, choose};
pub(crate) use decide::{ANSWER_SCHEMA, Decision, question};
pub(crate) use from_mirror::MirrorSource;
pub use mirror::{Git, MirrorCopy, MirrorError, MirrorSettings, Mirrors};
pub use prompts::{PromptError, Prompts};
pub(crate) use report::{REPORT_SCHEMA, WorkReport};
pub(crate) use wind_up::{Outcome, WindUp, WoundUp, prompt_of};

use self::branches::Branches;
use forge::GitHub;
use gateway::{PushPolicy, RepositoryAccess, Workflows};

/// The operator's settings for repository tasks.
#[derive(Clone, Debug)]
pub struct RepositorySettings {
    /// The image of sandboxes of repository tasks.
    pub image: String,
    /// The time limit from a task's start to an agent in the clone, without the wait for the branch.
    pub orchestrator_timeout: Duration,
    pub workflows: Workflows,
    pub prompts: Prompts,
}

/// The forge, and the settings for repository tasks. Cheap to clone.
#[derive(Clone)]
pub struct Repositories {
    pub github: GitHub,
    pub settings: RepositorySettings,
    /// `None`: this machine has no git, or REPOSITORY_CACHE is 0.
    pub mirrors: Option<Mirrors>,
    branches: Branches,
}

impl Repositories {
    pub fn new(github: GitHub, settings: RepositorySettings) -> Self {
        Repositories { github, settings, mirrors: None, branches: Branches::default() }
    }

    /// The access of a sandbox's git to a checkout.
    pub fn access(&self, checkout: &Checkout) -> RepositoryAccess {
        RepositoryAccess {
            github: self.github.clone(),
            name: checkout.name.clone(),
            submodules: checkout.submodules.clone(),
            push: PushPolicy { branch: checkout.branch.clone(), made: checkout.made.clone() },
            base: checkout.base.clone(),
            known: vec![checkout.base_commit.clone(), checkout.start.clone()],
            workflows: self.settings.workflows,
        }
    }

    /// Waits for the right to work on the branch.
    pub(crate) async fn lease(&self, checkout: &Checkout) -> Lease {
        self.branches.lease(checkout).await
    }

    /// Returns the right to work on the branch if no session has it.
    pub(crate) fn try_lease(&self, checkout: &Checkout) -> Option<Lease> {
        self.branches.try_lease(checkout)
    }
}
