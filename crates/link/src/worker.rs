use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use failpoint::failpoint;
use futures::StreamExt;
use futures::stream::{SplitSink, SplitStream};
use link_transport::{Outbox, next, send};
use sandbox_link::files::Ticket;
use sandbox_link::frame::{Down, DownFrame, Numbered, Up, UpFrame, Welcome};
use sandbox_link::window::{Acceptance, ReceiveWindow, WindowError};
use thiserror::Error;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::gate::Gate;
use super::pieces::pieces;
use super::server::{Connection, ConnectionError, HANDSHAKE_TIMEOUT, Socket, refuse};
use super::stream::GatewayStream;
use super::streams::Streams;

/// Owns the state of one link and carries it over one connection after another.
pub(super) struct Worker {
    pub(super) gate: Arc<Gate>,
    pub(super) gateway: Arc<dyn GatewayStream>,
    pub(super) orphan_ttl: Duration,
    /// `None` until a resumed link knows where its numbers continue.
    pub(super) outbox: Option<Outbox<DownFrame>>,
    pub(super) receive: ReceiveWindow,
    pub(super) commands: mpsc::Receiver<DownFrame>,
    pub(super) signals: mpsc::Receiver<DownFrame>,
    pub(super) tickets: mpsc::Receiver<Ticket>,
    pub(super) streams: Arc<Streams>,
    pub(super) acknowledged: watch::Receiver<u64>,
    pub(super) connected: watch::Sender<bool>,
    pub(super) output: mpsc::Sender<Vec<Numbered<UpFrame>>>,
}

/// The reason why a connection ended.
#[derive(Debug, Error)]
enum End {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("both ends disagree about the frames sent: {0}")]
    Window(#[from] WindowError),
    /// Frames are lost permanently. Another connection would not help.
    #[error("output frame {expected} is missing; frame {seq} arrived")]
    Gap { expected: u64, seq: u64 },
    #[error("nothing reads the output any more")]
    Unused,
}

impl Worker {
    /// Serves until the link is dropped or cannot continue. A new connection replaces the current one: sandbox-init has
    /// only one, so the old one is dead even if that was not noticed here.
    pub(super) async fn run(mut self, mut connections: mpsc::Receiver<Connection>) {
        let mut waiting = None;
        loop {
            let next = match waiting.take() {
                Some(connection) => Some(connection),
                None => connections.recv().await,
            };
            let Some(connection) = next else { return };
            let end = tokio::select! {
                biased;
                newer = connections.recv() => {
                    waiting = newer;
                    None
                }
                end = self.serve(connection) => Some(end),
            };
            self.connected.send_replace(false);
            match end {
                Some(end @ End::Gap { .. }) => {
                    tracing::error!(error = %end, "a sandbox's link cannot continue");
                    return;
                }
                Some(End::Unused) => return,
                Some(end @ (End::Connection(_) | End::Window(_))) => {
                    tracing::debug!(reason = %end, "a sandbox's connection ended");
                }
                None => tracing::debug!("a sandbox's connection was replaced"),
            }
        }
    }

    async fn serve(&mut self, connection: Connection) -> End {
        match self.try_serve(connection).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn try_serve(&mut self, connection: Connection) -> Result<std::convert::Infallible, End> {
        let Connection { mut socket, hello } = connection;
        let outbox = &*self.outbox.get_or_insert_with(|| Outbox::after_number(hello.last_received));
        if let Err(error) = outbox.can_resume(hello.last_received) {
            return Err(refuse(socket, error.to_string()).await.into());
        }
        let welcome = Down::Welcome(Welcome {
            secret: hello.secret.is_none().then(|| self.gate.secret().clone()),
            last_received: self.receive.last(),
            orphan_ttl_ms: u64::try_from(self.orphan_ttl.as_millis()).unwrap_or(u64::MAX),
        });
        send(&mut socket, welcome.to_message()).await.map_err(ConnectionError::from)?;
        let answer = timeout(HANDSHAKE_TIMEOUT, next(&mut socket)).await.map_err(|_| ConnectionError::Timeout)?;
        let answer = answer.map_err(ConnectionError::from)?;
        match Up::decode(answer).map_err(ConnectionError::from)?.as_slice() {
            [Up::Ack { upto }] => outbox.acknowledge(*upto)?,
            _ => return Err(ConnectionError::OutOfPlace.into()),
        }
        self.gate.confirm();
        if hello.secret.is_some() {
            self.gateway.reconnected();
        }
        self.streams.set_version(hello.version);
        self.connected.send_replace(true);

        let (sink, stream) = socket.split();
        let sources = Sources {
            commands: &mut self.commands,
            signals: &mut self.signals,
            tickets: &mut self.tickets,
            acknowledged: &mut self.acknowledged,
        };
        // The directions are independent: commands are sent even while the consumer takes no output.
        tokio::select! {
            result = read(stream, &mut self.receive, outbox, &self.output) => result,
            result = write(sink, hello.last_received, outbox, sources) => result,
        }
    }
}

/// The sources of frames for the sandbox.
struct Sources<'a> {
    commands: &'a mut mpsc::Receiver<DownFrame>,
    signals: &'a mut mpsc::Receiver<DownFrame>,
    tickets: &'a mut mpsc::Receiver<Ticket>,
    acknowledged: &'a mut watch::Receiver<u64>,
}

async fn read(
    mut stream: SplitStream<Socket>,
    receive: &mut ReceiveWindow,
    outbox: &Outbox<DownFrame>,
    output: &mpsc::Sender<Vec<Numbered<UpFrame>>>,
) -> Result<std::convert::Infallible, End> {
    loop {
        // Reserve the slot in the channel first. Nothing is read that cannot be passed on (this is the back-pressure),
        // and an accepted frame is not lost when this future is dropped.
        let place = output.reserve().await.map_err(|_| End::Unused)?;
        let mut accepted = Vec::new();
        while accepted.is_empty() {
            let message = next(&mut stream).await.map_err(ConnectionError::from)?;
            let frames = Up::decode(message).map_err(ConnectionError::from)?;
            accepted.reserve(frames.len());
            let mut end = None;
            for frame in frames {
                match take(frame, receive, outbox) {
                    Ok(Some(frame)) => accepted.push(frame),
                    Ok(None) => {}
                    Err(error) => {
                        end = Some(error);
                        break;
                    }
                }
            }
            if let Some(end) = end {
                if !accepted.is_empty() {
                    place.send(accepted);
                }
                return Err(end);
            }
        }
        place.send(accepted);
    }
}

fn take(frame: Up, receive: &mut ReceiveWindow, outbox: &Outbox<DownFrame>) -> Result<Option<Numbered<UpFrame>>, End> {
    match frame {
        Up::Output(frame) => match receive.accept(frame.seq) {
            Acceptance::Deliver => Ok(Some(frame)),
            Acceptance::Duplicate => Ok(None),
            Acceptance::Gap { expected } => Err(End::Gap { expected, seq: frame.seq }),
        },
        Up::Ack { upto } => {
            outbox.acknowledge(upto)?;
            failpoint!("link.acknowledged");
            Ok(None)
        }
        Up::Hello(_) => Err(ConnectionError::OutOfPlace.into()),
    }
}

async fn write(
    mut sink: SplitSink<Socket, Message>,
    mut sent: u64,
    outbox: &Outbox<DownFrame>,
    sources: Sources<'_>,
) -> Result<std::convert::Infallible, End> {
    let mut batch = BytesMut::new();
    let mut sent_acknowledgement = 0;
    loop {
        let acknowledged = *sources.acknowledged.borrow_and_update();
        if acknowledged != sent_acknowledgement {
            Down::Ack { upto: acknowledged }.encode(&mut batch);
            sent_acknowledgement = acknowledged;
        }
        sent = outbox.fill(sent, &mut batch)?;
        if !batch.is_empty() {
            send(&mut sink, batch.split().freeze()).await.map_err(ConnectionError::from)?;
            failpoint!("link.sent");
            continue;
        }
        let has_room = outbox.has_room();
        tokio::select! {
            biased;
            changed = sources.acknowledged.changed() => changed.map_err(|_| End::Unused)?,
            Some(command) = sources.commands.recv(), if has_room => outbox.push(pieces(command)),
            Some(ticket) = sources.tickets.recv() => Down::Open { ticket }.encode(&mut batch),
            Some(signal) = sources.signals.recv() => outbox.push(pieces(signal)),
            () = outbox.room(), if !has_room => {}
        }
    }
}
