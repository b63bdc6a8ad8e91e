use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use futures::StreamExt;
use futures::stream::{SplitSink, SplitStream};
use link_transport::{Outbox, TransportError, next, send};
use sandbox_link::PROTOCOL_VERSION;
use sandbox_link::codec::{DecodeError, MAX_MESSAGE};
use sandbox_link::frame::{Down, DownFrame, Hello, LinkSecret, Numbered, Up, UpFrame, Welcome};
use sandbox_link::window::{Acceptance, ReceiveWindow, WindowError};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::address::{Address, Endpoint, Stream};
use crate::files::FileThreads;
use crate::inbox::Inbox;
use crate::settings::LONGEST_ORPHAN_TTL;

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The maximum time until the coordinator answers a Hello. The kernel accepts connections to a socket that nobody
/// serves.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The link. It reconnects as often as necessary.
pub(crate) struct Connection {
    pub(crate) address: Arc<Address>,
    pub(crate) outbox: Arc<Outbox<UpFrame>>,
    pub(crate) inbox: Arc<Inbox>,
    /// True while a program runs. It goes into the Hello.
    pub(crate) running: Arc<AtomicBool>,
    pub(crate) commands: mpsc::Sender<Vec<Numbered<DownFrame>>>,
    pub(crate) files: FileThreads,
    pub(crate) receive: ReceiveWindow,
    pub(crate) secret: Option<LinkSecret>,
    pub(crate) orphan_ttl: Duration,
}

/// The reason why sandbox-init stops waiting for a coordinator.
#[derive(Debug)]
pub(crate) enum Orphaned {
    NeverWelcomed(ConnectionError),
    LeftAlone,
}

#[derive(Debug, Error)]
pub(crate) enum ConnectionError {
    #[error("could not connect to the coordinator: {0}")]
    Connect(#[source] std::io::Error),
    #[error("the coordinator did not answer in time")]
    Timeout,
    #[error("the coordinator refused the connection: {0}")]
    Refused(String),
    #[error("the connection to the coordinator ended: {0}")]
    Transport(#[from] TransportError),
    #[error("could not decode a message of the coordinator: {0}")]
    Decode(#[from] DecodeError),
    #[error("the coordinator and this sandbox disagree about the frames sent: {0}")]
    Window(#[from] WindowError),
    #[error("the coordinator skipped command {0}")]
    Gap(u64),
    #[error("the coordinator sent an unexpected frame")]
    OutOfPlace,
    #[error("sandbox-init is shutting down")]
    Ending,
}

type Socket = WebSocketStream<Stream>;

impl Connection {
    /// Reconnects until no coordinator has answered for `orphan_ttl`.
    pub(crate) async fn run(mut self) -> Orphaned {
        let mut alone_since = Instant::now();
        let mut pause = FIRST_PAUSE;
        loop {
            let until = alone_since + self.orphan_ttl;
            let error = match timeout_at(until, self.establish()).await {
                Ok(Ok((socket, welcome))) => {
                    let error = self.carry(socket, welcome.last_received).await;
                    alone_since = Instant::now();
                    pause = FIRST_PAUSE;
                    error
                }
                Ok(Err(error)) => error,
                Err(_elapsed) => ConnectionError::Timeout,
            };
            let left = (alone_since + self.orphan_ttl).saturating_duration_since(Instant::now());
            if left.is_zero() {
                return if self.secret.is_none() { Orphaned::NeverWelcomed(error) } else { Orphaned::LeftAlone };
            }
            sleep(pause.min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn establish(&mut self) -> Result<(Socket, Welcome), ConnectionError> {
        let stream = self.address.connect(Endpoint::Agent).await.map_err(ConnectionError::Connect)?;
        timeout(HANDSHAKE_TIMEOUT, self.shake_hands(stream)).await.map_err(|_| ConnectionError::Timeout)?
    }

    async fn shake_hands(&mut self, stream: Stream) -> Result<(Socket, Welcome), ConnectionError> {
        let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
        let (mut socket, _) = client_async_with_config("ws://coordinator/agent", stream, Some(config))
            .await
            .map_err(TransportError::from)?;
        let hello = Up::Hello(Hello {
            version: PROTOCOL_VERSION,
            secret: self.secret.clone(),
            last_received: self.receive.last(),
            running: self.running.load(Ordering::Relaxed),
        });
        send(&mut socket, hello.to_message()).await?;
        let mut answer = Down::decode(next(&mut socket).await?)?;
        let welcome = match (answer.pop(), answer.is_empty()) {
            (Some(Down::Welcome(welcome)), true) => welcome,
            (Some(Down::Refused { reason }), true) => return Err(ConnectionError::Refused(reason)),
            _ => return Err(ConnectionError::OutOfPlace),
        };
        // Confirms that the secret has arrived. Only then does the coordinator send commands that may start the agent.
        send(&mut socket, Up::Ack { upto: self.inbox.finished() }.to_message()).await?;
        if let Some(secret) = &welcome.secret {
            self.secret = Some(secret.clone());
        }
        self.orphan_ttl = Duration::from_millis(welcome.orphan_ttl_ms).min(LONGEST_ORPHAN_TTL);
        Ok((socket, welcome))
    }

    /// Carries frames in both directions until the connection ends. The directions are independent: a coordinator that
    /// does not read can still send a signal.
    async fn carry(&mut self, socket: Socket, received: u64) -> ConnectionError {
        let (sink, stream) = socket.split();
        let outbox = &*self.outbox;
        let sent = outbox.resume(received);
        let result = tokio::select! {
            result = read(stream, &mut self.receive, outbox, &self.commands, &self.files) => result,
            result = write(sink, sent, outbox, &self.inbox) => result,
        };
        result.err().unwrap_or(TransportError::Closed.into())
    }
}

async fn read(
    mut stream: SplitStream<Socket>,
    receive: &mut ReceiveWindow,
    outbox: &Outbox<UpFrame>,
    commands: &mpsc::Sender<Vec<Numbered<DownFrame>>>,
    files: &FileThreads,
) -> Result<(), ConnectionError> {
    loop {
        // Reserve the slot in the channel first, because an accepted frame must not be lost when this future is
        // dropped.
        let permit = commands.reserve().await.map_err(|_| ConnectionError::Ending)?;
        let mut accepted = Vec::new();
        for frame in Down::decode(next(&mut stream).await?)? {
            match frame {
                Down::Ack { upto } => outbox.acknowledge(upto)?,
                Down::Open { ticket } => files.open(ticket),
                Down::Command(command) => match receive.accept(command.seq) {
                    Acceptance::Deliver => accepted.push(command),
                    Acceptance::Duplicate => {}
                    Acceptance::Gap { expected } => {
                        permit.send(accepted);
                        return Err(ConnectionError::Gap(expected));
                    }
                },
                Down::Welcome(_) | Down::Refused { .. } => {
                    permit.send(accepted);
                    return Err(ConnectionError::OutOfPlace);
                }
            }
        }
        permit.send(accepted);
    }
}

async fn write(
    mut sink: SplitSink<Socket, Message>,
    mut sent: u64,
    outbox: &Outbox<UpFrame>,
    inbox: &Inbox,
) -> Result<(), ConnectionError> {
    let mut batch = BytesMut::new();
    let mut acknowledged = 0;
    loop {
        let finished = inbox.finished();
        if finished != acknowledged {
            Up::Ack { upto: finished }.encode(&mut batch);
            acknowledged = finished;
        }
        sent = outbox.fill(sent, &mut batch)?;
        if batch.is_empty() {
            tokio::select! {
                () = outbox.pushed() => {}
                () = inbox.progressed() => {}
            }
        } else {
            send(&mut sink, batch.split().freeze()).await?;
        }
    }
}
