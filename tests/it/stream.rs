//! Tests the events that a subscriber sees.

use serde_json::{Value, json};

use crate::redact::lines;
use crate::server::{Setup, TestServer};

/// Runs a task to its end and returns its events, from `task_queued` on.
async fn events_of(server: &TestServer, session: &str, message: &str) -> Vec<Value> {
    let seq = server.get(&format!("/session/{session}")).await.body["seq"].as_u64().unwrap_or(0);
    let task = server.enqueue(session, message).await;
    let mut events = server.subscribe_since(session, seq).await;
    events.until_end_of(&json!(task)).await;
    events.assert_numbered_from(seq + 1);
    events.events
}

#[tokio::test]
async fn every_kind_of_event_as_a_subscriber_sees_it() {
    let server = TestServer::start().await;
    for (name, message) in [
        ("text", "say:A text of three deltas, or so."),
        ("thinking", "think:a thought that is told"),
        ("tool_call", "bash:echo from the tool"),
        ("failing_tool_call", "bash:echo to stderr >&2; exit 3"),
        ("subagent", "sub:from below"),
    ] {
        let mut events = events_of(&server, "s", message).await;
        for init in events.iter_mut().filter(|event| event["type"] == "init") {
            let tools = init["tools"].take();
            assert!(tools.as_array().unwrap().contains(&json!("Bash")), "{tools}");
            init["tools"] = json!("[tools]");
        }
        for end in events.iter_mut().filter(|event| event["type"] == "tool_end") {
            // The CLI appends how to call the subagent again, and its usage.
            let result = end["result"].as_str().unwrap();
            end["result"] = json!(result.split("agentId:").next());
        }
        insta::assert_snapshot!(name, lines(&events));
    }
    server.finish().await;
}

/// Slow enough that the events before the cut are published.
const CUT: &str = r#"
[[script]]
name = "cut"
when.message = ["be cut"]
[[script.step]]
text = "w0 w1 w2 w3 w4 w5 w6 w7 w8"
chunk = 3
delta_delay_ms = 50
cut_after = 4
"#;

#[tokio::test]
async fn a_connection_cut_in_the_answer_voids_what_came_of_it() {
    let server = Setup::new().scripts(CUT).start().await;
    server.say("s", "say:before").await;
    let events = events_of(&server, "s", "be cut").await;
    let retries: Vec<&Value> = events.iter().filter(|event| event["type"] == "retry").collect();
    let [.., retry] = retries[..] else { panic!("no retry:\n{}", lines(&events)) };
    assert!(retry["discardsFrom"].is_u64(), "{retry}");

    let (text, voided) = text_of(&events);
    assert_eq!(text.trim_end(), "w0 w1 w2 w3 w4 w5 w6 w7 w8", "{}", lines(&events));
    assert!(voided > 0, "no event preceded the cut:\n{}", lines(&events));
    assert_eq!(events.last().unwrap()["response"].as_str().unwrap().trim_end(), text.trim_end());
    server.finish().await;
}

#[tokio::test]
async fn subscribers_see_the_same_whenever_they_come_until_the_session_is_deleted() {
    let server = TestServer::start().await;
    // The subscriber connects before the session exists.
    let mut early = server.subscribe("s").await;
    assert_eq!((&early.connected["busy"], &early.connected["turns"]), (&json!(false), &json!(0)));
    assert_eq!(early.connected["seq"], 0);
    assert_eq!(early.connected["sessionId"], "s");
    server.get("/session/s").await.problem(404, "session_not_found");

    let first = server.task("s", "say:first").await.ok();
    early.until_end_of(&first["taskId"]).await;
    assert_eq!(early.kinds().first(), Some(&"task_queued"));
    let seen = early.events.len() as u64;

    let mut live = server.subscribe("s").await;
    assert_eq!(live.connected["seq"], seen);
    assert_eq!(live.connected["turns"], 1);
    let second = server.task("s", "bash:seq 3").await.ok();
    let mut late = server.subscribe_since("s", 0).await;
    let mut middle = server.subscribe_since("s", 3).await;
    for subscriber in [&mut early, &mut live, &mut late, &mut middle] {
        subscriber.until_end_of(&second["taskId"]).await;
    }
    early.assert_numbered_from(1);
    assert_eq!(early.events, late.events, "replayed events differ from live ones");
    assert_eq!(live.events, early.events[usize::try_from(seen).unwrap()..]);
    assert_eq!(middle.events, early.events[3..]);

    server.delete("/session/s").await.ok();
    for mut subscriber in [early, live, late, middle] {
        assert_eq!(subscriber.until_closed().await, 1000);
        assert_eq!(subscriber.kinds().last(), Some(&"session_deleted"));
    }
    // A new session of the same id starts its numbers again.
    let reborn = events_of(&server, "s", "say:again").await;
    assert_eq!(reborn[0]["seq"], 1);
    server.finish().await;
}

/// Returns the text that a client shows if it obeys `retry`, and the number of void texts.
pub(crate) fn text_of(events: &[Value]) -> (String, usize) {
    let mut kept: Vec<(u64, &str)> = Vec::new();
    let mut voided = 0;
    for event in events {
        match (event["type"].as_str().unwrap(), event["discardsFrom"].as_u64()) {
            ("text", _) => kept.push((event["seq"].as_u64().unwrap(), event["text"].as_str().unwrap())),
            ("retry", Some(from)) => voided += kept.extract_if(.., |(seq, _)| *seq >= from).count(),
            _ => {}
        }
    }
    (kept.into_iter().map(|(_, text)| text).collect(), voided)
}
