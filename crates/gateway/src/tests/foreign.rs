//! A success that is not an answer of the model API is an error and costs nothing.

use axum::body::Body;
use axum::response::Response;
use domain::usage::Cost;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::task::TaskTracker;

use super::world::*;
use crate::GatewayFailure;

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
        ("application/json", message[..message.len() - 2].to_owned(), "message"),
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

#[tokio::test]
async fn a_document_that_is_cut_costs_nothing() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    TaskTracker::new().spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        // The request arrives in one piece.
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
        let body = r#"{"type":"message","usage":{"input_tokens":1,"output_tokens":1}"#;
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    });
    let world = Setup::before(address).open();
    let answer = world.ask().await;
    assert_eq!(answer.status, 502);
    assert!(answer.text.contains("cut short"), "{}", answer.text);
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
    ] {
        let server = Server::start(move |_, _| streamed(body.into())).await;
        let world = Setup::before(server.address).open();
        let text = world.ask().await.text;
        let (before, error) = text.split_once("event: error\ndata: ").unwrap_or_else(|| panic!("{body:?}: {text}"));
        // A ping does not show the origin of the stream, so it may pass before the origin is known.
        assert!(before.is_empty() || (before == body && body.starts_with("event: ping")), "{text}");
        assert!(error.contains("did not come from the model API"), "{text}");
        assert!(matches!(world.sandbox.failure(), Some(GatewayFailure::Unreachable { .. })));
        assert_eq!((world.sandbox.usage().cost, world.sandbox.usage().usage.requests), (Cost::ZERO, 0));
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
