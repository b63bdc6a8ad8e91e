//! A forge that imitates GitHub: the REST and GraphQL calls that a repository task needs, below `/api/v3` and
//! `/api/graphql` as in GitHub Enterprise, and git over HTTP by the real `git http-backend` on real bare repositories.
//!
//! Shapes, errors, paging and rate limit headers follow version 2022-11-28 of GitHub's REST API. For tests it can also
//! create repositories from a list of files, inject faults, and list its calls.

mod body;
mod error;
mod fault;
mod git_http;
mod rate;
mod repository;
mod rest;
mod sample;
mod state;

pub use fault::Fault;
pub use repository::{RepositoryError, Seed, SeedEntry};
pub use sample::repositories as sample_repositories;
pub use state::{Pull, Token};

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::state::State;
use crate::serving::Serving;

/// The default token of the program.
pub const DEFAULT_TOKEN: &str = "ghp_forge_demo_token";

/// A running forge. Dropping it stops it. Its repositories stay on disk.
#[derive(Debug)]
pub struct Forge {
    serving: Serving,
    state: Arc<State>,
}

impl Forge {
    /// Serves repositories below `directory` on `listener`. Call it inside a tokio runtime. It needs git on the PATH.
    pub fn serve(listener: TcpListener, directory: impl Into<PathBuf>, tokens: Vec<Token>) -> io::Result<Self> {
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(State::new(url, directory.into(), tokens));
        let serving = Serving::start(listener, rest::router(Arc::clone(&state)), CancellationToken::new())?;
        Ok(Self { serving, state })
    }

    pub fn serving(&self) -> &Serving {
        &self.serving
    }

    /// The value for GITHUB_URL.
    pub fn url(&self) -> String {
        self.serving.url()
    }

    /// The value for GITHUB_API_URL.
    pub fn api_url(&self) -> String {
        format!("{}/api/v3", self.url())
    }

    /// Creates `OWNER/NAME` with one commit on its default branch. Returns the commit.
    pub async fn create_repository(&self, full_name: &str, seed: &Seed) -> Result<String, RepositoryError> {
        let commit = repository::create(&self.state.path_of(full_name), seed).await?;
        self.state.add(full_name, seed);
        Ok(commit)
    }

    /// The path of the bare repository, for inspection with git.
    pub fn repository_path(&self, full_name: &str) -> PathBuf {
        self.state.path_of(full_name)
    }

    /// All pull requests of a repository, oldest first.
    pub fn pulls(&self, full_name: &str) -> Vec<Pull> {
        self.state.pulls(full_name)
    }

    /// Renames or transfers a repository. Calls to its old name are redirected.
    pub fn rename_repository(&self, old: &str, new: &str) -> io::Result<()> {
        self.state.rename(old, new)
    }

    /// Makes a repository read-only.
    pub fn archive_repository(&self, full_name: &str) {
        self.state.change(full_name, |repository| repository.archived = true);
    }

    /// Adds a file to a repository's Git LFS, by its SHA-256.
    pub fn add_lfs_file(&self, full_name: &str, oid: &str) {
        self.state.change(full_name, |repository| {
            repository.lfs_files.insert(oid.to_owned());
        });
    }

    /// Cuts trees after this number of entries. GitHub cuts them after 100,000.
    pub fn set_tree_limit(&self, entries: usize) {
        self.state.set_tree_limit(entries);
    }

    /// Injects a fault into later calls.
    pub fn fail(&self, fault: Fault) {
        self.state.faults().push(fault);
    }

    /// Sets the number of REST calls that the tokens have left.
    pub fn set_rate_limit(&self, remaining: u32) {
        self.state.rate().set_remaining(remaining);
    }

    /// The latest calls, oldest first, each as `METHOD /path?query STATUS`; at most 1,024.
    pub fn calls(&self) -> Vec<String> {
        self.state.calls()
    }

    pub fn directory(&self) -> &Path {
        self.state.directory()
    }
}
