//! One process of the CLI: what it is sent, and what it prints.

use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use claude_stream::{ControlRequest, user_message};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::recording::{Recorder, Recording};

/// The longest wait for one line. The longest silence of a fact is a few seconds; the rest is for a slow machine.
const PATIENCE: Duration = Duration::from_secs(45);

/// Lines that wait to be looked at. The longest turn of a fact has a few hundred.
const MAX_WAITING_LINES: usize = 4096;

pub(crate) struct Claude {
    child: Child,
    input: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    lines: mpsc::Receiver<Value>,
    /// Every line so far.
    pub(crate) seen: Vec<Value>,
    kill_at_result: Arc<AtomicBool>,
    recording: Arc<Recording>,
    stderr: Arc<Mutex<String>>,
}

impl Claude {
    /// Starts `command`, whose stdin, stdout and stderr are pipes.
    pub(crate) fn spawn(mut command: Command, recorder: &Arc<Recorder>) -> Result<Self> {
        let mut child = command.spawn().context("the CLI did not start")?;
        let input = child.stdin.take().context("no stdin")?;
        let output = child.stdout.take().context("no stdout")?;
        Self::attach(child, Box::new(input), output, recorder)
    }

    /// Talks to a process over these streams.
    pub(crate) fn attach(
        mut child: Child,
        input: Box<dyn AsyncWrite + Send + Unpin>,
        output: impl tokio::io::AsyncRead + Send + Unpin + 'static,
        recorder: &Arc<Recorder>,
    ) -> Result<Self> {
        let recording = Arc::new(recorder.begin()?);
        let (sender, lines) = mpsc::channel(MAX_WAITING_LINES);
        let kill_at_result = Arc::new(AtomicBool::new(false));
        let process = Pid::from_raw(child.id().context("the CLI ended at once")?.try_into()?);
        let (kills, records) = (Arc::clone(&kill_at_result), Arc::clone(&recording));
        TaskTracker::new().spawn(async move {
            let mut output = BufReader::new(output).lines();
            while let Ok(Some(line)) = output.next_line().await {
                let value: Value = serde_json::from_str(&line).unwrap_or_else(|_| json!({ "type": "", "line": line }));
                if value["type"] == "result" && kills.load(Ordering::Relaxed) {
                    // An error means that the process has ended already.
                    kill(process, Signal::SIGKILL).ok();
                }
                records.output(&line, &value);
                if sender.send(value).await.is_err() {
                    break;
                }
            }
        });
        let stderr = Arc::new(Mutex::new(String::new()));
        if let Some(mut errors) = child.stderr.take() {
            let stderr = Arc::clone(&stderr);
            TaskTracker::new().spawn(async move {
                let mut piece = [0; 4096];
                while let Ok(length @ 1..) = errors.read(&mut piece).await {
                    let text = String::from_utf8_lossy(&piece[..length]);
                    stderr.lock().unwrap_or_else(PoisonError::into_inner).push_str(&text);
                }
            });
        }
        Ok(Claude { child, input: Some(input), lines, seen: Vec::new(), kill_at_result, recording, stderr })
    }

    /// Sends a line as it is.
    pub(crate) async fn send(&mut self, line: &str) -> Result<()> {
        let line = format!("{}\n", line.trim_end());
        self.recording.input(&line);
        let input = self.input.as_mut().context("stdin is closed")?;
        input.write_all(line.as_bytes()).await.context("the CLI does not read its stdin")?;
        input.flush().await?;
        Ok(())
    }

    /// Sends a message under a uuid of its own, and returns it.
    pub(crate) async fn say(&mut self, text: &str) -> Result<String> {
        let uuid = Uuid::new_v4().to_string();
        self.send(&user_message(&uuid, text)).await?;
        Ok(uuid)
    }

    /// Sends a message, and returns the result of its turn.
    pub(crate) async fn ask(&mut self, text: &str) -> Result<Value> {
        self.say(text).await?;
        self.result().await
    }

    /// Sends a message, and returns the text of its successful answer.
    pub(crate) async fn answer(&mut self, text: &str) -> Result<String> {
        let result = self.ask(text).await?;
        let shown: String = text.chars().take(60).collect();
        ensure!(result["is_error"] == false, "{shown:?} ended with an error: {result}");
        Ok(result["result"].as_str().unwrap_or_default().to_owned())
    }

    /// The next line that fits. `wanted` names it in the error.
    pub(crate) async fn until(&mut self, wanted: &str, fits: impl Fn(&Value) -> bool) -> Result<Value> {
        loop {
            match timeout(PATIENCE, self.lines.recv()).await {
                Ok(Some(line)) => {
                    self.seen.push(line.clone());
                    if fits(&line) {
                        return Ok(line);
                    }
                }
                Ok(None) => bail!("the CLI ended before {wanted}; {}", self.last_words()),
                Err(_) => bail!("no {wanted} within {} s; {}", PATIENCE.as_secs(), self.last_words()),
            }
        }
    }

    pub(crate) async fn result(&mut self) -> Result<Value> {
        self.until("a result", |line| line["type"] == "result").await
    }

    /// Sends a control request as the product does.
    pub(crate) async fn control(&mut self, request: &ControlRequest<'_>) -> Result<Value> {
        let id = Uuid::new_v4().to_string();
        self.send(&request.to_line(&id)).await?;
        self.control_response(&id).await
    }

    /// Sends a control request that the product does not have, or not with these fields. An error answer is an error here.
    pub(crate) async fn ask_control(&mut self, request: Value) -> Result<Value> {
        let id = Uuid::new_v4().to_string();
        let line = json!({ "type": "control_request", "request_id": id, "request": request });
        self.send(&line.to_string()).await?;
        let response = self.control_response(&id).await?;
        ensure!(response["subtype"] == "success", "{} was refused: {response}", request["subtype"]);
        Ok(response)
    }

    async fn control_response(&mut self, id: &str) -> Result<Value> {
        let fits = |line: &Value| line["type"] == "control_response" && line["response"]["request_id"] == id;
        Ok(self.until("a control_response", fits).await?["response"].clone())
    }

    /// The next request of the CLI with this subtype.
    pub(crate) async fn asked(&mut self, subtype: &str) -> Result<Value> {
        self.until(subtype, |line| line["type"] == "control_request" && line["request"]["subtype"] == subtype).await
    }

    /// Answers a request of the CLI.
    pub(crate) async fn reply(&mut self, request: &Value, response: Value) -> Result<()> {
        let response = json!({ "subtype": "success", "request_id": request["request_id"], "response": response });
        self.send(&json!({ "type": "control_response", "response": response }).to_string()).await
    }

    /// Kills the process as soon as the next result can be read.
    pub(crate) fn kill_at_result(&self) {
        self.kill_at_result.store(true, Ordering::Relaxed);
    }

    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }

    /// Closes stdin, reads the rest, and waits for the end.
    pub(crate) async fn end(&mut self) -> Result<ExitStatus> {
        self.input = None;
        self.rest().await
    }

    /// Reads the rest, and waits for the end.
    pub(crate) async fn rest(&mut self) -> Result<ExitStatus> {
        loop {
            match timeout(PATIENCE, self.lines.recv()).await {
                Ok(Some(line)) => self.seen.push(line),
                Ok(None) => break,
                Err(_) => bail!("the CLI did not end; {}", self.last_words()),
            }
        }
        Ok(timeout(PATIENCE, self.child.wait()).await.context("the CLI closed its stdout and did not end")??)
    }

    /// The CLI's id of the conversation.
    pub(crate) fn conversation(&self) -> Result<String> {
        let id = self.seen.iter().rev().find_map(|line| line["session_id"].as_str());
        Ok(id.context("no line has a session_id")?.to_owned())
    }

    /// All lines so far of this type.
    pub(crate) fn of_type(&self, kind: &str) -> Vec<&Value> {
        self.seen.iter().filter(|line| line["type"] == kind).collect()
    }

    /// All lines so far of type `system` and this subtype.
    pub(crate) fn system(&self, subtype: &str) -> Vec<&Value> {
        self.of_type("system").into_iter().filter(|line| line["subtype"] == subtype).collect()
    }

    /// The uuids of the messages that came back, in order.
    pub(crate) fn replayed(&self) -> Vec<&str> {
        self.of_type("user")
            .iter()
            .filter(|line| line["isReplay"] == true)
            .filter_map(|line| line["uuid"].as_str())
            .collect()
    }

    fn last_words(&self) -> String {
        let kind =
            |line: &Value| format!("{}/{}", line["type"], line["subtype"]).replace(['"'], "").replace("/null", "");
        let last: Vec<String> = self.seen.iter().rev().take(5).map(kind).collect();
        let stderr = self.stderr.lock().unwrap_or_else(PoisonError::into_inner).trim().to_owned();
        format!("last lines, newest first: {}; stderr: {stderr:?}", last.join(", "))
    }
}
