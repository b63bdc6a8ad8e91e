use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use link_transport::Outbox;
use sandbox_link::codec::{MAX_START, MAX_STRINGS};
use sandbox_link::frame::{DownFrame, LinkSecret, Numbered, SignalTarget, Start, UpFrame};
use sandbox_link::window::ReceiveWindow;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::directory;
use super::error::SendError;
use super::gate::Gate;
use super::server::Endpoint;
use super::stream::GatewayStream;
use super::streams::{Streams, WAITING_TICKETS};
use super::tcp::Registration;
use super::worker::Worker;

/// The maximum length of a line for the agent's stdin, in bytes. It is larger than the HTTP API's limit for a message.
pub const MAX_STDIN_LINE: usize = 16 * 1024 * 1024;

/// Number of commands that wait for room in the window. It is small because each may be as long as [`MAX_STDIN_LINE`].
const WAITING_COMMANDS: usize = 4;

/// Number of signals that wait for a connection. Further callers wait.
const WAITING_SIGNALS: usize = 16;

/// Number of batches, of about 64 KiB each, that wait for the consumer. Further output stays in the sandbox.
const WAITING_OUTPUT: usize = 4;

/// The state with which a link continues after a restart of the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumeState {
    pub secret: LinkSecret,
    /// Sequence number of the last output frame whose results are durable; 0 if there is none. The link continues after
    /// it.
    pub last_received: u64,
}

/// Sends commands to one sandbox. Clones share one link. When the last clone is dropped, the link is closed and its
/// sockets are removed; its directory stays.
#[derive(Debug, Clone)]
pub struct Link {
    state: Arc<LinkState>,
}

/// A link that stays open only as long as somebody else holds it.
#[derive(Debug, Clone)]
pub struct WeakLink {
    state: Weak<LinkState>,
}

/// The output of a sandbox: each frame once and in order. It ends when the link is closed, or when the sandbox and this
/// coordinator disagree on the received frames. In the second case frames are lost and the sandbox is unusable.
#[derive(Debug)]
pub struct LinkOutput {
    batches: mpsc::Receiver<Vec<Numbered<UpFrame>>>,
}

/// The place where the link is served. It is cleaned up with the link.
#[derive(Debug)]
pub(super) enum Place {
    Directory(PathBuf),
    Tcp(Registration),
}

#[derive(Debug)]
struct LinkState {
    commands: mpsc::Sender<DownFrame>,
    signals: mpsc::Sender<DownFrame>,
    acknowledged: watch::Sender<u64>,
    connected: watch::Receiver<bool>,
    gate: Arc<Gate>,
    streams: Arc<Streams>,
    place: Place,
    /// The link was closed and has given up its place, which may belong to another link now.
    left: AtomicBool,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Link {
    /// Creates the link and starts its worker. `place` starts the listeners, which pass their connections to the
    /// endpoint.
    pub(super) fn open(
        resume: Option<ResumeState>,
        orphan_ttl: Duration,
        gateway: Arc<dyn GatewayStream>,
        tracker: TaskTracker,
        cancel: CancellationToken,
        place: impl FnOnce(&Endpoint) -> Place,
    ) -> (Self, LinkOutput) {
        // A resumed link learns from sandbox-init's Hello where its command numbers continue.
        let outbox = resume.is_none().then(|| Outbox::after_number(0));
        let receive = ReceiveWindow::after_number(resume.as_ref().map_or(0, |resume| resume.last_received));
        let gate = Arc::new(resume.map_or_else(Gate::new, |resume| Gate::resume(resume.secret)));
        let (commands, command_receiver) = mpsc::channel(WAITING_COMMANDS);
        let (signals, signal_receiver) = mpsc::channel(WAITING_SIGNALS);
        let (acknowledged, acknowledged_receiver) = watch::channel(0);
        let (connected_sender, connected) = watch::channel(false);
        let (output, batches) = mpsc::channel(WAITING_OUTPUT);

        let tasks = TaskTracker::new();
        let gateway_for_worker = Arc::clone(&gateway);
        let (tickets, ticket_receiver) = mpsc::channel(WAITING_TICKETS);
        let streams = Arc::new(Streams::new(tickets, connected.clone()));
        let (endpoint, connections) =
            Endpoint::new(Arc::clone(&gate), gateway, Arc::clone(&streams), tracker, tasks.clone(), cancel.clone());
        let worker = Worker {
            gate: Arc::clone(&gate),
            gateway: gateway_for_worker,
            orphan_ttl,
            outbox,
            receive,
            commands: command_receiver,
            signals: signal_receiver,
            tickets: ticket_receiver,
            streams: Arc::clone(&streams),
            acknowledged: acknowledged_receiver,
            connected: connected_sender,
            output,
        };
        endpoint.spawn(worker.run(connections));
        let place = place(&endpoint);
        let state = LinkState {
            commands,
            signals,
            acknowledged,
            connected,
            gate,
            streams,
            place,
            left: AtomicBool::new(false),
            tasks,
            cancel,
        };
        (Self { state: Arc::new(state) }, LinkOutput { batches })
    }

    /// Requests that a program is started. The answer is `Started` or `StartFailed`. Waits while the window is full.
    pub async fn start(&self, start: Start) -> Result<(), SendError> {
        within("the program with its arguments and environment", start.bytes(), MAX_START)?;
        within("the list of arguments", start.arguments.len(), MAX_STRINGS)?;
        within("the environment", start.environment.len(), MAX_STRINGS)?;
        self.command(DownFrame::Start(start)).await
    }

    /// Sends one line to the agent's stdin; the newline is added. Waits while the agent does not read its input.
    pub async fn stdin(&self, line: Bytes) -> Result<(), SendError> {
        within("the line", line.len(), MAX_STDIN_LINE)?;
        self.command(DownFrame::Stdin { piece: line, ends_line: true }).await
    }

    /// Closes the agent's stdin after all lines that were sent before.
    pub async fn close_stdin(&self) -> Result<(), SendError> {
        self.command(DownFrame::CloseStdin).await
    }

    /// Sends a signal, by its number on Linux. It does not wait for unread stdin, so it may overtake other commands
    /// that wait for room.
    pub async fn signal(&self, signal: i32, target: SignalTarget) -> Result<(), SendError> {
        let frame = DownFrame::Signal { signal, target };
        self.state.signals.send(frame).await.map_err(|_| SendError::Closed)
    }

    /// Confirms that everything up to and including output frame `seq` is durable and need not be sent again. Without
    /// acknowledgements the sandbox's window fills and the agent stops.
    pub fn acknowledge(&self, seq: u64) {
        self.state.acknowledged.send_if_modified(|acknowledged| {
            let newer = seq > *acknowledged;
            *acknowledged = seq.max(*acknowledged);
            newer
        });
    }

    pub(super) fn streams(&self) -> &Streams {
        &self.state.streams
    }

    /// The link's secret, for [`ResumeState`].
    pub fn secret(&self) -> &LinkSecret {
        self.state.gate.secret()
    }

    /// The directory to mount in the container at `/run/link`. `None` for a link over TCP.
    pub fn directory(&self) -> Option<&Path> {
        match &self.state.place {
            Place::Directory(path) => Some(path),
            Place::Tcp(_) => None,
        }
    }

    pub fn downgrade(&self) -> WeakLink {
        WeakLink { state: Arc::downgrade(&self.state) }
    }

    /// Watches if sandbox-init is connected.
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.state.connected.clone()
    }

    /// Stops serving, waits until all tasks of the link have ended, and removes the sockets. The agent continues
    /// without a coordinator until `ORPHAN_TTL`. Await this before binding the same name again.
    pub async fn close(self) {
        self.state.cancel.cancel();
        self.state.tasks.close();
        self.state.tasks.wait().await;
        self.state.leave();
    }

    async fn command(&self, frame: DownFrame) -> Result<(), SendError> {
        self.state.commands.send(frame).await.map_err(|_| SendError::Closed)
    }
}

impl WeakLink {
    /// Returns `None` if the link was closed.
    pub fn upgrade(&self) -> Option<Link> {
        self.state.upgrade().map(|state| Link { state })
    }
}

impl LinkOutput {
    /// Returns the next frames, never an empty batch; `None` at the end. If nobody calls it, the sandbox stops
    /// eventually. Cancel-safe.
    pub async fn recv(&mut self) -> Option<Vec<Numbered<UpFrame>>> {
        self.batches.recv().await
    }
}

impl LinkState {
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

impl Drop for LinkState {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.leave();
    }
}

fn within(what: &'static str, bytes: usize, limit: usize) -> Result<(), SendError> {
    if bytes > limit { Err(SendError::TooLarge { what, bytes, limit }) } else { Ok(()) }
}
