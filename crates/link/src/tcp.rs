use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::directory::ACCEPT_PAUSE;
use super::error::LinkError;
use super::handle::{Link, LinkOutput, Place, ResumeState};
use super::server::{Endpoint, HANDSHAKE_TIMEOUT};
use super::stream::{GatewayStream, LinkStream};

/// The maximum number of connections that have not sent their first line yet. All sandboxes share them, so there are
/// many; each costs only a socket and a line.
const MAX_PREFACES: usize = 1024;

/// The maximum length of the first line: `gateway `, a token and a newline. Tokens are shorter.
const MAX_PREFACE: usize = 256;

type Routes = DashMap<[u8; 32], Endpoint>;

/// One port for the links of all sandboxes, for setups in which a socket cannot be shared. Each connection starts with
/// the line `agent TOKEN`, `gateway TOKEN` or `files TOKEN`; then it is the same as a connection to the socket of that name.
pub struct TcpLink {
    address: SocketAddr,
    /// Endpoints by SHA-256 of the token, so that the duration of a look-up reveals nothing about an unknown token.
    routes: Arc<Routes>,
    tracker: TaskTracker,
    cancel: CancellationToken,
}

/// The entry of a sandbox in the routes.
pub(super) struct Registration {
    routes: Arc<Routes>,
    key: [u8; 32],
}

impl TcpLink {
    /// Listens on `address`; port 0 chooses a free port.
    pub async fn listen(
        address: SocketAddr,
        tracker: TaskTracker,
        cancel: CancellationToken,
    ) -> Result<Self, LinkError> {
        let failed = |source| LinkError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let routes = Arc::new(Routes::new());
        let accepting = accept(listener, Arc::clone(&routes), tracker.clone(), cancel.clone());
        tracker.spawn(cancel.clone().run_until_cancelled_owned(accepting));
        Ok(Self { address, routes, tracker, cancel })
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the sandbox with this token: 256 random bits in at most 200 characters without white space.
    pub fn attach(
        &self,
        token: &str,
        resume: Option<ResumeState>,
        orphan_ttl: Duration,
        gateway: Arc<dyn GatewayStream>,
    ) -> Result<(Link, LinkOutput), LinkError> {
        let key = digest(token.as_bytes());
        let Entry::Vacant(entry) = self.routes.entry(key) else {
            return Err(LinkError::TokenTaken);
        };
        let cancel = self.cancel.child_token();
        Ok(Link::open(resume, orphan_ttl, gateway, self.tracker.clone(), cancel, |endpoint| {
            entry.insert(endpoint.clone());
            Place::Tcp(Registration { routes: Arc::clone(&self.routes), key })
        }))
    }
}

impl Registration {
    pub(super) fn remove(&self) {
        self.routes.remove(&self.key);
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registration")
    }
}

async fn accept(listener: TcpListener, routes: Arc<Routes>, tracker: TaskTracker, cancel: CancellationToken) {
    let places = Arc::new(Semaphore::new(MAX_PREFACES));
    loop {
        // The semaphore is never closed, so this does not fail.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let routes = Arc::clone(&routes);
                let routing = async move {
                    let _place = place;
                    if timeout(HANDSHAKE_TIMEOUT, route(stream, &routes)).await != Ok(Some(())) {
                        tracing::warn!("a connection to the sandboxes' port was rejected");
                    }
                };
                tracker.spawn(cancel.clone().run_until_cancelled_owned(routing));
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection of a sandbox");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Reads the first line and passes the rest to the sandbox's endpoint. Returns `None` if the token is unknown or the
/// endpoint has too many connections.
async fn route(mut stream: TcpStream, routes: &Routes) -> Option<()> {
    let mut line = Vec::new();
    loop {
        // Read byte by byte, so that nothing after the newline is consumed.
        match stream.read_u8().await.ok()? {
            b'\n' => break,
            _ if line.len() == MAX_PREFACE => return None,
            byte => line.push(byte),
        }
    }
    stream.set_nodelay(true).ok()?;
    let space = line.iter().position(|&byte| byte == b' ')?;
    let (kind, token) = (&line[..space], &line[space + 1..]);
    let endpoint = routes.get(&digest(token)).map(|endpoint| endpoint.clone())?;
    let stream = LinkStream::Tcp(stream);
    match kind {
        b"agent" => endpoint.agent(stream, Arc::clone(endpoint.handshakes()).try_acquire_owned().ok()?),
        b"files" => endpoint.files(stream),
        b"gateway" => endpoint.gateway(stream, Arc::clone(endpoint.gateway_streams()).try_acquire_owned().ok()?),
        _ => return None,
    }
    Some(())
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}
