//! A caller uses only its share of a bounded resource and leaves the rest to other callers. No container needed.

use std::net::{Ipv4Addr, SocketAddr};

use futures::StreamExt as _;
use reqwest::Body;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::{ADMIN, Caller, audit, make_key};
use crate::bounds::within;
use crate::server::{Answer, Setup, TestServer};

async fn server() -> TestServer {
    Setup::new().without_image().env("API_KEYS", ADMIN).start().await.with_key(ADMIN)
}

/// Opens a connection from an address of this machine.
async fn connect(server: &TestServer, address: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 2, address), 0).into()).unwrap();
    let to: SocketAddr = server.url("").strip_prefix("http://").unwrap().parse().unwrap();
    within("a connection", socket.connect(to)).await.unwrap()
}

/// Sends a request on a connection that stays open. Returns the first bytes of the answer.
async fn ask(stream: &mut TcpStream, key: &str) -> String {
    ask_for(stream, "/sessions", key).await
}

async fn ask_for(stream: &mut TcpStream, path: &str, key: &str) -> String {
    let host = stream.peer_addr().unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 4096];
    let read = within("an answer", stream.read(&mut answer)).await.unwrap();
    String::from_utf8_lossy(&answer[..read]).into_owned()
}

#[tokio::test]
async fn one_key_leaves_watchers_to_the_others() {
    let server = server().await;
    let reader = make_key(&server, &["--scope", "read"]).await;
    let reader = Caller::new(&server, 1, Some(&reader));
    let mut open = Vec::new();
    let refused = loop {
        let answer = reader.request("GET", "/watch").send().await.unwrap();
        if answer.status() != 200 {
            break answer.status();
        }
        open.push(answer);
    };
    assert_eq!((refused.as_u16(), open.len()), (429, 64));
    let other = Caller::new(&server, 1, Some(ADMIN)).request("GET", "/watch").send().await.unwrap();
    assert_eq!(other.status(), 200);
    // Closing a reader frees its place.
    open.pop();
    let again = async { while reader.request("GET", "/watch").send().await.unwrap().status() != 200 {} };
    within("a place is free again", again).await;
    drop((open, other));
    server.finish().await;
}

#[tokio::test]
async fn one_key_leaves_room_for_the_bodies_of_the_others() {
    let server = server().await;
    let [mine, theirs] = ["submit", "admin"].map(|scope| ["--scope", scope]);
    let mine = make_key(&server, &mine).await;
    let theirs = make_key(&server, &theirs).await;
    let mine = Caller::new(&server, 1, Some(&mine));
    // The requests announce bodies of 4 MiB, begin them and never end them.
    let half = || {
        let begun = futures::stream::iter([Ok::<_, std::io::Error>("{")]).chain(futures::stream::pending());
        mine.request("POST", "/task").header("content-type", "application/json").body(Body::wrap_stream(begun))
    };
    let mut open = futures::stream::FuturesUnordered::new();
    for _ in 0..9 {
        open.push(server.send(half()));
    }
    let refused: Answer = within("a refusal", open.next()).await.unwrap();
    refused.problem(503, "overloaded");
    let theirs = Caller::new(&server, 1, Some(&theirs));
    let task = theirs.request("POST", "/task").body("{}").header("content-type", "application/json");
    server.send(task).await.problem(400, "invalid_request");
    drop(open);
    server.finish().await;
}

#[tokio::test]
async fn a_connection_that_shows_no_key_is_closed_and_one_that_does_stays() {
    let server = server().await;
    let mut silent = connect(&server, 1).await;
    let mut wrong = connect(&server, 1).await;
    let mut known = connect(&server, 1).await;
    // A monitor sends its key to a route that needs none.
    let mut monitor = connect(&server, 1).await;
    assert!(ask_for(&mut monitor, "/health", ADMIN).await.starts_with("HTTP/1.1 200"));
    assert!(ask(&mut wrong, "not-a-key").await.starts_with("HTTP/1.1 401"));
    assert!(ask(&mut known, ADMIN).await.starts_with("HTTP/1.1 200"));
    for stream in [&mut silent, &mut wrong] {
        let mut rest = Vec::new();
        let _ = within("the end of a connection without a key", stream.read_to_end(&mut rest)).await;
    }
    for stream in [&mut known, &mut monitor] {
        assert!(ask(stream, ADMIN).await.starts_with("HTTP/1.1 200"), "it has shown its key");
    }
    server.finish().await;
}

#[tokio::test]
async fn idle_connections_are_not_in_the_way_of_a_new_one() {
    let server = server().await;
    let mut first = connect(&server, 1).await;
    let mut idle = Vec::new();
    for _ in 0..1_024 {
        idle.push(connect(&server, 1).await);
    }
    let end = within("the oldest connection goes", first.read(&mut [0])).await;
    assert!(!end.is_ok_and(|read| read > 0));
    let mut new = connect(&server, 1).await;
    assert!(ask(&mut new, ADMIN).await.starts_with("HTTP/1.1 200"));
    drop(idle);
    server.finish().await;
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_its_own_address() {
    let setup = Setup::new().without_image().env("API_KEYS", ADMIN).env("TRUSTED_PROXIES", "127.0.1.0/24");
    let server = setup.start().await.with_key(ADMIN);
    let proxy = Caller::new(&server, 1, Some("not-a-key"));
    let from =
        |address: &'static str| server.send(proxy.request("GET", "/sessions").header("x-forwarded-for", address));
    for _ in 0..30 {
        from("192.0.2.66, 198.51.100.1").await.problem(401, "unauthorized");
    }
    from("192.0.2.77, 198.51.100.1").await.problem(429, "rate_limited");
    from("198.51.100.2").await.problem(401, "unauthorized");
    let peers: Vec<String> = audit(&server).iter().filter_map(|line| Some(line["peer"].as_str()?.to_owned())).collect();
    assert!(peers.contains(&"198.51.100.2".to_owned()) && !peers.iter().any(|peer| peer.starts_with("192.0.2")));

    // The PROXY protocol gives the same result.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 1, 1), 0).into()).unwrap();
    let mut stream = socket.connect(server.url("").strip_prefix("http://").unwrap().parse().unwrap()).await.unwrap();
    stream.write_all(b"PROXY TCP4 198.51.100.1 127.0.0.1 5000 80\r\n").await.unwrap();
    assert!(ask(&mut stream, "not-a-key").await.starts_with("HTTP/1.1 429"));

    // The server ignores the header of any other peer.
    let other = Caller { server: &server, client: reqwest::Client::new(), key: Some("not-a-key".to_owned()) };
    let claim = other.request("GET", "/sessions").header("x-forwarded-for", "198.51.100.1");
    server.send(claim).await.problem(401, "unauthorized");
    server.finish().await;
}

/// Asks for a large answer and reads nothing of it. The small buffer keeps the kernel from taking all of it.
async fn unread(server: &TestServer, address: u8, path: &str, key: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 2, address), 0).into()).unwrap();
    let to: SocketAddr = server.url("").strip_prefix("http://").unwrap().parse().unwrap();
    let mut stream = within("a connection", socket.connect(to)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {to}\r\nauthorization: Bearer {key}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    // The first byte shows that the answer has begun.
    within("the begin of an answer", stream.read_exact(&mut [0])).await.unwrap();
    stream
}

#[tokio::test]
async fn answers_that_nobody_reads_take_bounded_memory_for_a_bounded_time() {
    let setup = Setup::new().without_image().env("API_KEYS", ADMIN).env("SUBSCRIBER_TIMEOUT_MS", "10000");
    let server = setup.start().await.with_key(ADMIN);
    let key = make_key(&server, &["--scope", "submit"]).await;
    let (mine, other) = (Caller::new(&server, 1, Some(&key)), Caller::new(&server, 2, Some(ADMIN)));
    let half = "m".repeat(1_900_000);
    let task = json!({ "sessionId": "s", "message": half, "context": half, "async": true });
    let accepted = server.send(mine.request("POST", "/task").json(&task)).await.expect(202);
    let path = format!("/task/{}", accepted["taskId"].as_str().unwrap());
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(unread(&server, 1, &path, &key).await);
    }
    mine.call("GET", &path).await.problem(429, "rate_limited");
    other.call("GET", &path).await.ok();
    // The clients stay connected. The server ends what they do not read.
    let again = async { while mine.request("GET", &path).send().await.unwrap().status() != 200 {} };
    within("answers that are not read end", again).await;
    drop(held);
    server.finish().await;
}
