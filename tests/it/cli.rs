//! The command line as people and scripts use it: the real program with a real server.

mod completions;
mod files;
mod first_look;
mod init;
mod messages;
mod read;
mod refused;
mod task;
mod terminal;
mod webhooks;

use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::bounds::within;
use crate::server::TestServer;

const PROGRAM: &str = env!("CARGO_BIN_EXE_claude-runner");

/// The result of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        Ran { code: output.status.code().unwrap_or(-1), out, err }
    }

    #[track_caller]
    fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }

    /// Parses each line of stdout.
    #[track_caller]
    fn lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.out.lines().map(parse).collect()
    }
}

/// Returns the program with only the environment that it needs to run.
fn program(directory: &Path, arguments: &[&str]) -> Command {
    any(PROGRAM, directory, arguments)
}

/// Runs this shell line on its own terminal, whose output becomes stdout.
fn on_terminal(directory: &Path, line: &str) -> Command {
    let mut command = any("script", directory, &["--quiet", "--return", "--command", line, "/dev/null"]);
    command.env("SHELL", "/bin/sh").env("TERM", "xterm-256color").env("CLAUDE_RUNNER", PROGRAM);
    command
}

fn any(program: &str, directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var("PATH").unwrap())
        .env("HOME", directory)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn run(directory: &Path, arguments: &[&str]) -> Ran {
    ended(program(directory, arguments), arguments).await
}

/// Runs the program with these variables beside those that it needs.
async fn run_with(directory: &Path, arguments: &[&str], variables: &[(String, String)]) -> Ran {
    let mut command = program(directory, arguments);
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    ended(command, arguments).await
}

async fn ended(mut command: Command, arguments: &[&str]) -> Ran {
    Ran::of(within(&format!("{arguments:?} ends"), command.output()).await.unwrap())
}

/// Runs the program with this text as its standard input.
async fn given(mut command: Command, input: &str) -> Ran {
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    Ran::of(within("it ends", child.wait_with_output()).await.unwrap())
}

impl TestServer {
    /// Returns the program with this server's address in its environment.
    fn program(&self, arguments: &[&str]) -> Command {
        let mut command = program(self.directory(), arguments);
        command.env("CLAUDE_RUNNER_URL", self.url("/"));
        command
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        ended(self.program(arguments), arguments).await
    }
}
