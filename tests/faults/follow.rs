//! A subscriber that reconnects with its last `seq` after each interruption and records all events.

use futures::StreamExt as _;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;

use crate::bounds::{PACE, within};
use crate::client::Client;
use crate::history::{Connection, Follower, is_end, seq};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Opens a session's stream once: the socket and its first frame, `connected`.
pub(crate) async fn open(client: &Client, session: &str, since: u64) -> Option<(Socket, Value)> {
    let url = client.url("ws", &format!("/stream/{session}?since={since}"));
    let (mut socket, _) = connect_async(url).await.ok()?;
    let connected = next(&mut socket).await?;
    Some((socket, connected))
}

/// Returns the next event, or `None` when the connection ended.
pub(crate) async fn next(socket: &mut Socket) -> Option<Value> {
    loop {
        match socket.next().await? {
            Ok(Message::Text(text)) => return serde_json::from_str(&text).ok(),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// Follows a session from its beginning until `enough`. `ended` receives the number of ended tasks.
pub(crate) async fn follow(
    client: Client,
    session: String,
    ended: watch::Sender<usize>,
    enough: CancellationToken,
) -> Follower {
    let mut follower = Follower { session, connections: Vec::new() };
    while !enough.is_cancelled() {
        let Some((mut socket, _)) = open(&client, &follower.session, follower.last_seq()).await else {
            sleep(PACE).await;
            continue;
        };
        follower.connections.push(Connection { since: follower.last_seq(), events: Vec::new() });
        loop {
            let event = tokio::select! {
                biased;
                event = next(&mut socket) => event,
                () = enough.cancelled() => return follower,
            };
            let Some(event) = event else { break };
            if is_end(&event) {
                ended.send_modify(|ended| *ended += 1);
            }
            if let Some(connection) = follower.connections.last_mut() {
                connection.events.push(event);
            }
        }
    }
    follower
}

/// Returns a session's whole log, or an empty list if the session has none.
pub(crate) async fn whole_log(client: &Client, session: &str) -> Vec<Value> {
    let read = async {
        loop {
            if let Some(events) = read_log(client, session).await {
                return events;
            }
            sleep(PACE).await;
        }
    };
    within(&format!("the log of {session} is read"), read).await
}

async fn read_log(client: &Client, session: &str) -> Option<Vec<Value>> {
    let (mut socket, connected) = open(client, session, 0).await?;
    let latest = connected["seq"].as_u64()?;
    let mut events: Vec<Value> = Vec::new();
    while events.last().and_then(seq).unwrap_or_default() < latest {
        events.push(next(&mut socket).await?);
    }
    Some(events)
}
