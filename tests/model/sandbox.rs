//! A stand-in for `sandbox-init` that contains an [`Agent`]. Like the real one, it keeps the agent's output until it is
//! acknowledged, and reconnects with its secret after every cut.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use engine::{ContainerId, FakeEngine, Mount, Started};
use futures::{SinkExt, StreamExt};
use sandbox_link::PROTOCOL_VERSION;
use sandbox_link::codec::NumberedFrame as _;
use sandbox_link::frame::{
    Down, DownFrame, Exit, Hello, LinkSecret, MAX_PIECE, Numbered, Start, Up, UpFrame, WINDOW_BYTES,
};
use sandbox_link::window::{Acceptance, ReceiveWindow, SendWindow};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};
use tokio_util::task::TaskTracker;

use crate::agent::{Agent, Command, Say};
use crate::board::{Board, SandboxEntry};
use crate::files;

/// The interval at which it tries to connect and checks that its container still exists.
const PAUSE: Duration = Duration::from_millis(5);

const COMMANDS: usize = 64;

pub(crate) struct Sandbox {
    board: Arc<Board>,
    engine: FakeEngine,
    container: ContainerId,
    directory: PathBuf,
    workspace: String,
    home: String,
    /// The requests for files.
    files: TaskTracker,
    commands: mpsc::Receiver<Command>,
    agent: Option<Agent>,
    secret: Option<LinkSecret>,
    receive: ReceiveWindow,
    window: SendWindow<UpFrame>,
    stdin: Vec<u8>,
    dead: bool,
    away: bool,
    /// Ends once all output is acknowledged.
    leaves_when_acknowledged: bool,
}

/// The end of a connection.
enum Carried {
    /// The connection ended, or the test cut it.
    Cut,
    Dead,
}

impl Sandbox {
    /// Creates the sandbox of a starting container and checks the invariants of a start.
    pub(crate) fn of(started: Started, engine: FakeEngine, board: Arc<Board>) -> Self {
        let mut directory = PathBuf::new();
        let mut volumes = Vec::new();
        for mount in started.spec.mounts {
            match mount {
                Mount::Volume { name, .. } | Mount::ReadOnlyVolume { name, .. } => volumes.push(name),
                Mount::Directory { source, .. } => directory = source,
                Mount::File { .. } => {}
            }
        }
        let [workspace, home] = <[String; 2]>::try_from(volumes).unwrap();
        let (sender, commands) = mpsc::channel(COMMANDS);
        board.with(|state| {
            for (other, entry) in &state.sandboxes {
                // A container of a coordinator killed during the start is removed later, and never got a message.
                let works = state.given.iter().any(|given| given.container == *other);
                if entry.workspace == workspace && works && !entry.ended && engine.spec(other).is_some() {
                    state.violations.push(format!("{} was started beside {other} of the same session", started.id));
                }
            }
            let entry = SandboxEntry { workspace: workspace.clone(), commands: sender, away: false, ended: false };
            state.sandboxes.insert(started.id.clone(), entry);
        });
        Sandbox {
            board,
            engine,
            container: started.id,
            directory,
            workspace,
            home,
            files: TaskTracker::new(),
            commands,
            agent: None,
            secret: None,
            receive: ReceiveWindow::after_number(0),
            window: SendWindow::after_number(0, WINDOW_BYTES),
            stdin: Vec::new(),
            dead: false,
            away: false,
            leaves_when_acknowledged: false,
        }
    }

    pub(crate) async fn run(mut self) {
        while !self.is_dead() {
            if !self.away
                && let Some((socket, received)) = self.connect().await
            {
                match self.carry(socket, received).await {
                    Some(Carried::Dead) => break,
                    Some(Carried::Cut) | None => {}
                }
            }
            tokio::select! {
                Some(command) = self.commands.recv() => drop(self.command(&command)),
                () = tokio::time::sleep(PAUSE) => {}
            }
        }
        if let Some(mut agent) = self.agent.take() {
            agent.end();
        }
        self.board.with(|state| {
            if let Some(entry) = state.sandboxes.get_mut(&self.container) {
                entry.ended = true;
            }
        });
    }

    fn is_dead(&self) -> bool {
        self.dead || self.engine.spec(&self.container).is_none()
    }

    async fn connect(&mut self) -> Option<(WebSocketStream<UnixStream>, u64)> {
        let stream = UnixStream::connect(self.directory.join("agent.sock")).await.ok()?;
        let (mut socket, _) = client_async("ws://coordinator/agent", stream).await.ok()?;
        let hello = Hello {
            version: PROTOCOL_VERSION,
            secret: self.secret.clone(),
            last_received: self.receive.last(),
            running: self.agent.is_some(),
        };
        send(&mut socket, &[Up::Hello(hello)]).await?;
        let Some(Down::Welcome(welcome)) = next(&mut socket).await?.pop() else { return None };
        send(&mut socket, &[Up::Ack { upto: self.receive.last() }]).await?;
        self.secret = welcome.secret.or(self.secret.take());
        Some((socket, welcome.last_received))
    }

    /// Returns `None` when the connection breaks.
    async fn carry(&mut self, mut socket: WebSocketStream<UnixStream>, received: u64) -> Option<Carried> {
        let mut sent = received.max(self.window.first() - 1);
        let mut acknowledged = self.receive.last();
        let mut look = tokio::time::interval(PAUSE);
        loop {
            let mut batch = BytesMut::new();
            if acknowledged != self.receive.last() {
                acknowledged = self.receive.last();
                Up::Ack { upto: acknowledged }.encode(&mut batch);
            }
            for (seq, frame) in self.window.frames_after(sent).ok()? {
                frame.encode(seq, &mut batch);
                sent = seq;
            }
            if !batch.is_empty() {
                socket.send(Message::Binary(batch.freeze())).await.ok()?;
            }
            tokio::select! {
                frames = next(&mut socket) => {
                    for frame in frames? {
                        self.take(frame);
                    }
                    if self.leaves_when_acknowledged && self.window.is_empty() {
                        self.leaves_when_acknowledged = false;
                        self.set_away(true);
                        return Some(Carried::Cut);
                    }
                }
                Some(command) = self.commands.recv() => if let Some(carried) = self.command(&command) {
                    return Some(carried);
                },
                _ = look.tick() => if self.is_dead() {
                    return Some(Carried::Dead);
                },
            }
        }
    }

    fn command(&mut self, command: &Command) -> Option<Carried> {
        let says = self.agent.as_mut().map(|agent| agent.command(command)).unwrap_or_default();
        self.say(says);
        match command {
            Command::Die => {
                self.dead = true;
                Some(Carried::Dead)
            }
            Command::Return => {
                self.set_away(false);
                None
            }
            Command::Cut => Some(Carried::Cut),
            Command::FinishAndLeave => {
                self.leaves_when_acknowledged = true;
                None
            }
            Command::Finish | Command::Exit(_) | Command::Garbage => None,
        }
    }

    fn set_away(&mut self, away: bool) {
        self.away = away;
        self.board.with(|state| {
            if let Some(entry) = state.sandboxes.get_mut(&self.container) {
                entry.away = away;
            }
        });
    }

    fn take(&mut self, frame: Down) {
        match frame {
            Down::Ack { upto } => self.window.acknowledge(upto).unwrap(),
            Down::Command(_) if self.leaves_when_acknowledged => {}
            Down::Command(Numbered { seq, frame }) => match self.receive.accept(seq) {
                Acceptance::Deliver => self.handle(frame),
                Acceptance::Duplicate => {}
                Acceptance::Gap { expected } => {
                    let said = format!("command {seq} came where {expected} was next");
                    self.board.with(|state| state.violations.push(said));
                }
            },
            Down::Open { ticket } => {
                let socket = self.directory.join("files.sock");
                self.files.spawn(files::serve(socket, ticket, self.engine.clone(), self.container.clone()));
            }
            Down::Welcome(_) | Down::Refused { .. } => {}
        }
    }

    fn handle(&mut self, frame: DownFrame) {
        match frame {
            DownFrame::Start(start) => self.start(&start),
            DownFrame::Stdin { piece, ends_line } => {
                self.stdin.extend_from_slice(&piece);
                if ends_line {
                    let line = std::mem::take(&mut self.stdin);
                    let line = std::str::from_utf8(&line).unwrap().trim();
                    let says = self.agent.as_mut().map(|agent| agent.on_line(line)).unwrap_or_default();
                    self.say(says);
                }
            }
            DownFrame::CloseStdin | DownFrame::Signal { .. } => {}
        }
    }

    fn start(&mut self, start: &Start) {
        if self.agent.is_some() {
            self.window.push(UpFrame::StartFailed { message: "another program is running".to_owned() });
            return;
        }
        if start.program != "claude" {
            // The coordinator looks for damage in the agent's home, and there is none.
            self.window.push(UpFrame::Started { pid: 2 });
            self.window.push(UpFrame::Exited(Exit { code: Some(0), signal: None, oom_kills: 0 }));
            return;
        }
        if self.engine.read_file(&self.workspace, "AGENTS.md").is_none() {
            let said = format!("the agent of {} was started on a workspace without its template", self.container);
            self.board.with(|state| state.violations.push(said));
        }
        let (board, engine) = (Arc::clone(&self.board), self.engine.clone());
        let (agent, says) = Agent::start(start, board, engine, self.container.clone(), self.home.clone());
        self.window.push(UpFrame::Started { pid: 2 });
        self.agent = Some(agent);
        self.say(says);
    }

    fn say(&mut self, says: Vec<Say>) {
        for say in says {
            match say {
                Say::Line(line) => self.print(line.to_string().as_bytes()),
                Say::Garbage => self.print(b"this is no stream-json"),
                Say::Exit(code) => {
                    if let Some(mut agent) = self.agent.take() {
                        agent.end();
                        self.window.push(UpFrame::Exited(Exit { code: Some(code), signal: None, oom_kills: 0 }));
                    }
                }
            }
        }
    }

    fn print(&mut self, line: &[u8]) {
        assert!(line.len() <= MAX_PIECE);
        self.window.push(UpFrame::Stdout { piece: Bytes::copy_from_slice(line), ends_line: true });
    }
}

async fn send(socket: &mut WebSocketStream<UnixStream>, frames: &[Up]) -> Option<()> {
    let mut batch = BytesMut::new();
    for frame in frames {
        frame.encode(&mut batch);
    }
    socket.send(Message::Binary(batch.freeze())).await.ok()
}

/// Returns `None` when the connection ends. Cancel-safe.
async fn next(socket: &mut WebSocketStream<UnixStream>) -> Option<Vec<Down>> {
    loop {
        match socket.next().await? {
            Ok(Message::Binary(bytes)) => return Down::decode(bytes).ok(),
            Ok(Message::Ping(_) | Message::Pong(_)) => {}
            Ok(_) | Err(_) => return None,
        }
    }
}
