use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use sandbox_link::codec::{MAX_START, MAX_STRINGS};
use sandbox_link::frame::{DownFrame, LinkSecret, Numbered, SignalTarget, Start, UpFrame};
use sandbox_link::window::ReceiveWindow;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::directory;
use super::error::SendError;
use super::gate::Gate;
use super::outbox::Outbox;
use super::server::Endpoint;
use super::stream::GatewayStream;
use super::tcp::Registration;
use super::worker::Worker;

/// The longest line for the agent's stdin, in bytes. Above what the HTTP API takes as a message.
pub const MAX_STDIN_LINE: usize = 16 * 1024 * 1024;

/// Commands that wait for room in the window. Few: each may be as long as [`MAX_STDIN_LINE`].
const WAITING_COMMANDS: usize = 4;

/// Signals that wait for a connection; more wait at the caller.
const WAITING_SIGNALS: usize = 16;

/// Batches that wait for the consumer, each of some 64 KiB. What is not taken stays in the sandbox.
const WAITING_OUTPUT: usize = 4;

/// What must be known of a link to go on with it after a restart of the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeState {
    pub secret: LinkSecret,
    /// Number of the last output frame of which everything is durable; 0 for none. Output goes on after it.
    pub last_received: u64,
}

/// Sends commands to one sandbox. Clones are the same link; when the last is dropped it is closed and its sockets are
/// removed, its directory is not.
#[derive(Debug, Clone)]
pub struct Link {
    shared: Arc<Shared>,
}

/// What a sandbox says, each frame once and in order. Ends when the link is closed, or when the sandbox and this
/// coordinator cannot agree on what was received (then frames are lost and the sandbox is of no use any more).
#[derive(Debug)]
pub struct LinkOutput {
    batches: mpsc::Receiver<Vec<Numbered<UpFrame>>>,
}

/// Where the link is served, and what is to be removed with it.
#[derive(Debug)]
pub(super) enum Place {
    Directory(PathBuf),
    Tcp(Registration),
}

#[derive(Debug)]
struct Shared {
    commands: mpsc::Sender<DownFrame>,
    signals: mpsc::Sender<DownFrame>,
    acknowledged: watch::Sender<u64>,
    connected: watch::Receiver<bool>,
    gate: Arc<Gate>,
    place: Place,
    /// The place was given up, by closing the link, and may be another link's by now.
    left: AtomicBool,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Link {
    /// Makes the link and starts its worker. Whoever listens gives the connections to the endpoint.
    pub(super) fn open(
        resume: Option<ResumeState>,
        orphan_ttl: Duration,
        gateway: Arc<dyn GatewayStream>,
        tracker: TaskTracker,
        cancel: CancellationToken,
        place: impl FnOnce(&Endpoint) -> Place,
    ) -> (Self, LinkOutput) {
        // A resumed link learns where the numbers of its commands go on from sandbox-init's Hello.
        let outbox = resume.is_none().then(|| Outbox::after_number(0));
        let receive = ReceiveWindow::after_number(resume.as_ref().map_or(0, |resume| resume.last_received));
        let gate = Arc::new(resume.map_or_else(Gate::new, |resume| Gate::resume(resume.secret)));
        let (commands, command_receiver) = mpsc::channel(WAITING_COMMANDS);
        let (signals, signal_receiver) = mpsc::channel(WAITING_SIGNALS);
        let (acknowledged, acknowledged_receiver) = watch::channel(0);
        let (connected_sender, connected) = watch::channel(false);
        let (output, batches) = mpsc::channel(WAITING_OUTPUT);

        let tasks = TaskTracker::new();
        let told = Arc::clone(&gateway);
        let (endpoint, connections) = Endpoint::new(Arc::clone(&gate), gateway, tracker, tasks.clone(), cancel.clone());
        let worker = Worker {
            gate: Arc::clone(&gate),
            gateway: told,
            orphan_ttl,
            outbox,
            receive,
            commands: command_receiver,
            signals: signal_receiver,
            acknowledged: acknowledged_receiver,
            connected: connected_sender,
            output,
        };
        endpoint.spawn(worker.run(connections));
        let place = place(&endpoint);
        let shared = Shared {
            commands,
            signals,
            acknowledged,
            connected,
            gate,
            place,
            left: AtomicBool::new(false),
            tasks,
            cancel,
        };
        (Self { shared: Arc::new(shared) }, LinkOutput { batches })
    }

    /// Asks for a program to be run; `Started` or `StartFailed` is the answer. Waits while the window is full.
    pub async fn start(&self, start: Start) -> Result<(), SendError> {
        within("what is to be started", start.bytes(), MAX_START)?;
        within("the list of arguments", start.arguments.len(), MAX_STRINGS)?;
        within("the environment", start.environment.len(), MAX_STRINGS)?;
        self.command(DownFrame::Start(start)).await
    }

    /// Gives the agent one line; the newline is added. Waits while the agent does not read what it has.
    pub async fn stdin(&self, line: Bytes) -> Result<(), SendError> {
        within("the line", line.len(), MAX_STDIN_LINE)?;
        self.command(DownFrame::Stdin { piece: line, ends_line: true }).await
    }

    /// Closes the agent's stdin after all lines given before.
    pub async fn close_stdin(&self) -> Result<(), SendError> {
        self.command(DownFrame::CloseStdin).await
    }

    /// Signals by the signal's number on Linux. Does not wait for stdin that the agent has not read, and so may overtake
    /// other commands that are waiting for room.
    pub async fn signal(&self, signal: i32, target: SignalTarget) -> Result<(), SendError> {
        let frame = DownFrame::Signal { signal, target };
        self.shared.signals.send(frame).await.map_err(|_| SendError::Closed)
    }

    /// Says that everything up to and including output frame `seq` is durable and need not be sent again. Without it
    /// the sandbox's window fills and the agent waits.
    pub fn acknowledge(&self, seq: u64) {
        self.shared.acknowledged.send_if_modified(|acknowledged| {
            let newer = seq > *acknowledged;
            *acknowledged = seq.max(*acknowledged);
            newer
        });
    }

    /// To be kept for [`ResumeState`].
    pub fn secret(&self) -> &LinkSecret {
        self.shared.gate.secret()
    }

    /// What is to be mounted in the container at `/run/link`; None for a link over TCP.
    pub fn directory(&self) -> Option<&Path> {
        match &self.shared.place {
            Place::Directory(path) => Some(path),
            Place::Tcp(_) => None,
        }
    }

    /// Whether sandbox-init is connected.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.shared.connected.clone()
    }

    /// Stops serving, waits until nothing of it runs, and removes the sockets. The agent goes on without a coordinator
    /// until `ORPHAN_TTL`. To be awaited before the same name is bound again.
    pub async fn close(self) {
        self.shared.cancel.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
        self.shared.leave();
    }

    async fn command(&self, frame: DownFrame) -> Result<(), SendError> {
        self.shared.commands.send(frame).await.map_err(|_| SendError::Closed)
    }
}

impl LinkOutput {
    /// The next frames; never an empty batch. Taking no more of them stops the sandbox in the end. Cancel-safe.
    pub async fn recv(&mut self) -> Option<Vec<Numbered<UpFrame>>> {
        self.batches.recv().await
    }
}

impl Shared {
    fn leave(&self) {
        if self.left.swap(true, Ordering::Relaxed) {
            return;
        }
        match &self.place {
            Place::Directory(path) => directory::remove_sockets(path),
            Place::Tcp(registration) => registration.remove(),
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.leave();
    }
}

fn within(what: &'static str, bytes: usize, limit: usize) -> Result<(), SendError> {
    if bytes > limit { Err(SendError::TooLarge { what, bytes, limit }) } else { Ok(()) }
}
