//! A success that is not an answer of the model API is an error and costs nothing. A request whose answer broke off is charged.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use domain::usage::Cost;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::task::TaskTracker;

use super::world::*;
use crate::{GatewayFailure, OutageBounds};

const PAGE: &str = "<!DOCTYPE html><html><body>Sign in to the proxy</body></html>";

fn success(kind: &str, body: impl Into<Body>) -> Response {
    let response = Response::builder().status(200);
    let response = if kind.is_empty() { response } else { response.header("content-type", kind) };
    response.body(body.into()).unwrap()
}

#[tokio::test]
async fn a_document_that_is_not_the_apis_costs_nothing() {
    let message = json!({ "type": "message", "usage": { "input_tokens": 1, "output_tokens": 1 } }).to_string();
    for (kind, body, shown) in [
        ("text/html", PAGE.to_owned(), "text/html"),
        ("application/json", PAGE.to_owned(), "Sign in"),
        ("application/json", r#"{"type":"message","content":[]}"#.to_owned(), "message"),
        ("application/json", r#"{"choices":[],"usage":{"prompt_tokens":1}}"#.to_owned(), "choices"),
        ("application/json", r#"{"type":"message","usage":{"input_tokens":"many"}}"#.to_owned(), "many"),
        ("application/json", r#"{"type":"message","usage":{"input_tokens":1}}"#.to_owned(), "input_tokens"),
        ("application/json", r#"{"type":"error","usage":{"input_tokens":1,"output_tokens":1}}"#.to_owned(), "error"),
        ("application/json", r#"{"type":"error","error":{"type":"overl"#.to_owned(), "overl"),
        ("application/json", r#"{"choices":[{"text":"a"#.to_owned(), "choices"),
        ("text/html", message[..message.len() - 2].to_owned(), "message"),
        ("application/json", "[]".to_owned(), "[]"),
        ("application/json", String::new(), "application/json"),
        ("text/plain", message.clone(), "text/plain"),
        ("", message.clone(), "no content type"),
    ] {
        let answer = body.clone();
        let server = Server::start(move |_, _| success(kind, answer.clone())).await;
        let world = Setup::before(server.address).open();
        let answer = world.ask().await;
        assert_eq!(answer.status, 502, "{kind} {body}");
        let said = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(said.contains(shown) && said.contains("ANTHROPIC_BASE_URL"), "{said}");
        assert_eq!(world.sandbox.failure(), Some(GatewayFailure::Unreachable { sentence: said }));
        assert_eq!((world.sandbox.usage().cost, world.sandbox.usage().usage.requests), (Cost::ZERO, 0));
    }
}

/// An upstream that answers each connection's first request with these bytes, and then breaks the connection.
async fn breaking_after(answer: String) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    TaskTracker::new().spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(ASK.as_bytes()) {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            count.fetch_add(1, Ordering::SeqCst);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, requests)
}

fn head(kind: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: 1000000\r\n\r\n")
}

#[tokio::test]
async fn a_request_whose_connection_breaks_is_charged_as_reserved_and_not_sent_again() {
    for answer in [
        // Nothing came at all, as after a NAT that forgot a silent connection.
        String::new(),
        "HTTP/1.1 200 OK\r\ncontent-ty".to_owned(),
        head("application/json"),
        head("application/json") + r#"{"id":"msg_1","ty"#,
        head("application/json") + r#"{"id":"msg_1","type":"message","content":[{"type":"te"#,
        head("application/json") + r#"{"type":"message","usage":{"input_tokens":1,"output_tokens":1}"#,
        head("text/event-stream"),
        head("text/event-stream") + "event: message_st",
        head("text/event-stream") + "event: message_start\ndata: {\"type\":\"message_start\",\"mess",
        head("text/event-stream") + "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    ] {
        let (address, requests) = breaking_after(answer.clone()).await;
        let mut setup = Setup::before(address);
        // The gateway would send a request again whose API was not reached.
        setup.settings.outage = OutageBounds { left_to_cli: Duration::ZERO, ..OutageBounds::default() };
        let world = setup.open();
        let text = world.ask().await.text;
        assert!(text.contains("charged as reserved"), "{answer:?}: {text}");
        assert_eq!(requests.load(Ordering::SeqCst), 1, "{answer:?}");
        let used = world.sandbox.usage();
        assert_eq!((used.cost, used.usage.requests), (reservation(), 1), "{answer:?}");
        assert!(matches!(world.sandbox.failure(), Some(GatewayFailure::Unreachable { .. })));
    }
}

#[tokio::test]
async fn a_request_that_costs_nothing_is_not_said_to_be_charged() {
    for answer in [String::new(), head("application/json"), head("application/json") + "{"] {
        let (address, _) = breaking_after(answer.clone()).await;
        let world = Setup::before(address).open();
        let told = world.client().await.send(request("POST", "/v1/messages/count_tokens", ASK)).await;
        assert_eq!(told.status, 502, "{answer:?}");
        assert!(told.text.contains("broke") && !told.text.contains("charged"), "{answer:?}: {}", told.text);
        assert_eq!(world.sandbox.usage().cost, Cost::ZERO);
    }
}

#[tokio::test]
async fn a_whole_document_is_an_answer_however_its_connection_ends() {
    let message = r#"{"type":"message","content":[],"usage":{"input_tokens":10,"output_tokens":20}}"#;
    let (address, requests) = breaking_after(head("application/json") + message + "\n").await;
    let world = Setup::before(address).open();
    let answer = world.ask().await;
    assert_eq!((answer.status.as_u16(), answer.text.trim_end()), (200, message));
    assert_eq!(requests.load(Ordering::SeqCst), 1);
    assert_eq!(world.sandbox.usage().cost, Cost::from_nano_dollars(10 * 3_000 + 20 * 15_000));
    assert_eq!(world.sandbox.failure(), None);
}

#[tokio::test]
async fn a_foreign_answer_that_is_cut_costs_nothing() {
    for answer in [
        head("text/html") + "<!DOCTYPE html><html>",
        head("application/json") + r#"{"type":"error","error":{"type":"api_er"#,
        head("application/json") + r#"{"choices":[{"te"#,
        head("application/json") + "<html>",
        head("text/event-stream") + "<html>",
        head("text/event-stream") + "event: error\ndata: {\"type\":\"error\"}\n\n",
        head("text/event-stream") + "event: error\ndata: {\"type\":\"error\",\"err",
        head("text/event-stream") + "data: {\"choices\":[{\"te",
        head("text/event-stream") + "data: [DONE",
    ] {
        let (address, _) = breaking_after(answer.clone()).await;
        let world = Setup::before(address).open();
        let text = world.ask().await.text;
        assert!(text.contains("error"), "{answer:?}: {text}");
        let used = world.sandbox.usage();
        assert_eq!((used.cost, used.usage.requests), (Cost::ZERO, 0), "{answer:?}");
    }
}

#[tokio::test]
async fn a_message_that_is_too_long_or_incomplete_is_charged_as_reserved() {
    let long = format!(r#"{{"type":"message","content":"{}"}}"#, "x".repeat(9 << 20));
    let cut = r#"{"type":"message","usage":{"input_tokens":1,"output_tokens":1"#.to_owned();
    for body in [long, cut] {
        let server = Server::start(move |_, _| success("application/json", body.clone())).await;
        let world = Setup::before(server.address).open();
        assert_eq!(world.ask().await.status, 502);
        assert_eq!(world.sandbox.usage().cost, reservation());
    }
}

#[tokio::test]
async fn an_api_that_is_not_reached_costs_nothing() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = Setup::before(nobody).open();
    assert_eq!(world.ask().await.status, 502);
    assert_eq!(world.sandbox.usage().cost, Cost::ZERO);
}

#[tokio::test]
async fn a_stream_that_is_not_the_apis_ends_with_an_error_and_costs_nothing() {
    for body in [
        PAGE,
        "data: [DONE]\n\n",
        "data: {\"choices\":[]}\n\n",
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{}}}\n\n",
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
        "data: {\"type\":\"content_block_delta\",\"delta\":{\"text\":\"free\"}}\n\n",
        "",
        // These are not cut, or are the beginning of something else.
        "<html",
        "data: [DONE]",
        "data: {\"choices\":[]}",
        "data: {\"choices\":[{\"te",
        "event: error\ndata: {\"type\":\"error\",\"err",
    ] {
        let server = Server::start(move |_, _| streamed(body.into())).await;
        let world = Setup::before(server.address).open();
        // The head of the answer waits until its origin is known, so the CLI gets a status.
        let answer = world.ask().await;
        assert_eq!(answer.status, 502, "{body:?}");
        let error = answer.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(error.contains("did not come from the model API"), "{error}");
        assert!(matches!(world.sandbox.failure(), Some(GatewayFailure::Unreachable { .. })));
        assert_eq!((world.sandbox.usage().cost, world.sandbox.usage().usage.requests), (Cost::ZERO, 0));
    }
}

#[tokio::test]
async fn a_stream_that_ends_in_the_middle_of_its_first_event_is_charged_as_reserved() {
    for body in [
        "event: message_st",
        "event: message_start\ndata: ",
        "event: message_start\ndata: {\"ty",
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"usa",
        "event: ping\ndata: {\"type\":\"ping\"}\n\ndata: {\"type\":\"message_sta",
    ] {
        let server = Server::start(move |_, _| streamed(body.into())).await;
        let world = Setup::before(server.address).open();
        let text = world.ask().await.text;
        assert!(text.contains("charged as reserved"), "{body:?}: {text}");
        assert_eq!(world.sandbox.usage().cost, reservation(), "{body:?}");
    }
}

#[tokio::test]
async fn the_apis_own_error_in_a_stream_passes_and_costs_nothing() {
    const ERROR: &str = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n";
    let server = Server::start(|_, _| streamed(ERROR.into())).await;
    let world = Setup::before(server.address).open();
    assert_eq!(world.ask().await.text, ERROR);
    assert_eq!(world.sandbox.usage().cost, Cost::ZERO);
}
