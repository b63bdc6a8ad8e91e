//! Answers are forwarded as they arrive, requests end with their client, and nothing else is forwarded.

use http_body_util::BodyExt;
use tokio_util::task::TaskTracker;

use super::world::*;
use crate::{Credentials, Gateway, GatewayError, GatewaySettings, Prices};

#[tokio::test]
async fn a_stream_passes_piece_by_piece() {
    let (server, upstream) = held_open().await;
    let world = Setup::before(server.address).open();
    let mut client = world.client().await;
    let (start, rest) = MESSAGE.split_at(MESSAGE.find("\n\n").unwrap() + 2);
    // The answer begins with the API's first event.
    upstream.send(Ok(start)).await.unwrap();
    let mut answer = client.start(request("POST", "/v1/messages", ASK)).await;
    assert_eq!(next(answer.body_mut()).await, start);
    for piece in ["event: ping\ndata: {\"type\":\"ping\"}\n\n", ": a line\n\n"] {
        // The rest has not been written yet.
        upstream.send(Ok(piece)).await.unwrap();
        assert_eq!(next(answer.body_mut()).await, piece);
    }
    assert_eq!(world.sandbox.activity().open_requests, 1);
    upstream.send(Ok(rest)).await.unwrap();
    while answer.body_mut().frame().await.is_some() {}
    assert_eq!(world.sandbox.activity().open_requests, 0);
}

#[tokio::test]
async fn a_closed_sandbox_takes_no_connection() {
    let server = Server::answering().await;
    let world = Setup::before(server.address).open();
    world.sandbox.close();
    assert_eq!(world.raw(b"HEAD / HTTP/1.1\r\nhost: 127.0.0.1:8787\r\n\r\n").await, "");
}

#[tokio::test]
async fn only_the_paths_that_the_cli_needs_are_forwarded() {
    let server = Server::answering().await;
    let world = Setup::before(server.address).open();
    let mut client = world.client().await;
    for method in ["HEAD", "GET"] {
        let answer = client.send(request(method, "/", "")).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
    }
    assert!(server.seen().is_empty(), "the gateway answers these itself");
    for (method, uri) in [
        ("GET", "/v1/messages"),
        ("POST", "/v1/files"),
        ("GET", "/v1/models"),
        ("POST", "/v1/messages/batches"),
        ("POST", "/v1/messages/"),
        ("POST", "/v1/messages/../files"),
        ("POST", "/v1/messages%2fbatches"),
        ("POST", "//v1/messages"),
        ("POST", "/V1/messages"),
        ("POST", "/"),
        ("DELETE", "/v1/organizations/api_keys"),
    ] {
        let answer = client.send(request(method, uri, ASK)).await;
        assert_eq!(answer.status, 404, "{method} {uri}");
        let error = &answer.json()["error"];
        assert_eq!(error["type"], "not_found_error");
        assert!(error["message"].as_str().unwrap().contains("not forwarded by Claude Runner"));
    }
    assert!(server.seen().is_empty());
    assert_eq!(client.send(request("POST", "/v1/messages/count_tokens?beta=true", ASK)).await.status, 200);
    assert_eq!(server.seen()[0].line, "POST /v1/messages/count_tokens?beta=true");
    assert_eq!(world.sandbox.usage().usage.requests, 0, "counting tokens is free");
}

#[tokio::test]
async fn a_base_url_keeps_its_path_and_may_end_with_the_version() {
    let paths = [
        ("/some/prefix/", "/some/prefix/v1/messages"),
        ("/v1", "/v1/messages"),
        ("/prefix/v1/", "/prefix/v1/messages"),
        ("/prefixv1", "/prefixv1/v1/messages"),
        ("/v1/messages", "/v1/messages"),
        ("/prefix/v1/messages/", "/prefix/v1/messages"),
        ("/messages", "/messages/v1/messages"),
    ];
    for (path, expected) in paths {
        let server = Server::answering().await;
        let mut setup = Setup::before(server.address);
        setup.settings.upstream = server.url(path).parse().unwrap();
        setup.open().ask().await;
        assert_eq!(server.seen()[0].line, format!("POST {expected}?beta=true"));
    }
}

#[tokio::test]
async fn an_upstream_is_an_http_url_and_nothing_more() {
    for (bad, words) in [
        ("ftp://a.example", "with a host"),
        ("unix:/run/a", "with a host"),
        ("https://user:password@a.example", "without a user name and a password"),
        ("https://user@a.example", "without a user name and a password"),
        ("https://:password@a.example", "without a user name and a password"),
        ("https://a.example/?key=1", "without `?` and `#`"),
        ("https://a.example/#top", "without `?` and `#`"),
    ] {
        let settings = GatewaySettings::new(bad.parse().unwrap(), Prices::load(None).unwrap());
        let made = Gateway::new(settings, Credentials::default(), TaskTracker::new());
        assert!(matches!(made, Err(GatewayError::Upstream(said)) if said.contains(words)), "{bad}");
    }
}

#[tokio::test]
async fn bodies_are_bounded_and_must_be_requests() {
    let server = Server::answering().await;
    let mut setup = Setup::before(server.address);
    setup.settings.bounds.body_bytes = 1000;
    let world = setup.open();
    let long = "x".repeat(1001);
    assert_eq!(world.client().await.send(request("POST", "/v1/messages", &long)).await.status, 413);
    let chunked = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1:8787\r\ntransfer-encoding: chunked\r\n\r\n3e9\r\n{long}"
    );
    assert!(world.raw(chunked.as_bytes()).await.starts_with("HTTP/1.1 413 "));
    for bad in ["", "[]", "{}", r#"{"model":1}"#, r#"{"model":"a","model":"b"}"#] {
        let answer = world.client().await.send(request("POST", "/v1/messages", bad)).await;
        assert_eq!(answer.status, 400, "{bad}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn connections_and_headers_are_bounded() {
    let server = Server::answering().await;
    let mut setup = Setup::before(server.address);
    setup.settings.bounds.connections = 1;
    let world = setup.open();
    let mut first = world.client().await;
    assert_eq!(first.send(request("HEAD", "/", "")).await.status, 200);
    let refused = world.raw(b"").await;
    assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("too_many_connections"), "{refused}");

    let world = Setup::before(server.address).open();
    let head = format!("HEAD / HTTP/1.1\r\nhost: 127.0.0.1:8787\r\nlong: {}\r\n\r\n", "x".repeat(70_000));
    let mut stream = world.connect();
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let mut text = String::new();
    // The gateway stops reading in the middle, so both must run concurrently.
    let (_, answer) = tokio::join!(
        tokio::io::AsyncWriteExt::write_all(&mut write, head.as_bytes()),
        tokio::io::AsyncReadExt::read_to_string(&mut read, &mut text)
    );
    assert!(answer.is_err() || text.starts_with("HTTP/1.1 431 "), "{text}");
}
