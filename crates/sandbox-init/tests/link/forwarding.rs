use std::sync::Arc;

use bytes::Bytes;
use link::TcpLink;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::support::{Echo, Init, ORPHAN_TTL, Output, Sandbox, patiently, program};

async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

async fn connect(port: u16) -> TcpStream {
    patiently(async {
        loop {
            if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await {
                return stream;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

async fn assert_echo(mut client: TcpStream) {
    client.write_all(b"ping").await.unwrap();
    client.shutdown().await.unwrap();
    let mut answer = String::new();
    patiently(client.read_to_string(&mut answer)).await.unwrap();
    assert_eq!(answer, "ping");
}

#[tokio::test]
async fn a_connection_is_held_until_the_gateway_is_there() {
    let port = free_port().await;
    let sandbox = Sandbox::start(&[("GATEWAY_PORT", &port.to_string())]);
    let mut early = connect(port).await;
    early.write_all(b"before ").await.unwrap();
    // A client that leaves while it waits does no harm.
    drop(connect(port).await);

    let (link, _output) = sandbox.bind(None, ORPHAN_TTL);
    early.write_all(b"after").await.unwrap();
    let mut answer = [0; 12];
    patiently(early.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"before after");
    assert_echo(connect(port).await).await;

    // A coordinator that leaves ends running connections; new ones wait for the next coordinator.
    link.close().await;
    assert_eq!(patiently(early.read(&mut answer)).await.unwrap_or(0), 0);
    let mut waiting = connect(port).await;
    waiting.write_all(b"ping").await.unwrap();
    let (_link, _output) = sandbox.bind(None, ORPHAN_TTL);
    patiently(waiting.read_exact(&mut answer[..4])).await.unwrap();
    assert_eq!(&answer[..4], b"ping");
}

#[tokio::test]
async fn the_same_over_tcp_with_a_token() {
    let cancel = CancellationToken::new();
    let tracker = TaskTracker::new();
    let tcp = TcpLink::listen("127.0.0.1:0".parse().unwrap(), tracker.clone(), cancel.clone()).await.unwrap();
    let (link, output) = tcp.attach("the-token", None, ORPHAN_TTL, Arc::new(Echo)).unwrap();
    assert!(tcp.attach("the-token", None, ORPHAN_TTL, Arc::new(Echo)).is_err());
    let mut output = Output::new(output);

    let temporary = tempfile::tempdir().unwrap();
    let token = temporary.path().join("token");
    std::fs::write(&token, "the-token\n").unwrap();
    let port = free_port().await;
    let _init = Init::start(&[
        ("LINK", &format!("tcp://{}", tcp.address())),
        ("LINK_TOKEN_FILE", token.to_str().unwrap()),
        ("GATEWAY_PORT", &port.to_string()),
    ]);
    link.start(program(&["cat"])).await.unwrap();
    link.stdin(Bytes::from_static(b"over tcp")).await.unwrap();
    output.started().await;
    assert_eq!(output.line().await, b"over tcp");
    assert_echo(connect(port).await).await;
    assert!(!token.exists());

    // An unknown token, an unknown endpoint, and no preface at all.
    for preface in ["agent other-token\n", "gateway other-token\n", "other the-token\n", "GET / HTTP/1.1\r\n"] {
        let mut stranger = TcpStream::connect(tcp.address()).await.unwrap();
        stranger.write_all(preface.as_bytes()).await.unwrap();
        assert_eq!(patiently(stranger.read(&mut [0; 1])).await.unwrap_or(0), 0, "{preface}");
    }
    cancel.cancel();
    tracker.close();
    patiently(tracker.wait()).await;
}
