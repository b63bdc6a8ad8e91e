//! Outside hosts over real connections.

use std::time::Duration;

use domain::egress::origins_in_env;
use http::HeaderValue;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::world::*;
use crate::SessionAccess;

/// Answers every connection with its first line in capitals.
async fn shouting() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    TaskTracker::new().spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0; 5];
            stream.read_exact(&mut bytes).await.unwrap();
            bytes.make_ascii_uppercase();
            stream.write_all(&bytes).await.unwrap();
        }
    });
    address
}

fn connect_to(target: &str) -> Vec<u8> {
    format!("CONNECT {target} HTTP/1.1\r\nhost: {target}\r\nconnection: close\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways() {
    let server = Server::answering().await;
    let outside = shouting().await;
    let world = Setup::before(server.address).allow(&[&outside.to_string()]).open();
    let mut request = connect_to(&outside.to_string());
    // The bytes are sent before the answer arrives, as some clients do.
    request.extend_from_slice(b"hello");
    let answer = world.raw(&request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nHELLO"), "{answer}");
    let activity = world.sandbox.activity();
    assert_eq!((activity.egress_sent_bytes, activity.egress_received_bytes), (5, 5));
}

#[tokio::test]
async fn a_refused_host_is_named_with_the_setting() {
    let server = Server::answering().await;
    let world = Setup::before(server.address).allow(&["127.0.0.1:1"]).open();
    let tunnel = world.raw(&connect_to("internal.example:443")).await;
    assert!(tunnel.starts_with("HTTP/1.1 403 "), "{tunnel}");
    let mut client = world.client().await;
    let plain = client.send(request("GET", "http://internal.example/", "")).await;
    assert_eq!(plain.status, 403);
    for text in [&tunnel, &plain.text] {
        assert!(text.contains("EGRESS_ALLOW") && text.contains("internal.example:"), "{text}");
    }
    let other_port = client.send(request("GET", &server.url("/"), "")).await;
    assert_eq!((other_port.status.as_u16(), server.seen().len()), (403, 0), "another port of an allowed host");
    let closed = client.send(request("GET", "http://127.0.0.1:1/", "")).await;
    assert_eq!(closed.status, 502);
    assert!(closed.text.contains("egress_unreachable"), "{}", closed.text);
}

#[tokio::test]
async fn odd_targets_reach_nothing() {
    let sink = Server::answering().await;
    let port = sink.address.port();
    let world = Setup::before(sink.address).allow(&["*.example", &format!("*.example:{port}")]).open();
    for host in [
        "127.0.0.1",
        "0x7f.1",
        "127.1",
        "2130706433",
        "017700000001",
        "0",
        "0.0.0.0",
        "localhost",
        "localhost.",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::]",
        "host.docker.internal",
        "a.example@127.0.0.1",
        "127.0.0.1#.example",
        "169.254.169.254",
        "127.0.0.1\\.example",
        "127.0.0.1%00.example",
        "127.0.0.1\0.example",
        "①②⑦.⓪.⓪.①",
        "a.example:1@127.0.0.1",
    ] {
        for request in [
            connect_to(&format!("{host}:{port}")),
            format!("GET http://{host}:{port}/ HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n").into_bytes(),
        ] {
            let answer = world.raw(&request).await;
            let status = answer.get(9..12).unwrap_or("closed");
            assert!(["400", "403", "502", "closed"].contains(&status), "{host}: {answer}");
        }
    }
    for request in [
        "CONNECT a.example HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n",
        "CONNECT a.example:0 HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n",
        "CONNECT a.example:99999 HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n",
        "GET https://a.example/ HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n",
        "GET ftp://a.example/ HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n",
    ] {
        let answer = world.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{request}: {answer}");
    }
    assert!(sink.seen().is_empty());
}

#[tokio::test]
async fn names_are_resolved_and_checked_here() {
    let sink = Server::answering().await;
    let port = sink.address.port();
    let mut setup = Setup::before(sink.address).allow(&[&format!("*.example:{port}"), &format!("named.test:{port}")]);
    setup.names = Names::of(&[("rebound.example", "127.0.0.1"), ("named.test", "127.0.0.1")]);
    let world = setup.open();
    let mut client = world.client().await;
    let refused = client.send(request("GET", &format!("http://rebound.example:{port}/"), "")).await;
    assert_eq!((refused.status.as_u16(), sink.seen().len()), (403, 0));
    assert!(!refused.text.contains("127.0.0.1"), "the address is not revealed");
    let allowed = client.send(request("GET", &format!("http://NAMED.test:{port}/x"), "")).await;
    assert_eq!((allowed.status.as_u16(), sink.seen().len()), (200, 1));
    assert_eq!(sink.seen()[0].header("host"), Some(format!("named.test:{port}").as_str()));
}

#[tokio::test]
async fn a_callers_url_opens_its_host_and_the_own_listener_stays_closed() {
    let api = Server::answering().await;
    let coordinator = Server::answering().await;
    let world = Setup::before(api.address)
        .allow(&[&coordinator.address.to_string(), &format!("host.docker.internal:{}", coordinator.address.port())])
        .open();
    world.gateway.set_own_listener(coordinator.address);
    let url = format!("http://host.docker.internal:{}/api", api.address.port());
    let mut client = world.client().await;
    assert_eq!(client.send(request("GET", &url, "")).await.status, 403);
    let origins = origins_in_env([url.as_str(), "not a URL"]);
    world.sandbox.set_access(SessionAccess { origins, ..SessionAccess::default() });
    assert_eq!(client.send(request("GET", &url, "")).await.status, 200);
    assert_eq!(api.seen()[0].line, "GET /api");

    for target in [coordinator.address.to_string(), format!("host.docker.internal:{}", coordinator.address.port())] {
        let plain = client.send(request("GET", &format!("http://{target}/health"), "")).await;
        assert_eq!(plain.status, 403, "{target}");
        assert_eq!(plain.json()["code"], "egress_protected");
        assert!(world.raw(&connect_to(&target)).await.starts_with("HTTP/1.1 403 "), "{target}");
    }
    assert!(coordinator.seen().is_empty());
}

#[tokio::test]
async fn a_forwarded_request_is_the_clients() {
    let api = Server::start(|_, _| {
        let mut answer = json_answer(302, &json!({}));
        answer.headers_mut().insert("location", HeaderValue::from_static("http://127.0.0.1:1/"));
        answer.headers_mut().insert("connection", HeaderValue::from_static("x-hop"));
        answer.headers_mut().insert("x-hop", HeaderValue::from_static("1"));
        answer
    })
    .await;
    let world = Setup::before(api.address).allow(&[&api.address.to_string()]).open();
    let mut request = request("POST", &api.url("/a?b=c"), "body");
    for (name, value) in [("authorization", "Bearer agents-own"), ("proxy-authorization", "x")] {
        request.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let answer = world.client().await.send(request).await;
    assert_eq!(
        (answer.status.as_u16(), answer.headers.get("x-hop")),
        (302, None),
        "redirects are the client's to follow"
    );
    let seen = &api.seen()[0];
    assert_eq!((seen.line.as_str(), seen.body.as_str()), ("POST /a?b=c", "body"));
    assert_eq!(seen.header("host"), Some(api.address.to_string().as_str()));
    assert_eq!(seen.header("authorization"), Some("Bearer agents-own"));
    assert_eq!(seen.header("proxy-authorization"), None);
    assert_eq!(seen.header("x-api-key"), None, "our credential is for the model API alone");
}

#[tokio::test]
async fn a_host_that_is_not_the_targets_is_refused() {
    let sink = Server::answering().await;
    let own = sink.address.to_string();
    let world = Setup::before(sink.address).allow(&[&own]).open();
    let port = sink.address.port();
    for host in ["[fd00::5]", "[fd00::5]:80", "[FD00:0::5]"] {
        let request = format!("GET http://[fd00::5]/ HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        assert!(world.raw(request.as_bytes()).await.starts_with("HTTP/1.1 403 "), "agrees, and is not allowed: {host}");
    }
    world.audit.decisions();
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        "127.0.0.1:1".to_owned(),
        format!("{own}, evil.example"),
        format!("{own}\r\nhost: evil.example"),
        format!("evil.example\r\nhost: {own}"),
        format!("evil.example@{own}"),
        String::new(),
    ] {
        for line in [format!("GET http://{own}/"), format!("CONNECT {own}")] {
            let request = format!("{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            let answer = world.raw(request.as_bytes()).await;
            assert!(answer.starts_with("HTTP/1.1 400 "), "{host}: {answer}");
            let decided = world.audit.decisions();
            assert!(decided[0].ends_with(": refused: another Host"), "{decided:?}");
        }
    }
    for (line, host) in [("POST /v1/messages", "evil.example"), ("GET /", "127.0.0.1:8787\r\nhost: evil.example")] {
        let request = format!("{line} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        assert!(world.raw(request.as_bytes()).await.starts_with("HTTP/1.1 421 "));
    }
    assert!(sink.seen().is_empty());
    for (line, host) in
        [("1.1", format!("host: {own}\r\n")), ("1.1", "host: 127.0.0.1\r\n".to_owned()), ("1.0", String::new())]
    {
        let request = format!("GET http://{own}/ HTTP/{line}\r\n{host}connection: close\r\n\r\n");
        assert!(world.raw(request.as_bytes()).await.contains(" 200 OK\r\n"), "{host}");
    }
    assert!(sink.seen().iter().all(|seen| seen.header("host") == Some(own.as_str())), "{:?}", sink.seen());
}

#[tokio::test]
async fn two_lengths_never_make_two_requests() {
    let server = Server::answering().await;
    let own = server.address.to_string();
    let world = Setup::before(server.address).allow(&[&own]).open();
    let hidden = format!("0\r\n\r\nGET http://{own}/smuggled HTTP/1.1\r\nhost: {own}\r\n\r\n");
    for lengths in [
        "content-length: 5\r\ntransfer-encoding: chunked".to_owned(),
        "transfer-encoding: chunked\r\ncontent-length: 5".to_owned(),
        format!("content-length: 5\r\ncontent-length: {}", hidden.len()),
        "transfer-encoding: chunked, identity".to_owned(),
        "transfer-encoding: xchunked".to_owned(),
        "transfer-encoding : chunked".to_owned(),
        "content-length: +5".to_owned(),
        " folded: x".to_owned(),
    ] {
        for line in [format!("POST http://{own}/"), "POST /v1/messages".to_owned()] {
            let host = if line.contains("http") { own.as_str() } else { "127.0.0.1:8787" };
            let request = format!("{line} HTTP/1.1\r\nhost: {host}\r\n{lengths}\r\n\r\n{hidden}");
            // The client closes the rest of the connection.
            let mut stream = world.connect();
            stream.write_all(request.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.unwrap();
        }
    }
    for seen in server.seen() {
        assert!(!(seen.headers.contains_key("content-length") && seen.headers.contains_key("transfer-encoding")));
        assert!(!seen.line.contains("smuggled"), "{seen:?}");
    }
}

#[tokio::test]
async fn every_decision_is_told_with_its_session() {
    let server = Server::answering().await;
    let own = server.address.to_string();
    let world = Setup::before(server.address).allow(&[&own, "nowhere.example"]).open();
    world.sandbox.set_session("demo");
    let mut client = world.client().await;
    client.send(request("GET", &server.url("/"), "")).await;
    client.send(request("GET", "http://other.example/", "")).await;
    client.send(request("GET", "http://nowhere.example/", "")).await;
    client.send(request("GET", "http://0x7f.1/", "")).await;
    client.send(request("GET", "/v1/files", "")).await;
    world.raw(&connect_to("other.example:443")).await;
    let expected = [
        format!("demo plain {own}: allowed"),
        "demo plain other.example:80: refused: not allowed".to_owned(),
        "demo plain nowhere.example:80: refused: name not found".to_owned(),
        "demo plain 0x7f.1: refused: malformed".to_owned(),
        "demo model GET /v1/files: refused: not forwarded".to_owned(),
        "demo tunnel other.example:443: refused: not allowed".to_owned(),
    ];
    assert_eq!(world.audit.decisions(), expected);
}

#[tokio::test]
async fn a_task_has_so_many_bytes_and_a_minute_so_many_requests() {
    let server = Server::answering().await;
    let own = server.address.to_string();
    let mut setup = Setup::before(server.address).allow(&[&own]);
    setup.settings.bounds.outside_bytes = 2000;
    setup.settings.bounds.requests_per_minute = 6;
    let world = setup.open();
    let mut client = world.client().await;
    assert_eq!(client.send(request("POST", &server.url("/"), "few")).await.status, 200);
    let many = client.send(request("POST", &server.url("/"), &"x".repeat(4000))).await;
    assert_eq!(many.status, 502, "{}", many.text);
    let none = client.send(request("POST", &server.url("/"), "few")).await;
    assert_eq!((none.status.as_u16(), &none.json()["code"]), (403, &json!("egress_exhausted")));
    world.sandbox.begin_task(domain::budget::Payer::default());
    assert_eq!(client.send(request("POST", &server.url("/"), "few")).await.status, 200);
    assert_eq!(client.send(request("POST", "/v1/messages", ASK)).await.status, 200, "the model is no outside host");
    assert_eq!(client.send(request("HEAD", "/", "")).await.status, 200);
    let last = client.send(request("POST", "/v1/messages", ASK)).await;
    assert!(last.status == 429 && last.headers.contains_key("retry-after"), "{last:?}");
}

#[tokio::test]
async fn a_busy_tunnel_ends_after_its_lifetime() {
    let outside = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = outside.local_addr().unwrap().to_string();
    let mut setup = Setup::before(outside.local_addr().unwrap()).allow(&[&address]);
    setup.settings.bounds.outside_lifetime = Duration::from_millis(100);
    let world = setup.open();
    let connect = connect_to(&address);
    let busy = async {
        let (mut stream, _) = outside.accept().await.unwrap();
        while stream.write_all(b"still here").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let (answer, ()) = tokio::join!(world.raw(&connect), busy);
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[tokio::test]
async fn one_connection_serves_model_and_outside_requests_by_turns() {
    let model = Server::answering().await;
    let api = Server::start(|count, _| json_answer(200, &json!({ "count": count }))).await;
    let world = Setup::before(model.address).allow(&[&api.address.to_string()]).open();
    let mut client = world.client().await;
    for count in 1..=3 {
        assert_eq!(client.send(request("POST", "/v1/messages", ASK)).await.json()["type"], "message");
        assert_eq!(client.send(request("GET", &api.url("/"), "")).await.json()["count"], count);
        assert_eq!(client.send(request("GET", "http://refused.example/", "")).await.status, 403);
        let by_proxy = request("POST", "http://127.0.0.1:8787/v1/messages", ASK);
        assert_eq!(client.send(by_proxy).await.json()["type"], "message");
    }
    assert_eq!((model.seen().len(), api.seen().len()), (6, 3));
}

#[tokio::test]
async fn a_silent_tunnel_ends() {
    let outside = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = outside.local_addr().unwrap().to_string();
    let mut setup = Setup::before(outside.local_addr().unwrap()).allow(&[&address]);
    setup.settings.bounds.idle_timeout = Duration::from_millis(50);
    let world = setup.open();
    let connect = connect_to(&address);
    let (answer, accepted) = tokio::join!(world.raw(&connect), outside.accept());
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let mut rest = Vec::new();
    assert_eq!(accepted.unwrap().0.read_to_end(&mut rest).await.unwrap(), 0);
}

#[tokio::test]
async fn an_outside_request_ends_with_its_client() {
    let (server, outside) = held_open().await;
    let world = Setup::before(server.address).allow(&[&server.address.to_string()]).open();
    let mut client = world.client().await;
    let mut answer = client.start(request("GET", &server.url("/"), "")).await;
    outside.send(Ok("first")).await.unwrap();
    assert_eq!(next(answer.body_mut()).await, "first");
    drop((answer, client));
    outside.closed().await;
}
