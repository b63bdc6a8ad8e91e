//! The limits of API keys, as their tasks carry them.

use std::collections::BTreeMap;

use domain::access::KeyLimits;
use domain::agent::AgentName;
use domain::session::{SessionKey, SessionRecord};
use domain::task::{TaskId, TaskRecord, TaskRequest, TaskStatus};
use domain::usage::Cost;
use jiff::Timestamp;
use serde_json::{Value, json};
use store::{Change, Store, StoreOptions};
use uuid::Uuid;

use super::assert_overrun_by_at_most_one;
use crate::server::TestServer;

/// Stores tasks of a key as a stopped server would have accepted them, and starts the server. Returns how each ended.
async fn run(server: &mut TestServer, tasks: &[(&str, &str, &KeyLimits)]) -> Vec<Value> {
    server.kill().await;
    let mut ids = Vec::new();
    {
        let store = Store::open(&server.directory().join("data"), StoreOptions::default()).unwrap();
        for (session, message, limits) in tasks {
            let (session, task) = (session_of(session), (*message, (*limits).clone()));
            let record = task_of(&session, task.0, task.1);
            ids.push(record.id.to_string());
            let task = Change::InsertTask { record, prompt_uuid: Uuid::now_v7(), idempotency: None };
            store.commit(vec![Change::InsertSession(session), task]).await.unwrap();
        }
        store.close().await;
    }
    server.start_again().await;
    let mut ends = Vec::new();
    for ((session, ..), id) in tasks.iter().zip(ids) {
        server.subscribe_since(session, 0).await.until_end_of(&json!(id)).await;
        ends.push(server.get(&format!("/task/{id}")).await.ok());
    }
    ends
}

fn session_of(id: &str) -> SessionRecord {
    SessionRecord {
        epoch: domain::session::Epoch::from_number(1),
        agent: AgentName::default(),
        key: SessionKey::generate(),
        id: id.parse().unwrap(),
        created: Timestamp::now(),
        last_active: Timestamp::now(),
        turns: 0,
        claude_session_id: None,
        env: BTreeMap::new(),
        last_seq: 0,
        sandbox: None,
        repository: None,
    }
}

fn task_of(session: &SessionRecord, message: &str, key_limits: KeyLimits) -> TaskRecord {
    TaskRecord {
        id: TaskId::generate(),
        session: session.key,
        session_id: session.id.clone(),
        status: TaskStatus::Queued,
        request: TaskRequest {
            message: message.to_owned(),
            context: None,
            model: "claude-sonnet-4-6".to_owned(),
            max_turns: 200,
            timeout_ms: 60_000,
            max_cost_usd: None,
            retry: 0,
            metadata: None,
            key: Some("k1".parse().unwrap()),
            key_limits,
            repository: None,
            scripted: false,
            trace_parent: None,
            asks: None,
        },
        created: Timestamp::now(),
        started: None,
        finished: None,
        attempt: 0,
        answer: None,
        failure: None,
        repository: None,
        waiting: false,
    }
}

#[tokio::test]
async fn a_key_stops_at_its_money_of_the_day_over_all_its_sessions() {
    let mut server = TestServer::start().await;
    let limits = KeyLimits { max_day_cost: Some(Cost::from_dollars(0.05)), ..KeyLimits::default() };
    let ends = run(&mut server, &[("a", "loop:", &limits), ("b", "loop:", &limits)]).await;
    for end in ends {
        assert_eq!(end["errorType"], "budget_exceeded", "{end:#}");
        let error = end["error"].as_str().unwrap();
        assert!(error.contains("the budget of key k1 for 2") && error.contains("the key's limit for a day"), "{error}");
    }
    assert_overrun_by_at_most_one(&server);
    let used = server.get("/usage?key=k1&by=key").await.ok();
    assert_eq!(used["rows"][0]["key"], "k1");
    assert_eq!(used["totals"]["requests"], server.model.request_count());
    assert_eq!(server.get("/usage?key=k2").await.ok()["totals"]["requests"], 0);
    // The limit applies to the key only.
    assert_eq!(server.say("c", "say:without a key").await, "without a key");
    server.finish().await;
}

#[tokio::test]
async fn the_agents_requests_keep_to_the_keys_models_and_lengths() {
    let mut server = TestServer::start().await;
    let short = KeyLimits {
        models: Some(vec!["claude-sonnet-4-6".to_owned()]),
        max_output_tokens: Some(777),
        ..KeyLimits::default()
    };
    let other = KeyLimits { models: Some(vec!["haiku".to_owned()]), ..KeyLimits::default() };
    let ends = run(&mut server, &[("short", "say:hello", &short), ("other", "say:hello", &other)]).await;
    assert_eq!(ends[0]["response"], "hello", "{:#}", ends[0]);
    assert_eq!(ends[1]["status"], "failed", "{:#}", ends[1]);
    let error = ends[1]["error"].as_str().unwrap();
    assert!(error.contains("claude-sonnet-4-6") && error.contains("haiku"), "{error}");
    let asked: Vec<(String, Value)> = server
        .model
        .requests()
        .iter()
        .map(|request| {
            (request.prompt.clone(), serde_json::from_slice::<Value>(&request.body).unwrap()["max_tokens"].clone())
        })
        .collect();
    assert!(!asked.is_empty() && asked.iter().all(|(_, tokens)| *tokens == 777), "{asked:?}");
    server.finish().await;
}
