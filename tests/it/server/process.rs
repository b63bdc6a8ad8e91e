//! `claude-runner serve` as a process, and what it logs.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::watch;

use crate::bounds::within;

/// Killed when it is dropped.
pub(crate) struct Process {
    child: Child,
    /// All that it wrote to stderr. Closed when it ended.
    log: watch::Receiver<String>,
}

impl Process {
    /// Starts it with this environment and no other.
    pub(crate) fn spawn(environment: &BTreeMap<String, String>, directory: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_claude-runner"))
            .arg("serve")
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

    /// Where it listens, once it does. `None`: it ended before.
    pub(crate) async fn address(&mut self) -> Option<SocketAddr> {
        let listens = self.log.wait_for(|log| address_in(log).is_some());
        let log = within("the server listens", listens).await.ok()?;
        address_in(&log)
    }

    pub(crate) fn log(&self) -> String {
        self.log.borrow().clone()
    }

    pub(crate) async fn logged(&self, text: &str) {
        let mut log = self.log.clone();
        within(text, log.wait_for(|log| log.contains(text))).await.unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
    }

    /// Waits for its end; all that it logged is there then.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        // The log is closed by the end of the process, whose status can be had then without waiting.
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
    let (_, rest) = log.split_once("listening address=")?;
    rest.split_whitespace().next()?.parse().ok()
}
