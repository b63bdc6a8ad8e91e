use axum::Router;
use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{HEAD_TIMEOUT, MAX_HEAD_BYTES, MAX_HEADERS, connection};

const SHORT: Duration = Duration::from_millis(100);

/// A client's end of a connection.
fn connect(head_timeout: Duration, closing: &CancellationToken) -> (DuplexStream, TaskTracker) {
    let (client, server) = duplex(256 * 1024);
    let tracker = TaskTracker::new();
    let router = Router::new().route("/", get(|| async { "done" }));
    let closing = closing.clone();
    tracker.spawn(async move { connection(server, (None, None), router, head_timeout, closing).await });
    tracker.close();
    (client, tracker)
}

async fn rest(client: &mut DuplexStream) -> String {
    let mut text = Vec::new();
    let _ = client.read_to_end(&mut text).await;
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_head_that_trickles_is_cut() {
    let (mut client, tracker) = connect(SHORT, &CancellationToken::new());
    client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    // Far below the bound on a head's size, which would end it too.
    for _ in 0..MAX_HEADERS - 1 {
        if client.write_all(b"x-a: b\r\n").await.is_err() {
            break;
        }
        sleep(SHORT / 10).await;
    }
    assert_eq!(rest(&mut client).await, "");
    tracker.wait().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let (mut client, tracker) = connect(SHORT, &CancellationToken::new());
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    assert!(rest(&mut client).await.ends_with("done"));
    tracker.wait().await;
}

#[tokio::test]
async fn a_head_is_bounded() {
    let bombs = [
        "x-a: b\r\n".repeat(MAX_HEAD_BYTES / 8),
        format!("x-a: {}", "b".repeat(2 * MAX_HEAD_BYTES)),
        "x-a: b\r\n".repeat(200),
    ];
    for bomb in bombs {
        let (mut client, tracker) = connect(HEAD_TIMEOUT, &CancellationToken::new());
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").await.unwrap();
        let _ = client.write_all(bomb.as_bytes()).await;
        let answer = rest(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        tracker.wait().await;
    }
}

#[tokio::test]
async fn closing_ends_idle_connections_at_once() {
    let closing = CancellationToken::new();
    let (mut client, tracker) = connect(HEAD_TIMEOUT, &closing);
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 17];
    client.read_exact(&mut first).await.unwrap();
    closing.cancel();
    tracker.wait().await;
}
