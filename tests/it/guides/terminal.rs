//! A separate terminal for a long-running program.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};

use super::place::Place;
use crate::bounds::{BOUND, within};

const CTRL_C: &[u8] = b"\x03";

/// The interval of polling for more output.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct Terminal {
    child: Child,
    keyboard: ChildStdin,
    screen: PathBuf,
    said: String,
}

impl Terminal {
    /// Opens a terminal in the clone, and runs these lines of the page until it has shown this text. Nothing that the reader's shell
    /// exported is there. An error contains the output.
    pub(super) async fn open(place: &Place, line: usize, text: &str, says: &str) -> Result<Self, String> {
        let lines = place.beside(&format!("terminal-{line}.sh"));
        std::fs::write(&lines, "\n".repeat(line - 1) + text).unwrap();
        let screen = lines.with_extension("screen");
        let command = format!("exec bash -euo pipefail {}", lines.display());
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--flush", "--command", &command, "/dev/null"])
            .env_clear()
            .envs(&place.environment)
            .envs([("SHELL", "/bin/sh"), ("TERM", "dumb")])
            .current_dir(place.clone_directory())
            .stdin(Stdio::piped())
            .stdout(std::fs::File::create(&screen).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let keyboard = child.stdin.take().unwrap();
        let mut terminal = Terminal { child, keyboard, screen, said: says.to_owned() };
        let said = tokio::time::timeout(BOUND, async {
            while !terminal.shows().contains(says) {
                if terminal.child.try_wait().unwrap().is_some() {
                    return terminal.shows().contains(says);
                }
                tokio::time::sleep(LOOK).await;
            }
            true
        });
        match said.await {
            Ok(true) => Ok(terminal),
            Ok(false) | Err(_) => Err(terminal.shows()),
        }
    }

    /// Returns the text that the terminal was opened to show.
    pub(super) fn said(&self) -> &str {
        &self.said
    }

    /// Returns everything that it has shown.
    pub(super) fn shows(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.screen).unwrap_or_default()).replace('\r', "")
    }

    /// Presses Ctrl-C, waits for the end, and returns everything that it has shown.
    pub(super) async fn interrupt(mut self) -> String {
        // The program may have ended already.
        let _ = self.keyboard.write_all(CTRL_C).await;
        within("what ran in a terminal ends after Ctrl-C", self.child.wait()).await.unwrap();
        self.shows()
    }
}
