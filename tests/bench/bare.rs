//! The references without a coordinator: Claude Code in the same image, started with the engine's command line.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::server::{INSTRUCTIONS, image, milliseconds};

/// The arguments of the coordinator, but on the host's network and without a gateway.
const ARGUMENTS: [&str; 11] = [
    "-p",
    "--input-format",
    "stream-json",
    "--output-format",
    "stream-json",
    "--verbose",
    "--include-partial-messages",
    "--replay-user-messages",
    "--permission-mode",
    "bypassPermissions",
    "--model",
];
/// The time after which a step has failed. Every step takes less.
const BOUND: Duration = Duration::from_mins(1);
/// The restrictions of a sandbox, as options of the engine's command line.
const HELD: [&str; 13] = [
    "--network",
    "none",
    "--read-only",
    "--tmpfs",
    "/tmp:exec",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
    "--memory",
    "2g",
    "--pids-limit",
    "512",
];
/// An address where no model answers.
const NOWHERE: &str = "http://127.0.0.1:8787";
const MODEL: &str = "claude-sonnet-4-6";

/// A process that accepts one message after another.
pub(crate) struct BareCli {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
    volumes: String,
    messages: usize,
}

/// A turn. The times are milliseconds from the message.
pub(crate) struct Turn {
    pub(crate) first_text: f64,
    pub(crate) whole: f64,
}

impl BareCli {
    /// Starts the CLI in a container with its own volumes and initialises it.
    pub(crate) async fn start(model_url: &str, name: &str) -> Self {
        Self::start_with(model_url, name, &["--network", "host"]).await
    }

    /// Like [`Self::start`], in the engine's default network, which does not reach the model.
    pub(crate) async fn start_apart(name: &str) -> Self {
        Self::start_with(NOWHERE, name, &[]).await
    }

    /// Like [`Self::start`], with a sandbox's restrictions, so that the model cannot be reached.
    pub(crate) async fn start_held(name: &str) -> Self {
        Self::start_with(NOWHERE, name, &HELD).await
    }

    async fn start_with(model_url: &str, name: &str, settings: &[&str]) -> Self {
        let volumes = format!("claude-runner-bench-{name}");
        let mut child = docker_run(model_url, &volumes)
            .args(settings)
            .arg("-i")
            .args(["--entrypoint", "claude", &image()])
            .args(ARGUMENTS)
            .arg(MODEL)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut cli = BareCli { child, stdin, lines, volumes, messages: 0 };
        let request = json!({ "subtype": "initialize", "systemPrompt": [INSTRUCTIONS] });
        cli.say(&json!({ "type": "control_request", "request_id": "1", "request": request })).await;
        cli.until("control_response").await;
        cli
    }

    /// Sends a message and waits for its result.
    pub(crate) async fn turn(&mut self, text: &str) -> Turn {
        let begin = Instant::now();
        self.messages += 1;
        let uuid = format!("00000000-0000-4000-8000-{:012}", self.messages);
        self.say(&json!({ "type": "user", "uuid": uuid, "message": { "role": "user", "content": text } })).await;
        self.until("\"text_delta\"").await;
        let first_text = milliseconds(begin.elapsed());
        self.until("{\"type\":\"result\"").await;
        Turn { first_text, whole: milliseconds(begin.elapsed()) }
    }

    pub(crate) async fn end(mut self) {
        drop(self.stdin);
        self.child.wait().await.unwrap();
        remove_volumes(&self.volumes).await;
    }

    async fn say(&mut self, line: &serde_json::Value) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        self.stdin.flush().await.unwrap();
    }

    async fn until(&mut self, text: &str) {
        let found = async {
            loop {
                let line = self.lines.next_line().await.unwrap().expect("the bare CLI ended");
                if line.contains(text) {
                    return;
                }
            }
        };
        timeout(BOUND, found).await.unwrap_or_else(|_| panic!("the bare CLI never printed {text}"));
    }
}

/// Does the work of a shell script: one container for each message, which resumes the conversation from its files.
pub(crate) async fn container_per_task(model_url: &str, messages: &[&str]) {
    let volumes = "claude-runner-bench-script";
    for (number, message) in messages.iter().enumerate() {
        let mut command = docker_run(model_url, volumes);
        command.args(["--network", "host"]);
        command.args(["--entrypoint", "claude", &image(), "-p", message, "--output-format", "json", "--model", MODEL]);
        command.args(["--permission-mode", "bypassPermissions", "--append-system-prompt", INSTRUCTIONS]);
        if number > 0 {
            command.arg("--continue");
        }
        let output = command.stdin(Stdio::null()).output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    remove_volumes(volumes).await;
}

fn docker_run(model_url: &str, volumes: &str) -> Command {
    let mut command = Command::new("docker");
    command.args(["run", "--rm", "--user", "10001:10001", "-w", "/workspace"]);
    command.args(["-v", &format!("{volumes}-workspace:/workspace"), "-v", &format!("{volumes}-home:/home/agent")]);
    // The image's settings name the gateway of a sandbox, which does not exist here.
    command.args(["--tmpfs", "/etc/claude-code"]);
    for (name, value) in [
        ("ANTHROPIC_BASE_URL", model_url),
        ("ANTHROPIC_API_KEY", mock_api::scripted_model::DEFAULT_KEY),
        ("HOME", "/home/agent"),
        ("IS_SANDBOX", "1"),
        ("DISABLE_AUTOUPDATER", "1"),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1"),
        ("CLAUDE_CODE_DISABLE_CRON", "1"),
    ] {
        command.args(["-e", &format!("{name}={value}")]);
    }
    command
}

async fn remove_volumes(volumes: &str) {
    let names = [format!("{volumes}-workspace"), format!("{volumes}-home")];
    let removed = Command::new("docker").args(["volume", "rm", "-f"]).args(&names).output().await.unwrap();
    assert!(removed.status.success(), "{removed:?}");
}
