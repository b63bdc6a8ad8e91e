//! A subscriber that reads nothing for too long.

use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::agent_image::TestImage;
use crate::bounds::within;
use crate::server::{Setup, TestServer};

/// Writes eight million characters, a thousand at a time: more than the kernel buffers for a connection.
const AGENT: &str = concat!(
    include_str!("../support/stand_in.sh"),
    r#"answer() {
    text=$(head -c 1000 /dev/zero | tr '\0' x)
    echo "$start"
    yes "${delta/TEXT/$text}" | head -n 8000
    echo "$stop"
    echo "$result"
}
listen
"#
);

#[tokio::test]
async fn a_subscriber_that_takes_nothing_is_let_go_and_goes_on_where_it_was() {
    let image = TestImage::with_agent("talkative", AGENT, 0o755).await;
    let setup = Setup::new().env("DOCKER_IMAGE", &image.name).env("SUBSCRIBER_TIMEOUT_MS", "3000");
    let server = setup.env("RUST_LOG", "info,api::stream=debug").start().await;
    let mut stalled = connect(&server, "s").await;
    let task = server.enqueue("s", "talk").await;

    // The subscriber reads again while it is being disconnected, whether or not the agent still writes.
    server.logged("ended=TooSlow").await;
    let (seen, code, reason) = within("the stream is closed", until_closed(&mut stalled)).await;
    let last = seen.len() as u64;
    assert_eq!((code, reason), (4008, format!("too slow; last seq {last}")));
    let expected: Vec<u64> = (1..=last).collect();
    assert_eq!(seen, expected, "it saw another sequence");

    let mut again = server.subscribe_since("s", last).await;
    let end = again.until_end_of(&json!(task)).await;
    assert_eq!(end["response"], "fine", "{end:#}");
    assert!(again.events.len() > 1, "it was disconnected only after the last event");
    again.assert_numbered_from(last + 1);
    server.finish().await;
    image.remove().await;
}

/// Opens a session's stream from its beginning on a connection with a small receive buffer.
async fn connect(server: &TestServer, session: &str) -> WebSocketStream<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let address = server.url("").trim_start_matches("http://").parse().unwrap();
    let connection = socket.connect(address).await.unwrap();
    let url = server.url(&format!("/stream/{session}?since=0")).replacen("http", "ws", 1);
    let (mut socket, _) = client_async(url, connection).await.unwrap();
    let connected = socket.next().await.unwrap().unwrap().into_text().unwrap();
    assert!(connected.contains("\"connected\""), "{connected}");
    socket
}

/// Returns the numbers of the events up to the end of the stream, and the close code and reason.
async fn until_closed(socket: &mut WebSocketStream<TcpStream>) -> (Vec<u64>, u16, String) {
    let mut seen = Vec::new();
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => {
                let event: Value = serde_json::from_str(&text).unwrap();
                seen.push(event["seq"].as_u64().unwrap());
            }
            Some(Ok(Message::Close(Some(frame)))) => return (seen, frame.code.into(), frame.reason.to_string()),
            Some(Ok(_)) => {}
            other => panic!("the stream broke after {} events: {other:?}", seen.len()),
        }
    }
}
