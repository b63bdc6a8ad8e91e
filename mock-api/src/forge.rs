//! A forge in GitHub's shape: the REST and GraphQL calls that a repository task needs below `/api/v3` and `/api/graphql`
//! (where GitHub Enterprise has them), and git over HTTP by the real `git http-backend` on real bare repositories.
//!
//! Shapes, errors, paging and rate limit headers follow GitHub's REST API of version 2022-11-28. What tests need beside
//! that: repositories made from a list of files, faults to order, and what was called.

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
pub use repository::{Entry, RepositoryError, Seed};
pub use sample::repositories as sample_repositories;
pub use state::{Pull, Token};

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::state::State;
use crate::serving::Serving;

/// The token that the program takes unless another is given.
pub const DEFAULT_TOKEN: &str = "ghp_forge_demo_token";

/// A running forge; dropping it stops it. Its repositories stay where they are.
#[derive(Debug)]
pub struct Forge {
    serving: Serving,
    state: Arc<State>,
}

impl Forge {
    /// Serves `listener` with repositories below `directory`. Needs a tokio runtime, and git on the PATH.
    pub fn serve(listener: TcpListener, directory: impl Into<PathBuf>, tokens: Vec<Token>) -> io::Result<Self> {
        let url = format!("http://{}", listener.local_addr()?);
        let state = Arc::new(State::new(url, directory.into(), tokens));
        let serving = Serving::start(listener, rest::router(Arc::clone(&state)), CancellationToken::new())?;
        Ok(Self { serving, state })
    }

    pub fn serving(&self) -> &Serving {
        &self.serving
    }

    /// What GITHUB_URL has to be.
    pub fn url(&self) -> String {
        self.serving.url()
    }

    /// What GITHUB_API_URL has to be.
    pub fn api_url(&self) -> String {
        format!("{}/api/v3", self.url())
    }

    /// Makes `OWNER/NAME` with one commit on its default branch. Gives the commit.
    pub async fn create_repository(&self, full_name: &str, seed: &Seed) -> Result<String, RepositoryError> {
        let commit = repository::create(&self.state.path_of(full_name), seed).await?;
        self.state.add(full_name, seed);
        Ok(commit)
    }

    /// The bare repository, for looking at it with git.
    pub fn repository_path(&self, full_name: &str) -> PathBuf {
        self.state.path_of(full_name)
    }

    /// All pull requests of a repository, oldest first.
    pub fn pulls(&self, full_name: &str) -> Vec<Pull> {
        self.state.pulls(full_name)
    }

    /// Orders a fault for calls to come.
    pub fn fail(&self, fault: Fault) {
        self.state.faults().push(fault);
    }

    /// How many REST calls the tokens have left, from now on.
    pub fn set_rate_limit(&self, remaining: u32) {
        self.state.rate().set_remaining(remaining);
    }

    /// The latest calls, oldest first, each `METHOD /path?query STATUS`; at most 1,024.
    pub fn calls(&self) -> Vec<String> {
        self.state.calls()
    }

    pub fn directory(&self) -> &Path {
        self.state.directory()
    }
}
