use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use futures::StreamExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::{Duration, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{MAX_HEAD_BYTES, MAX_HEADERS, PATIENCE, Patience, Places, Server, linger};

const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_hours(1);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

/// Opens a client's end of a connection. The client's first bytes arrive before the server's time starts, so that a busy machine
/// does not make the client slow. If a test sleeps, it may sleep longer as well.
async fn connect(patience: Patience, first: &[u8], closing: &CancellationToken) -> (DuplexStream, TaskTracker) {
    let (mut client, server) = duplex(256 * 1024);
    client.write_all(first).await.unwrap();
    let tracker = TaskTracker::new();
    let slow = || async {
        let pieces = futures::stream::iter(["not ", "yet ", "done"]).then(|piece| async move {
            sleep(2 * SHORT).await;
            Ok::<_, std::convert::Infallible>(piece)
        });
        axum::body::Body::from_stream(pieces)
    };
    let router = Router::new()
        .route("/", get(|| async { "done" }))
        .route("/slow", get(slow))
        .route("/large", get(|| async { vec![0; 1024 * 1024] }));
    let peer: SocketAddr = "192.0.2.1:5000".parse().unwrap();
    let places = Places::new();
    let place = places.enter(places.room().await.unwrap(), peer.ip(), false).unwrap();
    let listener = Server {
        router,
        needs_keys: Arc::new(|| true),
        proxies: Arc::default(),
        places,
        closing: closing.clone(),
        patience,
    };
    tracker.spawn(listener.requests(server, place, peer, None));
    tracker.close();
    (client, tracker)
}

async fn rest(client: &mut DuplexStream) -> String {
    let mut text = Vec::new();
    let _ = client.read_to_end(&mut text).await;
    String::from_utf8(text).unwrap()
}

/// Reads a response up to its end, on a connection that stays open.
async fn answer(client: &mut DuplexStream) -> String {
    let mut text = String::new();
    while !text.contains("done") {
        let mut piece = [0; 1024];
        let read = client.read(&mut piece).await.unwrap();
        assert!(read > 0, "closed after {text:?}");
        text.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    text
}

#[tokio::test]
async fn a_connection_without_a_request_is_closed() {
    let (mut client, tracker) =
        connect(Patience { head: SHORT, idle: LONG, ..PATIENCE }, b"", &CancellationToken::new()).await;
    assert_eq!(rest(&mut client).await, "");
    tracker.wait().await;
}

#[tokio::test]
async fn a_connection_that_shows_no_key_is_closed_after_its_answer() {
    let patience = Patience { stranger: SHORT, head: LONG, idle: LONG, ..PATIENCE };
    let slow = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n";
    let (mut client, tracker) = connect(patience, slow, &CancellationToken::new()).await;
    assert!(rest(&mut client).await.contains("done"), "the answer that was on its way is cut");
    tracker.wait().await;
}

#[tokio::test]
async fn a_connection_may_rest_between_requests_for_longer_than_a_head_may_take() {
    let (mut client, tracker) =
        connect(Patience { head: SHORT, idle: LONG, ..PATIENCE }, REQUEST, &CancellationToken::new()).await;
    for _ in 0..3 {
        let text = answer(&mut client).await;
        assert!(text.contains("content-length: 4"), "{text}");
        sleep(2 * SHORT).await;
        client.write_all(REQUEST).await.unwrap();
    }
    drop(client);
    tracker.wait().await;
}

#[tokio::test]
async fn a_later_head_that_trickles_is_cut() {
    let (mut client, tracker) =
        connect(Patience { head: SHORT, idle: LONG, ..PATIENCE }, REQUEST, &CancellationToken::new()).await;
    answer(&mut client).await;
    client.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    assert_eq!(rest(&mut client).await, "");
    tracker.wait().await;
}

/// A handler, and a stream, may take longer than a head.
#[tokio::test]
async fn an_answer_has_its_own_time() {
    let (mut client, tracker) = connect(
        Patience { head: SHORT, idle: LONG, ..PATIENCE },
        b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n",
        &CancellationToken::new(),
    )
    .await;
    answer(&mut client).await;
    drop(client);
    tracker.wait().await;
}

#[tokio::test]
async fn a_head_that_trickles_is_cut() {
    let (mut client, tracker) =
        connect(Patience { head: SHORT, idle: LONG, ..PATIENCE }, b"GET / HTTP/1.1\r\n", &CancellationToken::new())
            .await;
    // The number is far below the bound on a head's size, which would end it too.
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
    let (mut client, tracker) =
        connect(Patience { head: LONG, idle: SHORT, ..PATIENCE }, REQUEST, &CancellationToken::new()).await;
    assert!(rest(&mut client).await.ends_with("done"));
    tracker.wait().await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_of_its_answer_is_disconnected() {
    let large = b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n";
    let (mut client, tracker) = connect(Patience { stall: SHORT, ..PATIENCE }, large, &CancellationToken::new()).await;
    tracker.wait().await;
    let mut read = Vec::new();
    let _ = client.read_to_end(&mut read).await;
    assert!(read.len() < 1024 * 1024, "the answer was sent");
}

/// Pauses that are shorter than the limit add up to more than it.
#[tokio::test]
async fn a_client_that_reads_slowly_gets_its_whole_answer() {
    let large = b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let patience = Patience { stall: 20 * SHORT, ..PATIENCE };
    let (mut client, tracker) = connect(patience, large, &CancellationToken::new()).await;
    let mut read = 0;
    let mut piece = vec![0; 32 * 1024];
    loop {
        sleep(SHORT).await;
        match client.read(&mut piece).await.unwrap() {
            0 => break,
            bytes => read += bytes,
        }
    }
    assert!(read > 1024 * 1024, "{read} bytes");
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
        let (mut client, tracker) =
            connect(PATIENCE, b"GET / HTTP/1.1\r\nhost: x\r\n", &CancellationToken::new()).await;
        let _ = client.write_all(bomb.as_bytes()).await;
        let answer = rest(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
        drop(client);
        tracker.wait().await;
    }
}

#[tokio::test]
async fn closing_ends_idle_connections_at_once() {
    let closing = CancellationToken::new();
    let (mut client, tracker) = connect(PATIENCE, REQUEST, &closing).await;
    let mut first = [0; 17];
    client.read_exact(&mut first).await.unwrap();
    closing.cancel();
    tracker.wait().await;
}

/// The server refuses the request because of its head. It begins with some of its body.
const REFUSED: &[u8] = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\nsome";

const FOR_EVER: linger::Patience = linger::Patience { idle: LONG, total: LONG, bytes: usize::MAX };

async fn refused(linger: linger::Patience, closing: &CancellationToken) -> (DuplexStream, TaskTracker) {
    let (mut client, tracker) = connect(Patience { linger, ..PATIENCE }, REFUSED, closing).await;
    let answer = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("connection: close\r\n"), "{answer}");
    (client, tracker)
}

#[tokio::test]
async fn a_client_that_was_refused_may_send_on_until_it_ends() {
    let (mut client, tracker) = refused(FOR_EVER, &CancellationToken::new()).await;
    // The bytes exceed the buffers between the two ends: the server continues to read.
    client.write_all(&vec![b'x'; 1024 * 1024]).await.unwrap();
    assert!(!tracker.is_empty());
    drop(client);
    tracker.wait().await;
}

#[tokio::test]
async fn a_client_that_was_refused_and_goes_on_for_ever_is_cut() {
    let bounds = [linger::Patience { total: SHORT, ..FOR_EVER }, linger::Patience { bytes: 1024 * 1024, ..FOR_EVER }];
    for bound in bounds {
        let (mut client, tracker) = refused(bound, &CancellationToken::new()).await;
        while client.write_all(&[b'x'; 1024]).await.is_ok() {}
        tracker.wait().await;
    }
}

#[tokio::test]
async fn a_client_that_was_refused_and_says_no_more_is_cut() {
    let (_client, tracker) = refused(linger::Patience { idle: SHORT, ..FOR_EVER }, &CancellationToken::new()).await;
    tracker.wait().await;
}

#[tokio::test]
async fn closing_waits_for_no_client_that_was_refused() {
    let closing = CancellationToken::new();
    let (_client, tracker) = refused(FOR_EVER, &closing).await;
    closing.cancel();
    tracker.wait().await;
}
