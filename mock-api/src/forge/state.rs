//! The state of the forge: repositories, pull requests, tokens and recorded calls.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::fault::Faults;
use super::rate::Rate;
use super::repository::Seed;

/// The number of entries after which GitHub cuts a tree.
const TREE_LIMIT: usize = 100_000;
/// The number of recorded calls, more than any test makes.
const MAX_CALLS: usize = 1024;

/// A credential and its permissions.
#[derive(Clone, Debug)]
pub struct Token {
    pub secret: String,
    pub login: String,
    /// The repositories that it may see, as `OWNER/NAME`. `None` means all.
    pub repositories: Option<Vec<String>>,
    pub may_write: bool,
    pub expires: Option<Instant>,
}

impl Token {
    /// A token with all permissions that acts as this login.
    pub fn full(secret: &str, login: &str) -> Self {
        Token { secret: secret.to_owned(), login: login.to_owned(), repositories: None, may_write: true, expires: None }
    }

    /// An installation token for these repositories. It is valid for one hour.
    pub(super) fn installation(secret: String, repositories: Vec<String>) -> Self {
        let expires = Some(Instant::now() + Duration::from_hours(1));
        Token {
            secret,
            login: "claude-runner[bot]".to_owned(),
            repositories: Some(repositories),
            may_write: true,
            expires,
        }
    }

    pub(super) fn sees(&self, full_name: &str) -> bool {
        self.repositories.as_ref().is_none_or(|list| list.iter().any(|name| name.eq_ignore_ascii_case(full_name)))
    }
}

#[derive(Clone, Debug)]
pub(super) struct Repository {
    pub(super) id: u64,
    pub(super) full_name: String,
    pub(super) description: String,
    pub(super) default_branch: String,
    pub(super) private: bool,
    pub(super) archived: bool,
    pub(super) pulls: Vec<Pull>,
    /// The files in Git LFS, by SHA-256.
    pub(super) lfs_files: BTreeSet<String>,
}

/// The current state of a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    pub number: u64,
    pub title: String,
    pub body: String,
    /// A branch of the same repository.
    pub head: String,
    pub base: String,
    pub draft: bool,
    pub open: bool,
    pub author: String,
}

#[derive(Debug)]
pub(super) struct State {
    url: String,
    directory: PathBuf,
    tokens: Mutex<Vec<Token>>,
    /// By name in lower case, because names ignore case.
    repositories: Mutex<BTreeMap<String, Repository>>,
    /// Present names by old names in lower case.
    renamed: Mutex<BTreeMap<String, String>>,
    tree_limit: AtomicUsize,
    faults: Faults,
    rate: Rate,
    calls: Mutex<VecDeque<String>>,
}

impl State {
    pub(super) fn new(url: String, directory: PathBuf, tokens: Vec<Token>) -> Self {
        State {
            url,
            directory,
            tokens: Mutex::new(tokens),
            repositories: Mutex::default(),
            renamed: Mutex::default(),
            tree_limit: AtomicUsize::new(TREE_LIMIT),
            faults: Faults::default(),
            rate: Rate::default(),
            calls: Mutex::default(),
        }
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn path_of(&self, full_name: &str) -> PathBuf {
        self.directory.join(format!("{full_name}.git"))
    }

    pub(super) fn faults(&self) -> &Faults {
        &self.faults
    }

    pub(super) fn rate(&self) -> &Rate {
        &self.rate
    }

    pub(super) fn add(&self, full_name: &str, seed: &Seed) {
        let mut repositories = self.repositories();
        let repository = Repository {
            id: 1000 + repositories.len() as u64,
            full_name: full_name.to_owned(),
            description: seed.description.clone(),
            default_branch: seed.default_branch.clone(),
            private: seed.private,
            archived: seed.archived,
            pulls: Vec::new(),
            lfs_files: BTreeSet::new(),
        };
        repositories.insert(full_name.to_ascii_lowercase(), repository);
    }

    pub(super) fn tree_limit(&self) -> usize {
        self.tree_limit.load(Ordering::Relaxed)
    }

    pub(super) fn set_tree_limit(&self, entries: usize) {
        self.tree_limit.store(entries, Ordering::Relaxed);
    }

    /// Changes a repository, if it exists.
    pub(super) fn change(&self, full_name: &str, change: impl FnOnce(&mut Repository)) {
        if let Some(found) = self.repositories().get_mut(&full_name.to_ascii_lowercase()) {
            change(found);
        }
    }

    /// Renames or transfers a repository. Its old name redirects.
    pub(super) fn rename(&self, old: &str, new: &str) -> std::io::Result<()> {
        let path = self.path_of(new);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::rename(self.path_of(old), path)?;
        let mut repositories = self.repositories();
        if let Some(mut repository) = repositories.remove(&old.to_ascii_lowercase()) {
            new.clone_into(&mut repository.full_name);
            repositories.insert(new.to_ascii_lowercase(), repository);
        }
        self.renamed().insert(old.to_ascii_lowercase(), new.to_owned());
        Ok(())
    }

    /// The present name of a repository that was renamed.
    pub(super) fn present_name(&self, full_name: &str) -> Option<String> {
        self.renamed().get(&full_name.to_ascii_lowercase()).cloned()
    }

    fn renamed(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.renamed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The repository, if it exists and the token may see it.
    pub(super) fn find(&self, token: &Token, full_name: &str) -> Option<Repository> {
        self.repositories().get(&full_name.to_ascii_lowercase()).filter(|found| token.sees(&found.full_name)).cloned()
    }

    pub(super) fn visible(&self, token: &Token) -> Vec<Repository> {
        self.repositories().values().filter(|repository| token.sees(&repository.full_name)).cloned().collect()
    }

    pub(super) fn pulls(&self, full_name: &str) -> Vec<Pull> {
        self.repositories().get(&full_name.to_ascii_lowercase()).map(|found| found.pulls.clone()).unwrap_or_default()
    }

    /// Adds a pull request and assigns its number.
    pub(super) fn open_pull(&self, full_name: &str, mut pull: Pull) -> Option<Pull> {
        let mut repositories = self.repositories();
        let pulls = &mut repositories.get_mut(&full_name.to_ascii_lowercase())?.pulls;
        pull.number = pulls.len() as u64 + 1;
        pulls.push(pull.clone());
        Some(pull)
    }

    pub(super) fn change_pull(&self, full_name: &str, number: u64, change: impl FnOnce(&mut Pull)) -> Option<Pull> {
        let mut repositories = self.repositories();
        let pulls = &mut repositories.get_mut(&full_name.to_ascii_lowercase())?.pulls;
        let pull = pulls.iter_mut().find(|pull| pull.number == number)?;
        change(pull);
        Some(pull.clone())
    }

    pub(super) fn token(&self, secret: &str) -> Option<Token> {
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let valid = |token: &&Token| token.expires.is_none_or(|expires| Instant::now() < expires);
        tokens.iter().find(|token| token.secret == secret).filter(valid).cloned()
    }

    pub(super) fn add_token(&self, token: Token) {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).push(token);
    }

    pub(super) fn remember(&self, call: String) {
        tracing::info!("{call}");
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        if calls.len() == MAX_CALLS {
            calls.pop_front();
        }
        calls.push_back(call);
    }

    pub(super) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn repositories(&self) -> MutexGuard<'_, BTreeMap<String, Repository>> {
        self.repositories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
