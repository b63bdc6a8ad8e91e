//! `task`: submitting, following, answering.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use super::given;
use crate::bounds::within;
use crate::server::{Setup, TestServer};
use crate::stream::text_of;
use crate::support::environment::port_for_long;

/// A running command and its output so far.
struct Running {
    child: Child,
    out: Stream<ChildStdout>,
    err: Stream<ChildStderr>,
}

struct Stream<T> {
    lines: Lines<BufReader<T>>,
    seen: Vec<String>,
}

impl<T: AsyncRead + Unpin> Stream<T> {
    fn of(stream: T) -> Self {
        Stream { lines: BufReader::new(stream).lines(), seen: Vec::new() }
    }

    /// Reads up to a line that contains this text.
    async fn until(&mut self, wanted: &str) {
        while !self.seen.last().is_some_and(|line| line.contains(wanted)) {
            let line = within(wanted, self.lines.next_line()).await.unwrap();
            self.seen.push(line.unwrap_or_else(|| panic!("no {wanted}: {:#?}", self.seen)));
        }
    }

    async fn rest(&mut self) {
        while let Some(line) = within("the output ends", self.lines.next_line()).await.unwrap() {
            self.seen.push(line);
        }
    }
}

impl Running {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let (out, err) = (Stream::of(child.stdout.take().unwrap()), Stream::of(child.stderr.take().unwrap()));
        Running { child, out, err }
    }

    fn interrupt(&self) {
        kill(Pid::from_raw(self.child.id().unwrap().cast_signed()), Signal::SIGINT).unwrap();
    }

    /// Waits for the end and returns the exit status.
    async fn ended(&mut self) -> i32 {
        self.out.rest().await;
        self.err.rest().await;
        self.child.wait().await.unwrap().code().unwrap_or(-1)
    }
}

#[tokio::test]
async fn a_task_is_followed_and_its_exit_status_says_how_it_ended() {
    let server = TestServer::start().await;
    let ran = server.run(&["task", "--session", "s", "say:hello there"]).await.ok();
    assert_eq!(ran.out, "hello there\n", "stdout contains only the answer");
    assert!(ran.err.contains("    agent  claude-") && ran.err.contains("     done  "), "{}", ran.err);
    assert!(!ran.err.contains('\u{1b}') && !ran.err.contains('\r'), "no terminal, no colours: {}", ran.err);

    // The message comes from standard input. One variable has a value, one is passed on, a model is named, and the output is
    // events.
    let mut command = server.program(&[
        "task",
        "--session",
        "s",
        "--json",
        "--env",
        "A=1",
        "--env",
        "B",
        "--model",
        "claude-sonnet-4-6",
        "-",
    ]);
    command.env("B", "two words");
    let ran = given(command, "bash:echo \"$A,$B\"").await.ok();
    let events = ran.lines();
    let answer = events.last().unwrap();
    assert_eq!((&answer["type"], &answer["response"]), (&json!("task_complete"), &json!("done: 1,two words")));
    let logs = server.run(&["logs", "--json", answer["taskId"].as_str().unwrap()]).await.ok();
    assert_eq!(logs.out, ran.out, "the same events, live and afterwards");

    let ran = server.run(&["task", "--session", "s", "--max-turns", "1", "--timeout", "30s", "loop:"]).await;
    assert!(ran.code == 1 && ran.err.contains("max_turns") && ran.out.is_empty(), "{ran:#?}");

    let ran = server.run(&["task", "--session", "s", "--detach", "wait:60000"]).await.ok();
    let task = ran.out.trim();
    let mut events = server.subscribe_since("s", 0).await;
    while events.until("task_start").await["taskId"] != *task {}
    let ran = server.run(&["abort", task]).await.ok();
    assert!(ran.err.contains("aborted"), "{ran:#?}");
    assert_eq!(server.run(&["abort", task]).await.code, 1, "no task is left to abort");

    // A retry can be followed like the first task, or not.
    let ran = server.run(&["retry", answer["taskId"].as_str().unwrap()]).await.ok();
    assert_eq!(ran.out, "done: 1,two words\n");
    assert!(ran.err.contains("     tool  Bash echo"), "{}", ran.err);
    let failed = server.get("/tasks?status=failed").await.ok();
    let ran = server.run(&["retry", "--json", failed[0]["taskId"].as_str().unwrap()]).await;
    assert_eq!((ran.code, &ran.lines().last().unwrap()["errorType"]), (1, &json!("max_turns")), "{ran:#?}");
    let again = server.run(&["retry", "--detach", task]).await.ok();
    assert_ne!(again.out.trim(), task);
    let ran = server.run(&["retry", again.out.trim()]).await;
    assert!(ran.code == 64 && ran.err.contains("has not ended yet"), "{ran:#?}");
    server.run(&["abort", again.out.trim()]).await.ok();
    server.finish().await;
}

#[tokio::test]
async fn ctrl_c_aborts_the_task_and_a_second_one_leaves() {
    let mut server = TestServer::start().await;
    let begin =
        |server: &TestServer| Running::start(server.program(&["task", "--session", "s", "--json", "wait:60000"]));
    let mut command = begin(&server);
    command.out.until("\"init\"").await;
    command.interrupt();
    assert_eq!(command.ended().await, 2, "{:?}", command.err.seen);
    assert!(command.err.seen[0].starts_with("abort: asked for; Ctrl-C again"), "{:?}", command.err.seen);
    assert_eq!(server.get("/tasks").await.ok()[0]["status"], "aborted");

    // No server is left to abort the task.
    let mut command = begin(&server);
    command.out.until("\"init\"").await;
    server.kill().await;
    command.err.until("waiting for it to come back").await;
    command.interrupt();
    command.err.until("abort: no server answers").await;
    command.interrupt();
    assert_eq!(command.ended().await, 130, "{:?}", command.err.seen);
    server.start_again().await;
    let task = &server.get("/tasks").await.ok()[0];
    assert_eq!(task["status"], "running", "it was left to the server");
    server.finish().await;
}

#[tokio::test]
async fn a_command_goes_on_over_a_server_that_is_killed_and_started_again() {
    let port = port_for_long();
    let mut server = Setup::new().env("PORT", port.to_string()).start().await;
    let mut command = Running::start(server.program(&["task", "--session", "s", "--json", "slow:40"]));
    command.out.until("w3").await;
    server.kill().await;
    command.err.until("waiting for it to come back").await;
    server.start_again().await;
    assert_eq!(command.ended().await, 0, "{:?}", command.err.seen);
    let events: Vec<Value> = command.out.seen.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    let first = numbers[0];
    assert_eq!(numbers, (first..first + numbers.len() as u64).collect::<Vec<_>>(), "each event once");
    let words: Vec<String> = (0..40).map(|word| format!("w{word}")).collect();
    assert_eq!(text_of(&events).0.trim_end(), words.join(" "));
    server.finish().await;
}
