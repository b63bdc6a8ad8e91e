//! The agent process of a sandbox: its output in order, and its end.

use claude_stream::{AgentEvent, AgentLine, Decoder, LineError};
use engine::ContainerExit;
use link::LinkOutput;
use sandbox_link::frame::{Exit, Numbered, UpFrame};
use tokio::sync::oneshot;

/// The maximum length of an agent's line in bytes. Real lines can have megabytes: a tool result with an image.
const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// The maximum length of an incomplete line before its frames are acknowledged: a quarter of the sandbox's window.
const MAX_UNFINISHED_BYTES: usize = 1024 * 1024;

/// The number of bytes of the process's last stderr that are kept for error messages.
const STDERR_BYTES: usize = 2048;

/// Reads the output of an agent process.
pub struct Process {
    output: LinkOutput,
    decoder: Decoder,
    container_exit: oneshot::Receiver<ContainerExit>,
    stderr: Vec<u8>,
    /// Sequence number of the last frame that was decoded completely.
    last_frame: u64,
    /// Bytes of an incomplete line in later frames.
    unfinished: usize,
}

/// One item of a sandbox's output.
#[derive(Debug)]
pub enum ProcessOutput {
    /// Frames for [`Process::decode`].
    Frames(Vec<Numbered<UpFrame>>),
    Ended(ProcessEnd),
}

/// The observed end of an agent process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProcessEnd {
    /// The process ended. The container may still exist.
    Exited {
        code: Option<i32>,
        signal: Option<i32>,
        oom_kills: u64,
        stderr: String,
    },
    /// The process could not be started.
    NotStarted {
        reason: String,
    },
    /// The session's files exceed their limit. The process still runs.
    DiskFull {
        used_bytes: u64,
        limit_bytes: u64,
    },
    /// The container ended while the process ran.
    ContainerExited {
        code: i64,
        oom_killed: bool,
    },
    ContainerGone,
    /// The coordinator closed the link.
    Closed,
}

impl Process {
    pub(super) fn new(output: LinkOutput, container_exit: oneshot::Receiver<ContainerExit>) -> Self {
        Process {
            output,
            decoder: Decoder::new(MAX_LINE_BYTES),
            container_exit,
            stderr: Vec::new(),
            last_frame: 0,
            unfinished: 0,
        }
    }

    /// Continues after a frame that an earlier coordinator processed.
    pub(super) fn after_frame(mut self, last_frame: u64) -> Self {
        self.last_frame = last_frame;
        self
    }

    /// Resolves when the container ends, regardless of remaining output.
    pub(super) async fn container_ended(&mut self) -> ProcessEnd {
        end_of_container(&(&mut self.container_exit).await)
    }

    /// Returns the next output. Cancel-safe.
    pub async fn recv(&mut self) -> ProcessOutput {
        tokio::select! {
            // Output that precedes the end is returned before the end.
            biased;
            frames = self.output.recv() => match frames {
                Some(frames) => ProcessOutput::Frames(frames),
                None => ProcessOutput::Ended(ProcessEnd::Closed),
            },
            exit = &mut self.container_exit => ProcessOutput::Ended(end_of_container(&exit)),
        }
    }

    /// Decodes the lines in a batch of frames. Returns the process's end if a frame contains it.
    pub fn decode(
        &mut self,
        frames: Vec<Numbered<UpFrame>>,
        mut line: impl FnMut(Result<AgentLine<'_>, LineError>),
    ) -> Option<ProcessEnd> {
        let mut end = None;
        for Numbered { seq, frame } in frames {
            match frame {
                UpFrame::Stdout { piece, ends_line } => {
                    self.unfinished = if ends_line { 0 } else { self.unfinished + piece.len() };
                    self.decoder.feed(&piece, &mut line);
                    if ends_line {
                        self.decoder.feed(b"\n", &mut line);
                    }
                }
                UpFrame::Stderr { bytes } => self.keep_stderr(&bytes),
                UpFrame::Started { .. } => self.stderr.clear(),
                UpFrame::StartFailed { message } => end = Some(ProcessEnd::NotStarted { reason: message }),
                UpFrame::DiskFull { used_bytes, limit_bytes } => {
                    end = Some(ProcessEnd::DiskFull { used_bytes, limit_bytes });
                }
                UpFrame::Exited(Exit { code, signal, oom_kills }) => {
                    self.decoder.finish(&mut line);
                    let stderr = String::from_utf8_lossy(&self.stderr).trim().to_owned();
                    end = Some(ProcessEnd::Exited { code, signal, oom_kills, stderr });
                }
            }
            // After a restart an incomplete line is received again, unless it is so long that the sandbox would wait
            // for an acknowledgement.
            if self.unfinished == 0 || self.unfinished > MAX_UNFINISHED_BYTES {
                self.last_frame = seq;
            }
        }
        end
    }

    /// Processes frames of a program that does not speak stream-json. Its stdout is appended to `stdout`, up to `room`
    /// bytes.
    pub(super) fn collect(
        &mut self,
        frames: Vec<Numbered<UpFrame>>,
        stdout: &mut Vec<u8>,
        room: usize,
    ) -> Option<ProcessEnd> {
        let mut end = None;
        for Numbered { seq, frame } in frames {
            match frame {
                UpFrame::Stdout { piece, ends_line } => {
                    let left = room.saturating_sub(stdout.len());
                    stdout.extend_from_slice(&piece[..piece.len().min(left)]);
                    if ends_line && left > piece.len() {
                        stdout.push(b'\n');
                    }
                }
                UpFrame::Stderr { .. }
                | UpFrame::Started { .. }
                | UpFrame::StartFailed { .. }
                | UpFrame::DiskFull { .. }
                | UpFrame::Exited(_) => end = self.decode(vec![Numbered { seq, frame }], |_| {}),
            }
            self.last_frame = seq;
        }
        end
    }

    /// The last frame that [`Process::decode`] processed. Acknowledge it when the results are durable.
    pub fn last_frame(&self) -> u64 {
        self.last_frame
    }

    fn keep_stderr(&mut self, bytes: &[u8]) {
        self.stderr.extend_from_slice(bytes);
        let excess = self.stderr.len().saturating_sub(STDERR_BYTES);
        self.stderr.drain(..excess);
    }
}

/// True if a line belongs in its task's log. Deltas do not, because the complete blocks follow.
pub fn belongs_in_log(line: &AgentLine<'_>) -> bool {
    use AgentEvent as E;
    matches!(
        line.event,
        E::Init { .. }
            | E::Assistant { .. }
            | E::ToolResults { .. }
            | E::ApiRetry { .. }
            | E::Subagent { .. }
            | E::Result(_)
    )
}

fn end_of_container(exit: &Result<ContainerExit, oneshot::error::RecvError>) -> ProcessEnd {
    match exit {
        &Ok(ContainerExit::Exited { code, oom_killed }) => ProcessEnd::ContainerExited { code, oom_killed },
        Ok(ContainerExit::Gone) | Err(_) => ProcessEnd::ContainerGone,
    }
}

impl ProcessEnd {
    /// One sentence for the task's error.
    pub fn describe(&self) -> String {
        match self {
            ProcessEnd::Exited { code: None, signal: None, .. } => "the session's container was stopped".to_owned(),
            ProcessEnd::Exited { signal: Some(signal), .. } => format!("the agent was ended by signal {signal}"),
            ProcessEnd::Exited { code, stderr, .. } => {
                let code = code.map_or_else(|| "an unknown code".to_owned(), |code| format!("code {code}"));
                if stderr.is_empty() {
                    format!("the agent exited with {code}")
                } else {
                    format!("the agent exited with {code}: {stderr}")
                }
            }
            ProcessEnd::NotStarted { reason } => format!("the agent could not be started: {reason}"),
            ProcessEnd::DiskFull { used_bytes, limit_bytes } => format!(
                "the session's files have {} MiB or are hidden from the measurement; the limit is {} MiB (SANDBOX_DISK). The files stay; \
                 the next task may delete some, or reset the session",
                used_bytes >> 20,
                limit_bytes >> 20
            ),
            ProcessEnd::ContainerExited { code, .. } => format!("the session's container ended with code {code}"),
            ProcessEnd::ContainerGone => "the session's container no longer exists".to_owned(),
            ProcessEnd::Closed => "the link to the session's container was closed".to_owned(),
        }
    }

    pub fn out_of_memory(&self) -> bool {
        match self {
            ProcessEnd::Exited { code, signal, oom_kills, .. } => {
                // A child may have been killed for lack of memory while the agent itself ended for another reason.
                *oom_kills > 0 && (signal.is_some() || code.is_some_and(|code| code != 0))
            }
            ProcessEnd::ContainerExited { oom_killed, .. } => *oom_killed,
            ProcessEnd::NotStarted { .. }
            | ProcessEnd::DiskFull { .. }
            | ProcessEnd::ContainerGone
            | ProcessEnd::Closed => false,
        }
    }
}
