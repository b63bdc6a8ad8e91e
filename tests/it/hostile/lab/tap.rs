//! Forwards bytes between the server and the scripted model, and reads them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

/// The attacker's own key. No request to the model may contain it.
pub(in crate::hostile) const ATTACKERS_KEY: &str = "sk-ant-attackers-own-0123456789";

/// The possible beginnings of requests to the model.
const REQUESTS: [&str; 3] = [
    "POST /v1/messages?beta=true HTTP/1.1",
    "POST /v1/messages HTTP/1.1",
    "POST /v1/messages/count_tokens?beta=true HTTP/1.1",
];

pub(in crate::hostile) struct Tap {
    address: SocketAddr,
    model: Arc<OnceLock<SocketAddr>>,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tap {
    pub(super) async fn open() -> Tap {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (model, seen) = (Arc::new(OnceLock::new()), Arc::new(Mutex::new(Vec::new())));
        TaskTracker::new().spawn(accept(listener, Arc::clone(&model), Arc::clone(&seen)));
        Tap { address, model, seen }
    }

    pub(in crate::hostile) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Sets the address to which bytes are forwarded.
    pub(in crate::hostile) fn set_model(&self, url: &str) {
        self.model.set(url.strip_prefix("http://").unwrap().parse().unwrap()).unwrap();
    }

    /// Returns the number of requests with the attacker's key, and of requests that are not the CLI's.
    pub(in crate::hostile) fn hits(&self) -> u64 {
        self.seen.lock().unwrap().iter().map(|bytes| hits_in(bytes)).sum()
    }
}

fn hits_in(bytes: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(bytes);
    // A request follows the previous body without a line break. A body is one line that ends in a brace.
    let requests = text.lines().filter(|line| line.ends_with(" HTTP/1.1")).filter_map(|line| line.rsplit('}').next());
    let odd = requests.filter(|request| !REQUESTS.contains(request)).count();
    (text.matches(ATTACKERS_KEY).count() + odd) as u64
}

async fn accept(listener: TcpListener, model: Arc<OnceLock<SocketAddr>>, seen: Arc<Mutex<Vec<Vec<u8>>>>) {
    let tracker = TaskTracker::new();
    while let Ok((client, _)) = listener.accept().await {
        let place = {
            let mut seen = seen.lock().unwrap();
            seen.push(Vec::new());
            seen.len() - 1
        };
        tracker.spawn(pass(client, model.get().copied(), Arc::clone(&seen), place));
    }
}

async fn pass(client: TcpStream, model: Option<SocketAddr>, seen: Arc<Mutex<Vec<Vec<u8>>>>, place: usize) {
    let (mut from_client, mut to_client) = client.into_split();
    let upstream = match model {
        Some(model) => Some(TcpStream::connect(model).await.unwrap().into_split()),
        None => None,
    };
    let (from_model, mut to_model) = upstream.unzip();
    let tracker = TaskTracker::new();
    if let Some(mut from_model) = from_model {
        tracker.spawn(async move { drop(tokio::io::copy(&mut from_model, &mut to_client).await) });
    }
    let mut buffer = vec![0; 64 << 10];
    while let Ok(bytes @ 1..) = from_client.read(&mut buffer).await {
        if let Some(seen) = seen.lock().unwrap().get_mut(place) {
            seen.extend_from_slice(&buffer[..bytes]);
        }
        if let Some(to_model) = &mut to_model
            && to_model.write_all(&buffer[..bytes]).await.is_err()
        {
            return;
        }
    }
}
