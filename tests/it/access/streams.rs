//! Tickets over a real WebSocket, and open streams when a key is revoked.

use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::{ADMIN, Caller, forgotten, make_key, revoke};
use crate::bounds::within;
use crate::server::{Setup, TestServer};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

const PAGE: &str = "https://app.example.com";

/// Opens a stream like a page, with these protocols and origin. Returns the status if that fails.
async fn open(server: &TestServer, path: &str, headers: &[(&'static str, &str)]) -> Result<Socket, u16> {
    let mut request = server.url(path).replacen("http", "ws", 1).into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    match within("the stream opens", connect_async(request)).await {
        Ok((socket, answer)) => {
            if headers.iter().any(|(name, _)| *name == "sec-websocket-protocol") {
                assert_eq!(answer.headers()["sec-websocket-protocol"], "claude-runner");
            }
            Ok(socket)
        }
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

async fn frame(socket: &mut Socket) -> Message {
    within("a frame", socket.next()).await.expect("the stream broke").unwrap()
}

async fn close_code(socket: &mut Socket) -> u16 {
    loop {
        if let Message::Close(frame) = frame(socket).await {
            return frame.unwrap().code.into();
        }
    }
}

async fn ticket(caller: &Caller<'_>, session: &str, body: &Value) -> String {
    let request = caller.request("POST", &format!("/session/{session}/ticket")).json(body);
    let answer = caller.server.send(request).await.expect(201);
    let ticket = answer["ticket"].as_str().unwrap().to_owned();
    assert_eq!(answer["protocols"], json!(["claude-runner", format!("ticket.{ticket}")]));
    ticket
}

#[tokio::test]
async fn a_ticket_opens_one_stream_once() {
    // Pages of both origins may call. The ticket belongs to the first one.
    let origins = format!("{PAGE},https://evil.test");
    let server = Setup::new().without_image().env("API_KEYS", ADMIN).env("CORS_ORIGINS", origins);
    let server = server.start().await.with_key(ADMIN);
    let key = make_key(&server, &["--scope", "read", "--sessions", "mine-"]).await;
    let caller = Caller::new(&server, 1, Some(&key));
    let offer = |ticket: &str| format!("claude-runner, ticket.{ticket}");
    let bound = json!({ "origin": PAGE });

    let good = ticket(&caller, "mine-1", &bound).await;
    let headers = [("sec-websocket-protocol", offer(&good)), ("origin", PAGE.to_owned())];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut socket = open(&server, "/stream/mine-1", &headers).await.unwrap();
    assert!(frame(&mut socket).await.to_text().unwrap().contains("connected"));
    assert_eq!(open(&server, "/stream/mine-1", &headers).await.unwrap_err(), 401, "a second time");

    let other = offer(&ticket(&caller, "mine-1", &bound).await);
    for (what, path, protocol, origin) in [
        ("another session", "/stream/mine-2", other.clone(), Some(PAGE)),
        ("spent by that", "/stream/mine-1", other, Some(PAGE)),
        (
            "another origin",
            "/stream/mine-1",
            offer(&ticket(&caller, "mine-1", &bound).await),
            Some("https://evil.test"),
        ),
        ("no origin", "/stream/mine-1", offer(&ticket(&caller, "mine-1", &bound).await), None),
        ("another protocol", "/stream/mine-1", ticket(&caller, "mine-1", &json!({})).await, Some(PAGE)),
        ("made up", "/stream/mine-1", offer("AAAA"), Some(PAGE)),
        ("empty", "/stream/mine-1", offer(""), Some(PAGE)),
    ] {
        let mut headers = vec![("sec-websocket-protocol", protocol.as_str())];
        headers.extend(origin.map(|origin| ("origin", origin)));
        assert_eq!(open(&server, path, &headers).await.unwrap_err(), 401, "{what}");
    }
    let in_url = ticket(&caller, "mine-1", &json!({})).await;
    let path = format!("/stream/mine-1?ticket={in_url}");
    assert_eq!(open(&server, &path, &[("origin", PAGE)]).await.unwrap_err(), 401);
    let as_key = Caller::new(&server, 2, Some(&in_url));
    as_key.call("GET", "/session/mine-1").await.problem(401, "unauthorized");
    // Other routes refuse the ticket too.
    let request = Caller::new(&server, 3, None);
    let request = request.request("GET", "/session/mine-1/events").header("sec-websocket-protocol", offer(&in_url));
    server.send(request).await.problem(401, "unauthorized");

    for origin in ["app.example.com", "https://app.example.com/", "https://app.example.com/x", "file:///x", "null", ""]
    {
        let request = caller.request("POST", "/session/mine-1/ticket").json(&json!({ "origin": origin }));
        let problem = server.send(request).await.problem(400, "invalid_request");
        assert!(problem["error"].as_str().unwrap().starts_with("origin"), "{problem}");
    }

    // Revoking a key ends the streams that its tickets opened, and its unused tickets.
    let unused = offer(&ticket(&caller, "mine-1", &json!({})).await);
    revoke(&server, &key);
    assert_eq!(close_code(&mut socket).await, 4001);
    assert_eq!(open(&server, "/stream/mine-1", &[("sec-websocket-protocol", &unused)]).await.unwrap_err(), 401);
    drop(socket);
    server.finish().await;
}

#[tokio::test]
async fn what_is_open_ends_with_its_key_and_the_task_goes_on() {
    let server = Setup::new().env("API_KEYS", ADMIN).start().await.with_key(ADMIN);
    let key = make_key(&server, &["--scope", "submit"]).await;
    let caller = Caller::new(&server, 1, Some(&key));
    let body = json!({ "sessionId": "s", "message": "bash:sleep 1000", "async": true });
    let task = server.send(caller.request("POST", "/task").json(&body)).await.expect(202);
    let task = task["taskId"].as_str().unwrap();

    let bearer = format!("Bearer {key}");
    let mut socket = open(&server, "/stream/s", &[("authorization", &bearer)]).await.unwrap();
    let mut bodies = Vec::new();
    for path in ["/session/s/events", "/session/s/events?follow=1&since=0", &format!("/task/{task}/logs?follow=1")] {
        let mut request = caller.request("GET", path);
        if path.contains("since=0") {
            request = request.header("accept", "application/x-ndjson");
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        bodies.push((path.to_owned(), answer));
    }
    revoke(&server, &key);
    assert_eq!(close_code(&mut socket).await, 4001);
    for (path, answer) in bodies {
        within(&path, answer.bytes()).await.unwrap();
    }
    caller.call("GET", "/session/s").await.problem(401, "unauthorized");
    forgotten(&server, &key).await;
    let record = server.get(&format!("/task/{task}")).await.ok();
    assert!(["queued", "running"].contains(&record["status"].as_str().unwrap()), "{record}");
    server.finish().await;
}
