use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use link_transport::Outbox;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use sandbox_link::frame::{Exit, Start, UpFrame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::cgroup;
use crate::inbox::{Inbox, Stdin};
use crate::lines::Lines;
use crate::processes::{self, End};
use crate::termination;

/// The time in which children that outlive the program may still add to its output, and the time that reading continues
/// after they are killed. Where PID 1 killed them, the output ends by itself.
const OUTPUT_GRACE: Duration = Duration::from_millis(250);

/// The number of bytes per read.
const READ_BYTES: usize = 64 * 1024;

/// A buffer with less free space than this is replaced. Lines keep their whole buffer in memory, so a new buffer for
/// every read would let short lines hold 64 KiB each.
const LEAST_ROOM: usize = 4 * 1024;

/// The program that runs in the sandbox.
pub(crate) struct Program {
    pid: Pid,
    readers: TaskTracker,
    /// Cancelled when no process can write to the program's output any more.
    silenced: CancellationToken,
    /// Stops the writer of stdin.
    stdin: DropGuard,
    oom_kills_before: u64,
}

impl Program {
    /// Starts the program in its own process group with socket pairs as stdio. Any process in the sandbox could open a
    /// pipe for writing through /proc; it cannot open a socket.
    pub(crate) fn start(start: &Start, outbox: &Arc<Outbox<UpFrame>>, inbox: &Arc<Inbox>) -> io::Result<Self> {
        if !Path::new(&start.directory).is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("no directory {}", start.directory)));
        }
        let (stdin, their_stdin) = pair()?;
        let (stdout, their_stdout) = pair()?;
        let (stderr, their_stderr) = pair()?;
        let oom_kills_before = cgroup::oom_kills();
        let mut command = Command::new(&start.program);
        command
            .args(&start.arguments)
            .current_dir(&start.directory)
            .env_clear()
            .envs(start.environment.iter().map(|(name, value)| (name, value)))
            .stdin(their_stdin)
            .stdout(their_stdout)
            .stderr(their_stderr)
            .process_group(0);
        let child = termination::without_holding_back(|| command.spawn())?;
        // The worker reaps the child together with all other processes. A process id is at most 2^22.
        let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);

        let readers = TaskTracker::new();
        let silenced = CancellationToken::new();
        let ended = CancellationToken::new();
        readers.spawn(read_stdout(stdout, Arc::clone(outbox), silenced.clone()));
        readers.spawn(read_stderr(stderr, Arc::clone(outbox), silenced.clone()));
        inbox.open();
        readers.spawn(ended.clone().run_until_cancelled_owned(write_stdin(stdin, Arc::clone(inbox))));
        Ok(Self { pid, readers, silenced, stdin: ended.drop_guard(), oom_kills_before })
    }

    pub(crate) fn pid(&self) -> Pid {
        self.pid
    }

    /// Finishes an ended program: reads its last output, kills its remaining processes, and sends `Exited`.
    pub(crate) async fn finish(self, end: Option<End>, outbox: Arc<Outbox<UpFrame>>, inbox: Arc<Inbox>) {
        drop(self.stdin);
        inbox.shut();
        self.readers.close();
        let _still_open = timeout(OUTPUT_GRACE, self.readers.wait()).await;
        processes::signal_everything(Some(self.pid), Signal::SIGKILL);
        self.silenced.cancel();
        // This wait has no time limit: if the window is full, it waits for the coordinator, so that the last output is
        // not lost.
        self.readers.wait().await;
        let oom_kills = cgroup::oom_kills().saturating_sub(self.oom_kills_before);
        let exit = match end {
            Some(End::Code(code)) => Exit { code: Some(code), signal: None, oom_kills },
            Some(End::Signal(signal)) => Exit { code: None, signal: Some(signal), oom_kills },
            None => Exit { code: None, signal: None, oom_kills },
        };
        outbox.push([UpFrame::Exited(exit)]);
    }
}

fn pair() -> io::Result<(UnixStream, Stdio)> {
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    Ok((UnixStream::from_std(ours)?, OwnedFd::from(theirs).into()))
}

async fn read_stdout(mut stream: UnixStream, outbox: Arc<Outbox<UpFrame>>, silenced: CancellationToken) {
    let mut lines = Lines::default();
    let mut buffer = BytesMut::new();
    while read(&mut stream, &mut buffer, &outbox, &silenced).await {
        outbox.push(std::iter::from_fn(|| lines.next(&mut buffer)));
    }
    outbox.push(lines.last(buffer));
}

async fn read_stderr(mut stream: UnixStream, outbox: Arc<Outbox<UpFrame>>, silenced: CancellationToken) {
    let mut buffer = BytesMut::new();
    while read(&mut stream, &mut buffer, &outbox, &silenced).await {
        outbox.push([UpFrame::Stderr { bytes: buffer.split().freeze() }]);
    }
}

/// Waits for room in the outbox, then reads. Returns false at the end of the output.
async fn read(
    stream: &mut UnixStream,
    buffer: &mut BytesMut,
    outbox: &Outbox<UpFrame>,
    silenced: &CancellationToken,
) -> bool {
    outbox.room().await;
    if buffer.capacity() - buffer.len() < LEAST_ROOM {
        buffer.reserve(READ_BYTES);
    }
    let nothing_more = async {
        silenced.cancelled().await;
        sleep(OUTPUT_GRACE).await;
    };
    tokio::select! {
        biased;
        read = stream.read_buf(buffer) => matches!(read, Ok(1..)),
        () = nothing_more => false,
    }
}

async fn write_stdin(mut stream: UnixStream, inbox: Arc<Inbox>) {
    loop {
        let written = match inbox.next().await {
            Stdin::Piece { piece, ends_line } => {
                let newline: &[u8] = if ends_line { b"\n" } else { b"" };
                stream.write_all_buf(&mut piece.chain(newline)).await
            }
            Stdin::Close => break,
        };
        if written.is_err() {
            break;
        }
        inbox.written();
    }
    // The command or the program closed stdin, so further input is dropped.
    inbox.shut();
}
