//! A bare tokio-tungstenite server that sends the same bytes. It has no sessions, no store and no HTTP.

use std::time::Duration;

use futures::SinkExt as _;
use futures::future::join_all;
use tokio::net::TcpListener;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_util::task::TaskTracker;

/// The number of events that our own server sends at once.
const BATCH: usize = 256;

/// Prints its address, waits for all connections, sends each line of the file to each of them, and ends.
pub(crate) async fn serve(file: &str, connections: usize) {
    let text = std::fs::read_to_string(file).unwrap();
    let messages: Vec<Utf8Bytes> = text.lines().map(Utf8Bytes::from).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    let mut sockets = Vec::new();
    for _ in 0..connections {
        sockets.push(accept_async(listener.accept().await.unwrap().0).await.unwrap());
    }
    let tracker = TaskTracker::new();
    let senders = sockets.into_iter().map(|mut socket| {
        let messages = messages.clone();
        tracker.spawn(async move {
            for batch in messages.chunks(BATCH) {
                for message in batch {
                    socket.feed(Message::Text(message.clone())).await.unwrap();
                }
                socket.flush().await.unwrap();
            }
            socket
        })
    });
    let sockets = join_all(senders.collect::<Vec<_>>()).await;
    // The reader reads the remaining bytes, then kills this process.
    tokio::time::sleep(Duration::from_mins(5)).await;
    drop(sockets);
}
