use std::sync::Arc;
use std::time::Duration;

use link_transport::{TransportError, next, send};
use sandbox_link::codec::{DecodeError, MAX_MESSAGE};
use sandbox_link::frame::{Down, Hello, Up};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, accept_async_with_config};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::gate::Gate;
use super::stream::{GatewayStream, LinkStream};
use super::streams::Streams;

/// The maximum time until a connection has sent its Hello. sandbox-init needs less than a millisecond.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// The maximum number of connections of one sandbox that have not shown a secret yet. The agent can open any number of
/// connections; it can only occupy these.
const MAX_HANDSHAKES: usize = 8;

/// The maximum number of gateway streams: the same as in sandbox-init, so that the agent gains nothing by connecting to
/// the socket directly.
const MAX_GATEWAY_STREAMS: usize = 256;

/// The size of the read buffer. The library's default of 128 KiB would be the larger part of an idle sandbox's memory.
/// Longer messages use a separate buffer.
const READ_BUFFER_BYTES: usize = 16 * 1024;

pub(super) type Socket = WebSocketStream<LinkStream>;

/// A connection that has proved to come from sandbox-init.
pub(super) struct Connection {
    pub(super) socket: Socket,
    pub(super) hello: Hello,
}

/// Accepts the connections of one sandbox, from a socket or from TCP.
#[derive(Clone)]
pub(super) struct Endpoint {
    gate: Arc<Gate>,
    gateway: Arc<dyn GatewayStream>,
    streams: Arc<Streams>,
    connections: mpsc::Sender<Connection>,
    handshakes: Arc<Semaphore>,
    gateway_streams: Arc<Semaphore>,
    tracker: TaskTracker,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

#[derive(Debug, Error)]
pub(super) enum ConnectionError {
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error("no answer in time")]
    Timeout,
    #[error("could not decode a message: {0}")]
    Decode(#[from] DecodeError),
    #[error("an unexpected frame arrived")]
    OutOfPlace,
    #[error("refused: {0}")]
    Refused(String),
}

impl Endpoint {
    /// `tracker` belongs to the coordinator. `tasks` counts the tasks of this sandbox.
    pub(super) fn new(
        gate: Arc<Gate>,
        gateway: Arc<dyn GatewayStream>,
        streams: Arc<Streams>,
        tracker: TaskTracker,
        tasks: TaskTracker,
        cancel: CancellationToken,
    ) -> (Self, mpsc::Receiver<Connection>) {
        let (connections, receiver) = mpsc::channel(1);
        let endpoint = Self {
            gate,
            gateway,
            streams,
            connections,
            handshakes: Arc::new(Semaphore::new(MAX_HANDSHAKES)),
            gateway_streams: Arc::new(Semaphore::new(MAX_GATEWAY_STREAMS)),
            tracker,
            tasks,
            cancel,
        };
        (endpoint, receiver)
    }

    /// Runs a task until the link is closed.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let cancel = self.cancel.clone();
        let future = async move {
            cancel.run_until_cancelled_owned(future).await;
        };
        self.tasks.spawn(self.tracker.track_future(future));
    }

    /// Permits for connections to `agent.sock` that have not shown the secret yet.
    pub(super) fn handshakes(&self) -> &Arc<Semaphore> {
        &self.handshakes
    }

    /// Permits for connections to `gateway.sock`.
    pub(super) fn gateway_streams(&self) -> &Arc<Semaphore> {
        &self.gateway_streams
    }

    /// Serves a connection to `agent.sock`.
    pub(super) fn agent(&self, stream: LinkStream, place: OwnedSemaphorePermit) {
        let endpoint = self.clone();
        self.spawn(async move {
            let _place = place;
            match timeout(HANDSHAKE_TIMEOUT, shake_hands(stream, &endpoint.gate)).await {
                Ok(Ok(connection)) => {
                    // This fails only if the link has ended.
                    let _ = endpoint.connections.send(connection).await;
                }
                Ok(Err(error)) => tracing::warn!(%error, "a connection to a sandbox's link was rejected"),
                Err(_elapsed) => tracing::warn!("a connection to a sandbox's link sent no Hello in time"),
            }
        });
    }

    /// Serves a connection to `files.sock`.
    pub(super) fn files(&self, stream: LinkStream) {
        let streams = Arc::clone(&self.streams);
        self.spawn(async move { streams.arrived(stream).await });
    }

    /// Serves a connection to `gateway.sock`.
    pub(super) fn gateway(&self, stream: LinkStream, place: OwnedSemaphorePermit) {
        let serving = self.gateway.serve(stream);
        self.spawn(async move {
            let _place = place;
            serving.await;
        });
    }
}

async fn shake_hands(stream: LinkStream, gate: &Gate) -> Result<Connection, ConnectionError> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    let mut socket = accept_async_with_config(stream, Some(config)).await.map_err(TransportError::from)?;
    let first = next(&mut socket).await?;
    let refusal = match Up::decode(first) {
        Ok(mut frames) => match (frames.pop(), frames.is_empty()) {
            (Some(Up::Hello(hello)), true) => match gate.admit(&hello) {
                Ok(()) => return Ok(Connection { socket, hello }),
                Err(reason) => reason.to_owned(),
            },
            _ => return Err(ConnectionError::OutOfPlace),
        },
        Err(error @ DecodeError::Version(_)) => error.to_string(),
        Err(error) => return Err(error.into()),
    };
    Err(refuse(socket, refusal).await)
}

/// Sends the reason to the other end and closes the connection. Returns the corresponding error.
pub(super) async fn refuse(mut socket: Socket, reason: String) -> ConnectionError {
    let refused = send(&mut socket, Down::Refused { reason: reason.clone() }.to_message()).await;
    match refused {
        Ok(()) => ConnectionError::Refused(reason),
        Err(error) => error.into(),
    }
}
