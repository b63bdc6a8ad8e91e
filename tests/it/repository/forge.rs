//! A server with a forge.

use std::path::PathBuf;
use std::process::Command;

use mock_api::forge::{Forge, Pull, Token, sample_repositories};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::bounds::within;
use crate::server::{Setup, TestServer, agent_image};
use crate::subscriber::Subscriber;
use crate::support::environment;

/// The credential that no sandbox may see.
pub(super) const TOKEN: &str = "ghp_0123456789abcdefghijklmnopqrstuvwxyz";

pub(super) struct World {
    pub(super) server: TestServer,
    pub(super) forge: Forge,
    _directory: TempDir,
}

/// A running task: its id, and its session's events from the first on.
pub(super) struct Task {
    pub(super) id: String,
    pub(super) events: Subscriber,
}

impl World {
    pub(super) async fn start() -> Self {
        Self::with(Setup::new()).await
    }

    /// Starts a server and a forge with the sample repositories.
    pub(super) async fn with(setup: Setup) -> Self {
        let directory = environment::directory("crf-");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tokens = vec![Token::full(TOKEN, "acme-dev")];
        let forge = Forge::serve(listener, directory.path().join("forge"), tokens).unwrap();
        for (name, seed) in sample_repositories() {
            forge.create_repository(name, &seed).await.unwrap();
        }
        let setup = setup
            .scripts(include_str!("scripts.toml"))
            .env("GITHUB_TOKEN", TOKEN)
            .env("GITHUB_URL", forge.url())
            .env("GITHUB_API_URL", forge.api_url())
            .env("REPOSITORY_IMAGE", agent_image());
        World { server: setup.start().await, forge, _directory: directory }
    }

    pub(super) async fn post(&self, prompt: &str) -> Task {
        self.post_with(prompt, &json!({})).await
    }

    pub(super) async fn post_with(&self, prompt: &str, more: &Value) -> Task {
        let mut body = json!({ "prompt": prompt });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let accepted = self.server.post("/task", &body).await.expect(202);
        assert_eq!((&accepted["id"], &accepted["status"]), (&accepted["taskId"], &json!("queued")));
        self.follow(accepted["id"].as_str().unwrap()).await
    }

    pub(super) async fn follow(&self, id: &str) -> Task {
        Task { id: id.to_owned(), events: self.server.subscribe_since(id, 0).await }
    }

    /// Returns the task's record once it has ended.
    pub(super) async fn end_of(&self, task: &mut Task) -> Value {
        task.events.until_end_of(&json!(task.id)).await;
        self.server.get(&format!("/task/{}", task.id)).await.ok()
    }

    /// Returns the only pull request of a repository.
    pub(super) fn pull(&self, repository: &str) -> Pull {
        let [pull] = <[_; 1]>::try_from(self.forge.pulls(repository)).expect("not one pull request");
        pull
    }

    /// Runs git on a repository of the forge, and returns its output.
    pub(super) fn git(&self, repository: &str, arguments: &[&str]) -> String {
        let path: PathBuf = self.forge.repository_path(repository);
        let output = Command::new("git").args(arguments).current_dir(path).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Returns the messages of a branch's commits, newest first, down to those of the default branch.
    pub(super) fn commits(&self, repository: &str, branch: &str) -> Vec<String> {
        let log = self.git(repository, &["log", "--format=%s", &format!("main..{branch}")]);
        log.lines().map(str::to_owned).collect()
    }

    pub(super) fn branches(&self, repository: &str) -> Vec<String> {
        let refs = self.git(repository, &["for-each-ref", "--format=%(refname)"]);
        refs.lines().map(str::to_owned).collect()
    }

    /// Waits until the forge got a matching call.
    pub(super) async fn called(&self, fits: impl Fn(&str) -> bool) {
        let called = async {
            while !self.forge.calls().iter().any(|call| fits(call)) {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        within("a call of the forge", called).await;
    }

    pub(super) async fn finish(self) {
        assert!(!self.server.log().contains(TOKEN), "the token is in the server's log");
        self.server.finish().await;
    }
}

/// Asserts that a record failed with this error type, and that its message contains these words.
#[track_caller]
pub(super) fn failed(record: &Value, error_type: &str, says: &[&str]) {
    assert_eq!((&record["status"], &record["errorType"]), (&json!("failed"), &json!(error_type)), "{record:#}");
    for words in says {
        assert!(record["error"].as_str().unwrap().contains(words), "{words}: {record:#}");
    }
}
