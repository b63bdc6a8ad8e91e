//! The choice of the repository and of the branch.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use domain::repository::{Checkout, RepositoryName};
use domain::task::{ErrorType, Failure, RepositoryRequest};
use forge::{GitHubError, RefUpdate, Repository};
use serde::Deserialize;
use serde_json::Value;

use super::{Candidate, Choice, Repositories, choose, failure};

/// The schema of an orchestrator's answer.
pub(crate) const ANSWER_SCHEMA: &str = r#"{
    "type": "object",
    "properties": {
        "decision": { "type": "string", "enum": ["chosen", "unsure", "none"] },
        "repository": { "type": ["string", "null"] },
        "reason": { "type": "string" }
    },
    "required": ["decision", "repository", "reason"],
    "additionalProperties": false
}"#;

/// The number of candidates that an error names.
const MAX_NAMED: usize = 20;

/// The decision without a model.
pub(crate) enum Decision {
    Made(Box<Repository>),
    /// An orchestrator has to read the prompt.
    Open(Vec<Candidate>),
}

#[derive(Deserialize)]
struct Answer {
    decision: Selection,
    repository: Option<String>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Selection {
    Chosen,
    Unsure,
    None,
}

/// The question to an orchestrator.
pub(crate) fn question(prompt: &str, candidates: &[Candidate]) -> String {
    let mut text = format!("Which repository is this task about?\n\n<task>\n{prompt}\n</task>\n\n<repositories>\n");
    for Candidate { name, description, .. } in candidates {
        let _ = writeln!(text, "- {name}: {}", description.replace('\n', " "));
    }
    text + "</repositories>\n"
}

impl Repositories {
    /// Decides without a model if that is possible.
    pub(crate) async fn decide(&self, prompt: &str, request: &RepositoryRequest) -> Result<Decision, Failure> {
        if let Some(name) = &request.repo {
            return self.look_up(name).await.map(|repository| Decision::Made(Box::new(repository)));
        }
        let known = self.github.repositories().await.map_err(|error| failure::preparing(&error))?;
        let name = match choose(prompt, &known, &self.github.address()) {
            Choice::One(name) => name,
            Choice::Open(candidates) if candidates.is_empty() => {
                let error = "the prompt names no repository, and the credential lists none; give its name as `repo`";
                return Err(Failure::new(ErrorType::RepoNotFound, error));
            }
            Choice::Tie(candidates) => {
                return Err(ambiguous(&candidates, "the prompt names several repositories equally clearly"));
            }
            Choice::Open(candidates) => return Ok(Decision::Open(candidates)),
        };
        self.look_up(&name).await.map(|repository| Decision::Made(Box::new(repository)))
    }

    /// Applies an orchestrator's answer.
    pub(crate) async fn settle(&self, candidates: &[Candidate], answer: &Value) -> Result<Repository, Failure> {
        let answer = Answer::deserialize(answer).map_err(|error| not_chosen(candidates, &error.to_string()))?;
        match (answer.decision, answer.repository.as_deref().map(str::parse::<RepositoryName>)) {
            (Selection::Chosen, Some(Ok(name))) if candidates.iter().any(|candidate| candidate.name == name) => {
                self.look_up(&name).await
            }
            (Selection::Unsure, _) => Err(ambiguous(candidates, &answer.reason)),
            (Selection::Chosen | Selection::None, _) => Err(not_chosen(candidates, &answer.reason)),
        }
    }

    async fn look_up(&self, name: &RepositoryName) -> Result<Repository, Failure> {
        let repository = self.github.repository(name).await.map_err(|error| failure::preparing(&error))?;
        if repository.archived {
            let error = format!("{name} is archived: it is read-only until somebody unarchives it");
            return Err(Failure::new(ErrorType::PushRejected, error));
        }
        Ok(repository)
    }

    /// Decides on the base and the branch. Changes nothing at the forge.
    pub(crate) async fn check_out(
        &self,
        repository: &Repository,
        request: &RepositoryRequest,
        task: &str,
    ) -> Result<Checkout, Failure> {
        let Repository { full_name: name, default_branch, size, .. } = repository;
        let base = request.base.as_ref().unwrap_or(default_branch).clone();
        let refused = |error: String| Failure::new(ErrorType::CloneFailed, error);
        let of_forge = |error: GitHubError| failure::preparing(&error);
        let base_commit = self.github.branch(name, &base).await.map_err(of_forge)?;
        let base_commit =
            base_commit.ok_or_else(|| refused(format!("{name} has no branch {base} that the credential can read")))?;
        let (branch, own_branch) = match &request.branch {
            Some(branch) => (branch.clone(), false),
            None => (format!("claude/{task}"), true),
        };
        if branch == base || branch == *default_branch {
            return Err(refused(format!("branch: {branch} is what the pull request would go to; name another one")));
        }
        let start = self.github.branch(name, &branch).await.map_err(of_forge)?;
        if own_branch && start.is_some() {
            let error = format!(
                "{name} has a branch {branch} already, which this task did not make; give another one as `branch`"
            );
            return Err(refused(error));
        }
        Ok(Checkout {
            name: name.clone(),
            base,
            start: start.unwrap_or_else(|| base_commit.clone()),
            base_commit,
            branch,
            own_branch,
            made: BTreeSet::new(),
            submodules: Vec::new(),
            size: *size,
        })
    }

    /// Creates the branch at the forge if it does not exist.
    pub(crate) async fn make_branch(&self, checkout: &Checkout) -> Result<(), Failure> {
        let Checkout { name, branch, start, .. } = checkout;
        let of_forge = |error: GitHubError| failure::preparing(&error);
        if self.github.branch(name, branch).await.map_err(of_forge)?.is_some() {
            return Ok(());
        }
        self.github.update_branch(name, branch, start, RefUpdate::Create).await.map_err(of_forge)
    }
}

/// The failure if no repository was chosen. A prompt that names a candidate is ambiguous: its author can say which one is
/// meant.
fn not_chosen(candidates: &[Candidate], reason: &str) -> Failure {
    if candidates.iter().any(|candidate| candidate.named) {
        return ambiguous(candidates, reason);
    }
    let error = format!("no repository was found for the prompt: {reason}; {}", named(candidates));
    Failure::new(ErrorType::RepoNotFound, error)
}

fn ambiguous(candidates: &[Candidate], reason: &str) -> Failure {
    let named = named(candidates);
    let error = format!("it is not clear which repository is meant: {reason}; {named}, give one as `repo`");
    Failure::new(ErrorType::RepoAmbiguous, error)
}

fn named(candidates: &[Candidate]) -> String {
    let names: Vec<&str> = candidates.iter().take(MAX_NAMED).map(|candidate| candidate.name.as_str()).collect();
    let more = candidates.len().saturating_sub(MAX_NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("candidates are {}{more}", names.join(", "))
}
