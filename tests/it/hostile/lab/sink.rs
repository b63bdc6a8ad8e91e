//! Listens on every address, on the ports that an attacker would try.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio_util::task::TaskTracker;

use super::ALLOWED;

/// UDP port 53 belongs to the name server, which counts invalid packets.
pub(in crate::hostile) const TCP_PORTS: [u16; 15] =
    [21, 22, 23, 25, 53, 80, 443, 1080, 2375, 2376, 3128, 8000, 8080, 8443, 9418];
pub(in crate::hostile) const UDP_PORTS: [u16; 6] = [69, 123, 443, 514, 5353, 8080];

pub(in crate::hostile) struct Sink {
    hits: Arc<AtomicU64>,
    /// Connections to the allowed host.
    allowed: Arc<AtomicU64>,
}

impl Sink {
    pub(super) async fn open() -> Sink {
        let (hits, allowed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let tracker = TaskTracker::new();
        for port in TCP_PORTS {
            // The listener accepts both address families.
            let listener = TcpListener::bind(format!("[::]:{port}")).await.unwrap();
            tracker.spawn(accept(listener, Arc::clone(&hits), Arc::clone(&allowed)));
        }
        for port in UDP_PORTS {
            let socket = UdpSocket::bind(format!("[::]:{port}")).await.unwrap();
            tracker.spawn(receive(socket, Arc::clone(&hits)));
        }
        Sink { hits, allowed }
    }

    /// Counts each connection, packet and byte.
    pub(in crate::hostile) fn hits(&self) -> u64 {
        self.hits.load(Ordering::SeqCst)
    }

    pub(in crate::hostile) fn allowed(&self) -> u64 {
        self.allowed.load(Ordering::SeqCst)
    }
}

async fn accept(listener: TcpListener, hits: Arc<AtomicU64>, allowed: Arc<AtomicU64>) {
    let tracker = TaskTracker::new();
    while let Ok((stream, _)) = listener.accept().await {
        let local = stream.local_addr().unwrap();
        if SocketAddr::new(local.ip().to_canonical(), local.port()).to_string() == ALLOWED {
            allowed.fetch_add(1, Ordering::SeqCst);
            tracker.spawn(serve(stream, "ALLOWED", None));
        } else {
            hits.fetch_add(1, Ordering::SeqCst);
            tracker.spawn(serve(stream, "SINK", Some(Arc::clone(&hits))));
        }
    }
}

/// Answers every request: `/to/URL` with a redirect to `http://URL`, any other with a word.
async fn serve(mut stream: TcpStream, word: &'static str, hits: Option<Arc<AtomicU64>>) {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(bytes @ 1..) = stream.read(&mut buffer).await {
        if let Some(hits) = &hits {
            hits.fetch_add(bytes as u64, Ordering::SeqCst);
        }
        let text = String::from_utf8_lossy(&buffer[..bytes]).into_owned();
        let asked = text.split_once(" /to/").and_then(|(_, rest)| rest.split_whitespace().next());
        let answer = match asked {
            Some(url) => format!("HTTP/1.1 302 Found\r\nlocation: {url}\r\ncontent-length: 0\r\n\r\n"),
            None => format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{word}", word.len()),
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn receive(socket: UdpSocket, hits: Arc<AtomicU64>) {
    let mut buffer = [0; 2048];
    while let Ok((bytes, _)) = socket.recv_from(&mut buffer).await {
        hits.fetch_add(1 + bytes as u64, Ordering::SeqCst);
    }
}
