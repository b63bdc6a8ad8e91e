//! The complete event sequences of streams.

use std::time::Duration;

use reqwest::Response;
use serde_json::{Value, json};

use crate::asking::{Model, ask, without_ids};

fn streamed(message: &str) -> Value {
    let mut body = ask(message);
    body["stream"] = json!(true);
    body
}

/// Reads the events of a stream up to its end. The flag is true if it ended properly.
async fn events(mut response: Response) -> (Vec<Value>, bool) {
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    let mut text = Vec::new();
    let whole = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => text.extend_from_slice(&chunk),
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    let text = String::from_utf8(text).unwrap();
    assert!(text.is_empty() || text.ends_with("\n\n"), "an event is cut in two: {text}");
    let events = text.split_terminator("\n\n").map(|frame| {
        let (name, data) = frame.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
        let mut event: Value = serde_json::from_str(data).unwrap();
        assert_eq!(event["type"], name);
        without_ids(&mut event);
        event
    });
    (events.collect(), whole)
}

/// The events of a complete answer, one per line.
async fn sequence(model: &Model, message: &str) -> String {
    let (mut events, whole) = events(model.send(&streamed(message)).await).await;
    assert!(whole);
    events.iter_mut().for_each(Value::sort_all_objects); // independent of serde_json's features in this build
    events.iter().map(Value::to_string).collect::<Vec<_>>().join("\n")
}

fn deltas(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["delta"]["text"].as_str()).collect()
}

#[tokio::test]
async fn text() {
    let model = Model::start().await;
    insta::assert_snapshot!(sequence(&model, "say:Hello there, in several deltas.").await);
}

#[tokio::test]
async fn thinking() {
    let model = Model::start().await;
    insta::assert_snapshot!(sequence(&model, "think:deep answer").await);
}

#[tokio::test]
async fn tool_call() {
    let model = Model::start().await;
    insta::assert_snapshot!(sequence(&model, "bash:pwd").await);
}

#[tokio::test]
async fn slow_sends_a_word_a_delta() {
    let model = Model::start().await;
    let (events, whole) = events(model.send(&streamed("slow:3")).await).await;
    assert_eq!((deltas(&events), whole), (vec!["w0 ", "w1 ", "w2 "], true));
}

#[tokio::test]
async fn cut_breaks_a_stream_once_and_never_a_whole_answer() {
    let model = Model::start().await;
    let (cut, whole) = events(model.send(&streamed("cut:2")).await).await;
    assert_eq!((deltas(&cut), whole), (vec!["w0 ", "w1 "], false));
    let (again, whole) = events(model.send(&streamed("cut:2")).await).await;
    assert_eq!((deltas(&again).len(), whole), (7, true));
    model.handle.reset();
    assert_eq!(model.text("cut:2").await, "w0 w1 w2 w3 w4 w5 w6 ");
    let (_, whole) = events(model.send(&streamed("cut:0")).await).await;
    assert!(!whole);
}

#[tokio::test]
async fn each_event_is_sent_at_once() {
    let model = Model::start().await;
    let mut response = model.send(&streamed("slow:72000")).await;
    let mut text = Vec::new();
    // This only ends if the beginning arrives while the rest, one hour of it, is still to come.
    while !String::from_utf8_lossy(&text).contains("w0 ") {
        text.extend_from_slice(&response.chunk().await.unwrap().unwrap());
    }
    // Stopping does not wait for that hour.
    model.handle.serving().stop().await;
}

#[tokio::test]
async fn wait_is_silent_before_the_first_byte() {
    let model = Model::start().await;
    let body = streamed("wait:3600000");
    let waiting = tokio::time::timeout(Duration::from_millis(50), model.send(&body));
    assert!(waiting.await.is_err());
    assert_eq!(model.text("wait:1").await, "waited 1 ms");
}
