//! Repository tasks: from a prompt to a pull request.
//!
//! A session works in one repository: [`Checkout`] says where. What happens at the forge is here ([`Repositories`]), and what
//! git does in the sandbox (`clone`, `WindUp`); when it happens is the session worker's business.

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
pub(crate) use wind_up::{Outcome, WindUp, WoundUp};

use self::branches::Branches;
use forge::GitHub;
use gateway::{PushPolicy, RepositoryAccess, Workflows};

/// What the operator sets.
#[derive(Clone, Debug)]
pub struct RepositorySettings {
    /// What sandboxes of repository tasks are made of.
    pub image: String,
    /// How long it may take until an agent can begin in the clone.
    pub orchestrator_timeout: Duration,
    pub workflows: Workflows,
    pub prompts: Prompts,
}

/// The forge, and what repository tasks need to know of it. Cheap to clone.
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

    /// What the git of a sandbox may do that works there.
    pub fn access(&self, checkout: &Checkout) -> RepositoryAccess {
        RepositoryAccess {
            github: self.github.clone(),
            name: checkout.name.clone(),
            submodules: checkout.submodules.clone(),
            push: PushPolicy { branch: checkout.branch.clone() },
            base: checkout.base_commit.clone(),
            workflows: self.settings.workflows,
        }
    }

    /// The right to work on the branch, once nobody else does.
    pub(crate) async fn lease(&self, checkout: &Checkout) -> Lease {
        self.branches.lease(checkout).await
    }

    /// The same, where nobody has it.
    pub(crate) fn try_lease(&self, checkout: &Checkout) -> Option<Lease> {
        self.branches.try_lease(checkout)
    }
}
