//! A model API that takes a request and does not answer ends the task, with its cause.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::usage::Cost;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use super::world::*;
use crate::{GatewayFailure, OutageBounds};

const STREAM: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 1000\r\n\r\n";
const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";

/// The end of a connection after the upstream has written its part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Silence,
    Close,
}

/// An upstream that reads each request, writes these bytes, and then sends nothing more.
async fn stopping_after(answer: String, then: Then) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    TaskTracker::new().spawn(async move {
        let mut held = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(STREAMED_ASK.as_bytes()) && !request.ends_with(ASK.as_bytes()) {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            count.fetch_add(1, Ordering::SeqCst);
            stream.write_all(answer.as_bytes()).await.unwrap();
            if then == Then::Silence {
                held.push(stream);
            }
        }
    });
    (address, requests)
}

/// A gateway whose outages last no longer than one short answer.
fn impatient(upstream: SocketAddr) -> World {
    let mut setup = Setup::before(upstream);
    let (left_to_cli, answer) = (Duration::ZERO, Duration::from_millis(500));
    setup.settings.outage = OutageBounds { left_to_cli, total: Duration::ZERO, pause: Duration::ZERO, answer };
    setup.open()
}

async fn ask_streamed(world: &World) -> Answer {
    world.client().await.send(request("POST", "/v1/messages?beta=true", STREAMED_ASK)).await
}

#[tokio::test]
async fn a_silent_api_ends_the_task_and_the_request_is_charged_as_reserved() {
    let json = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n";
    for (answer, then, why) in [
        (String::new(), Then::Silence, "has sent nothing for"),
        ("HTTP/1.1 200 OK\r\ncontent-ty".to_owned(), Then::Silence, "has sent nothing for"),
        (STREAM.to_owned(), Then::Silence, "has sent nothing after the head of its answer (200)"),
        (STREAM.to_owned() + PING, Then::Silence, "has sent nothing after the head of its answer (200)"),
        (json.to_owned(), Then::Silence, "did not come to its end in time"),
        (json.to_owned() + r#"{"type":"message","content":["#, Then::Silence, "did not come to its end in time"),
        (String::new(), Then::Close, "broke before the answer began"),
        (STREAM.to_owned(), Then::Close, "broke off"),
        (STREAM.to_owned() + PING, Then::Close, "broke off"),
        (json.to_owned(), Then::Close, "broke off"),
    ] {
        let (address, requests) = stopping_after(answer.clone(), then).await;
        let world = impatient(address);
        let told = ask_streamed(&world).await;
        // The CLI does not try again.
        assert_eq!((told.status.as_u16(), told.should_retry()), (429, Some("false")), "{answer:?} {then:?}");
        let Some(GatewayFailure::Unreachable { sentence }) = world.sandbox.failure() else { panic!("{answer:?}") };
        assert!(sentence.contains(why) && sentence.contains("charged as reserved"), "{answer:?}: {sentence}");
        assert_eq!(requests.load(Ordering::SeqCst), 1, "{answer:?}");
        let used = world.sandbox.usage();
        assert_eq!((used.cost, used.usage.requests), (reservation_of(STREAMED_ASK), 1), "{answer:?}");
    }
}

#[tokio::test]
async fn a_silent_answer_that_is_not_the_apis_costs_nothing() {
    for (answer, why) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 1000\r\n\r\n<html>",
            "did not come from the model API",
        ),
        (
            "HTTP/1.1 500 No\r\ncontent-type: text/html\r\ncontent-length: 1000\r\n\r\n<html>",
            "the model API answered 500",
        ),
    ] {
        let (address, _) = stopping_after(answer.to_owned(), Then::Silence).await;
        let world = impatient(address);
        let told = ask_streamed(&world).await;
        assert_eq!((told.status.as_u16(), told.should_retry()), (429, Some("false")), "{answer:?}");
        let Some(GatewayFailure::Unreachable { sentence }) = world.sandbox.failure() else { panic!("{answer:?}") };
        assert!(sentence.contains(why), "{sentence}");
        assert_eq!(world.sandbox.usage().cost, Cost::ZERO);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_streamed_has_time_to_be_written() {
    let server = Server::answering().await;
    let mut setup = Setup::before(server.address);
    setup.settings.outage.answer = Duration::ZERO;
    let world = setup.open();
    assert_eq!(ask_streamed(&world).await.status, 502, "no time is left for an answer");
    assert_eq!(world.ask().await.status, 200, "100 tokens are given some seconds");
    assert_eq!(world.sandbox.failure(), None);
}
