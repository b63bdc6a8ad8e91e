//! `claude-runner serve` as a process, and its log.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;

use crate::bounds::within;

/// The command line of the server, with the program of this build.
pub(crate) fn serve() -> Vec<String> {
    vec![env!("CARGO_BIN_EXE_claude-runner").to_owned(), "serve".to_owned()]
}

/// A process that is killed on drop.
pub(crate) struct Process {
    child: Child,
    /// Everything written to stderr. The channel closes when the process ends.
    log: watch::Receiver<String>,
}

impl Process {
    /// Starts this program with exactly this environment.
    pub(crate) fn run(program: &[String], environment: &BTreeMap<String, String>, directory: &Path) -> Self {
        let mut child = Command::new(&program[0])
            .args(&program[1..])
            .env_clear()
            .envs(environment)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (writer, log) = watch::channel(String::new());
        let stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || copy_lines(stderr, &writer));
        Process { child, log }
    }

    /// Waits until the server listens, and returns its address. Returns `None` if the server ended first.
    pub(crate) async fn address(&mut self) -> Option<SocketAddr> {
        let listens = self.log.wait_for(|log| address_in(log).is_some());
        let log = within("the server listens", listens).await.ok()?;
        address_in(&log)
    }

    pub(crate) fn log(&self) -> String {
        self.log.borrow().clone()
    }

    /// Waits until the log contains this text `times` times. Returns false if the server ended first.
    pub(crate) async fn says(&self, text: &str, times: usize) -> bool {
        let mut log = self.log.clone();
        let said = log.wait_for(|log| log.matches(text).count() >= times);
        within(&format!("the server says {text:?} {times} times"), said).await.is_ok()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // The process may have ended already.
        let _ = kill(Pid::from_raw(self.id().cast_signed()), signal);
    }

    /// Waits for the end of the process. The log is complete afterwards.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        // The log closes when the process ends. Its status is available without waiting then.
        within("the server ends", async { while self.log.changed().await.is_ok() {} }).await;
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn copy_lines(stderr: ChildStderr, log: &watch::Sender<String>) {
    for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
        log.send_modify(|log| {
            log.push_str(&String::from_utf8_lossy(&line));
            log.push('\n');
        });
    }
}

fn address_in(log: &str) -> Option<SocketAddr> {
    if let Some((_, rest)) = log.split_once("listening address=") {
        return rest.split_whitespace().next()?.parse().ok();
    }
    // The server may log as JSON.
    let line = log.lines().find(|line| line.contains(r#""message":"listening""#))?;
    serde_json::from_str::<serde_json::Value>(line).ok()?["address"].as_str()?.parse().ok()
}
