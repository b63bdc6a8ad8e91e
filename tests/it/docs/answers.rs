//! Compares both documents with the server's answers, and their examples with their schemas.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::asyncapi::messages;
use super::schema::Document;
use crate::access::ended;
use crate::server::Setup;

/// Returns the examples of the API's schemas by name, for requests and answers.
fn examples(document: &Document) -> BTreeMap<String, Value> {
    let schemas = document.0["components"]["schemas"].as_object().unwrap();
    let with = schemas.iter().filter_map(|(name, schema)| Some((name.clone(), schema["examples"].get(0)?.clone())));
    with.collect()
}

#[test]
fn every_example_fits_and_has_nothing_that_is_not_described() {
    let api = Document::read("openapi");
    let examples = examples(&api);
    assert!(examples.len() >= 15, "{:?}", examples.keys());
    for (name, example) in &examples {
        api.assert_describes(name, example);
    }
    let events = Document::read("asyncapi");
    let mut shown = 0;
    for message in events.0["components"]["messages"].as_object().unwrap().values() {
        if let Some(example) = message["examples"].get(0) {
            let schema = message["payload"]["$ref"].as_str().unwrap().rsplit('/').next().unwrap();
            events.assert_describes(schema, &example["payload"]);
            shown += 1;
        }
    }
    assert!(shown >= 15, "{shown}");
}

#[tokio::test]
async fn what_the_server_says_is_as_described() {
    const CALLS: &str = "How many API calls has Alice (alice@acme.test) left this month?";
    // No server listens on the port: the delivery is tried and reported as failed.
    let server = Setup::new().acme_agent().env("WEBHOOK_ALLOW", "http://127.0.0.1:9").start().await;
    let hook = json!({ "url": "http://127.0.0.1:9/hook", "secret": format!("whsec_{}=", "A".repeat(43)) });
    let mut stream = server.subscribe_since("documented", 0).await;

    let mut said: BTreeMap<&str, Value> = BTreeMap::new();
    said.insert("Answer", server.task_with("documented", CALLS, &json!({ "webhook": hook })).await.ok());
    let aborted = server.enqueue("documented", "bash:sleep 100").await;
    stream.until_event("the second tool", |event| event["type"] == "tool_start" && event["taskId"] == *aborted).await;
    said.insert("Sandboxes", server.get("/sandboxes").await.ok());
    said.insert("Aborted", server.post_nothing(&format!("/task/{aborted}/abort")).await.ok());
    for message in ["sub:say:hello", "status-once:500"] {
        ended(&server, &server.enqueue("documented", message).await).await;
    }
    server.task_with("documented", "loop:", &json!({ "maxTurns": 1 })).await.problem(502, "max_turns");

    let api = Document::read("openapi");
    for (timeout_ms, decision) in [(60_000, Some("allow")), (60_000, None), (200, None)] {
        let asks = json!({ "asks": { "ask": ["Bash(true)"], "timeoutMs": timeout_ms } });
        let waiting = server.task_with("documented", "bash:true", &asks).await.expect(202);
        api.assert_describes("Task", &waiting);
        let (task, ask) = (waiting["taskId"].as_str().unwrap(), waiting["asks"][0]["id"].as_str().unwrap());
        match decision {
            Some(decision) => {
                let answered = server.post(&format!("/ask/{ask}/answer"), &json!({ "decision": decision })).await.ok();
                api.assert_describes("Ask", &answered);
                let late = server.post(&format!("/ask/{ask}/answer"), &json!({ "decision": decision })).await;
                api.assert_describes("Problem", &late.problem(409, "ask_ended"));
            }
            None if timeout_ms > 200 => drop(server.post_nothing(&format!("/task/{task}/abort")).await.ok()),
            None => {}
        }
        ended(&server, task).await;
    }

    let body = json!({ "sessionId": "other", "message": "say:hello", "async": true });
    let accepted = server.post("/task", &body).await.expect(202);
    let task = accepted["taskId"].as_str().unwrap().to_owned();
    ended(&server, &task).await;
    said.insert("Accepted", accepted);
    said.insert("Task", server.get(&format!("/task/{task}")).await.ok());
    said.insert("Session", server.get("/session/documented").await.ok());
    said.insert("Agent", server.get("/agents").await.ok()[0].take());
    said.insert("Ticket", server.post_nothing("/session/documented/ticket").await.expect(201));
    said.insert("UsageReport", server.get("/usage?by=day,model").await.ok());
    said.insert("Listing", server.get("/session/documented/files").await.ok());
    said.insert("Webhook", server.get("/webhooks").await.ok()[0].take());
    said.insert("Health", server.get("/health").await.ok());
    said.insert("Readiness", server.get("/ready").await.ok());
    let invalid = json!({ "sessionId": "documented", "message": "x", "maxTurns": 0 });
    said.insert("Problem", server.post("/task", &invalid).await.problem(400, "invalid_request"));

    let examples = examples(&api);
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    for (name, value) in &said {
        api.assert_describes(name, value);
        assert_eq!(members(&examples[*name]), members(value), "the example of {name} is another than the real one");
    }
    for (list, schema) in [("/tasks", "Task"), ("/sessions", "Session"), ("/asks", "Ask")] {
        for row in server.get(list).await.ok().as_array().unwrap() {
            api.assert_describes(schema, row);
        }
    }

    server.post_nothing("/session/documented/reset").await.ok();
    server.delete("/session/documented").await.ok();
    stream.until("session_deleted").await;
    let events = Document::read("asyncapi");
    let schemas: BTreeMap<String, String> = messages(&events, "stream").into_iter().collect();
    events.assert_describes("Connected", &stream.connected);
    for event in &stream.events {
        events.assert_describes(&schemas[event["type"].as_str().unwrap()], event);
    }
    // The other kinds need retention, a repository, a future agent or a damaged home.
    let seen: BTreeSet<&str> = stream.kinds().into_iter().collect();
    let unseen: Vec<&String> = schemas.keys().filter(|kind| !seen.contains(kind.as_str())).collect();
    assert_eq!(unseen, ["connected", "gap", "raw", "stage", "warning"]);
    server.finish().await;
}
