//! The surroundings of one fact: a home and a workspace that nobody else uses, and a scripted model.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use mock_api::scripted_model::{ModelHandle, RecordedRequest, ScriptedModel, Scripts};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;

use crate::launch::Launch;
use crate::process::Claude;
use crate::recording::Recorder;

/// The system prompt of agents whose prompt does not matter.
pub(crate) const PROMPT: &str = "You are under test.";

pub(crate) struct Lab {
    pub(crate) version: String,
    pub(crate) binary: PathBuf,
    pub(crate) model: ModelHandle,
    pub(crate) recorder: Arc<Recorder>,
    directory: TempDir,
}

impl Lab {
    /// `scripts` come before the built-in scripts of the model.
    pub(crate) async fn open(version: &str, binary: &Path, recorder: Recorder, scripts: &str) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("claude-contract-").tempdir()?;
        for name in ["home", "workspace", "tmp"] {
            std::fs::create_dir(directory.path().join(name))?;
        }
        let mut all = Scripts::builtin()?;
        if !scripts.is_empty() {
            all = Scripts::parse("the fact's scripts", scripts)?.followed_by(all);
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no free port for the model")?;
        let model = ScriptedModel::new(all).serve(listener)?;
        let recorder = recorder.renaming(&[
            (directory.path().join("home").display().to_string(), "/home/agent"),
            (directory.path().join("workspace").display().to_string(), "/workspace"),
            // The name that the CLI gives to the workspace in its own directories.
            (directory.path().join("workspace").display().to_string().replace(['/', '.', '_'], "-"), "-workspace"),
            (directory.path().display().to_string(), ""),
        ]);
        Ok(Lab {
            version: version.to_owned(),
            binary: binary.to_owned(),
            model,
            recorder: Arc::new(recorder),
            directory,
        })
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    pub(crate) fn workspace(&self) -> PathBuf {
        self.directory.path().join("workspace")
    }

    /// The command that starts the agent of a sandbox with the differences of `launch`.
    pub(crate) fn command(&self, launch: &Launch) -> Command {
        let mut command = Command::new(&self.binary);
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .args(launch.arguments())
            .env_clear()
            .envs(launch.environment(&self.home().display().to_string(), &self.model.url(), path))
            .env("TMPDIR", self.directory.path().join("tmp"))
            .current_dir(self.workspace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    /// Starts a process that waits for `initialize`.
    pub(crate) fn start(&self, launch: &Launch) -> Result<Claude> {
        Claude::spawn(self.command(launch), &self.recorder)
    }

    /// Starts a process and initialises it with [`PROMPT`].
    pub(crate) async fn agent(&self, launch: &Launch) -> Result<Claude> {
        self.agent_with(launch, json!({ "systemPrompt": [PROMPT] })).await
    }

    /// Starts a process and initialises it with these fields.
    pub(crate) async fn agent_with(&self, launch: &Launch, mut initialize: Value) -> Result<Claude> {
        let mut claude = self.start(launch)?;
        initialize["subtype"] = json!("initialize");
        claude.ask_control(initialize).await?;
        Ok(claude)
    }

    /// Starts the usual agent.
    pub(crate) async fn usual(&self) -> Result<Claude> {
        self.agent(&Launch::new()).await
    }

    /// The requests that belong to a conversation, and not beside it: those that offer tools.
    pub(crate) fn conversation_requests(&self) -> Vec<RecordedRequest> {
        self.model.requests().into_iter().filter(|request| request.tools > 0).collect()
    }

    /// The body of the latest request that offers tools.
    pub(crate) fn last_body(&self) -> Result<Value> {
        let last = self.conversation_requests().pop().context("the model got no request that offers tools")?;
        Ok(serde_json::from_slice(&last.body)?)
    }
}
