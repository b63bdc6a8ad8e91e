//! The reader's shell: one bash for a whole guide, which ends at the first failing command.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::place::Place;

/// The time for installing packages is far above that of a loaded machine.
const BOUND: Duration = Duration::from_mins(3);

pub(super) struct Shell {
    child: Child,
    stdin: ChildStdin,
    /// The shell's stdout carries its directory after each block. Blocks print into a file.
    stdout: Lines<BufReader<ChildStdout>>,
    directory: PathBuf,
    /// The current lines, their output, and the line that failed.
    block: PathBuf,
    printed: PathBuf,
    failed: PathBuf,
}

impl Shell {
    pub(super) fn start(place: &Place) -> Self {
        let mut command = Command::new("bash");
        command
            .args(["--noprofile", "--norc"])
            .env_clear()
            .envs(&place.environment)
            .envs(std::env::var("HOME").map(|home| ("HOME", home)))
            .current_dir(place.clone_directory())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A separate process group ends the shell's background processes with it.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap()).lines();
        Shell {
            child,
            stdin,
            stdout,
            directory: place.clone_directory(),
            block: place.beside("block.sh"),
            printed: place.beside("printed"),
            failed: place.beside("failed"),
        }
    }

    /// Returns the shell's directory.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs these lines, which begin on the page's `line`, and returns their output. An error names the line that failed.
    pub(super) async fn run(&mut self, page: &str, line: usize, text: &str) -> Result<String, String> {
        // The script's line numbers match the page.
        std::fs::write(&self.block, "\n".repeat(line - 1) + text).unwrap();
        let _ = std::fs::remove_file(&self.failed);
        let [block, printed, failed] =
            [&self.block, &self.printed, &self.failed].map(|path| path.display().to_string());
        let script = format!(
            "set -Eeuo pipefail\n\
             trap '[[ -e {failed} ]] || printf %s \"$LINENO\" > {failed}' ERR\n\
             source {block} > {printed} 2>&1 < /dev/null\n\
             pwd\n"
        );
        let sent = self.stdin.write_all(script.as_bytes()).await;
        let said = tokio::time::timeout(BOUND, self.stdout.next_line()).await;
        let said = said
            .map_err(|_| format!("{page}:{line}: it did not end within {} s:\n\n{text}", BOUND.as_secs()))?
            .unwrap();
        let printed = String::from_utf8_lossy(&std::fs::read(&self.printed).unwrap_or_default()).into_owned();
        if let (Ok(()), Some(directory)) = (sent, said) {
            self.directory = directory.into();
            return Ok(printed);
        }
        let status = self.child.wait().await.unwrap();
        let failed = std::fs::read_to_string(&self.failed).ok().and_then(|line| line.parse().ok());
        let at: usize = failed.unwrap_or(line);
        let command = text.lines().nth(at.saturating_sub(line)).unwrap_or_default();
        Err(format!("{page}:{at}: a command failed ({status}):\n\n{command}\n\nthe block printed:\n{printed}"))
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        if let Some(id) = self.child.id() {
            let _ = killpg(Pid::from_raw(id.cast_signed()), Signal::SIGKILL);
        }
    }
}
