//! A task's cost includes every model request made for it, however the request and the task end.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{REQUEST, assert_dollars, dollars};
use crate::server::TestServer;

/// Sends a model request from a shell in the sandbox. The answer has `words` words, 20 per second.
fn ask(options: &str, words: u32) -> String {
    let body = json!({
        "model": "claude-sonnet-4-6", "max_tokens": 1000, "stream": true,
        "messages": [{ "role": "user", "content": format!("slow:{words}") }],
    });
    format!(
        "curl -s {options} -H 'anthropic-version: 2023-06-01' -H 'content-type: application/json' \
         http://127.0.0.1:8787/v1/messages -d '{body}'"
    )
}

/// Returns the task's record and checks it against the usage of the whole server.
async fn settled(server: &TestServer, task: &Value) -> (Value, Value) {
    let record = server.get(&format!("/task/{}", task.as_str().unwrap())).await.ok();
    let totals = server.get("/usage").await.ok()["totals"].clone();
    assert_dollars(&record["cost"], dollars(&totals["cost"]));
    assert_eq!(record["usage"]["requests"], totals["requests"], "{record:#}");
    assert_eq!(record["usage"]["output_tokens"], totals["output_tokens"], "{record:#}");
    (record, totals)
}

#[expect(clippy::cast_precision_loss, reason = "a few requests")]
fn cost_of(requests: u64) -> f64 {
    requests as f64 * REQUEST
}

#[tokio::test]
async fn an_agent_that_hangs_up_pays_for_the_whole_answer() {
    let server = TestServer::start().await;
    let answer = server.task("s", &format!("bash:{} | wc -c", ask("-m 1", 60))).await.ok();
    let (record, totals) = settled(&server, &answer["taskId"]).await;
    assert_eq!(answer["cost"], record["cost"], "the end is published before the cost is complete");
    assert_dollars(&record["cost"], cost_of(server.model.request_count()));
    assert_dollars(&totals["estimatedCost"], 0.0);
    server.finish().await;
}

#[tokio::test]
async fn a_process_that_outlives_its_task_asks_for_nothing_and_the_task_pays_what_was_open() {
    let server = TestServer::start().await;
    let open = ask("-o /dev/null", 60);
    let later = ask("-o /dev/null -w '%{http_code} '", 1);
    let command = format!(
        "(setsid sh -c \"$(cat <<'EOF'\n{open} &\nsleep 5; while sleep 0.2; do {later} >> /workspace/codes; done\nEOF\n)\" \
         >/dev/null 2>&1 &) ; sleep 0.5; echo started"
    );
    let answer = server.task("s", &format!("bash:{command}")).await.ok();
    let (record, _) = settled(&server, &answer["taskId"]).await;
    let requests = server.model.request_count();
    assert!(requests >= 3, "{requests}");
    assert_dollars(&record["cost"], cost_of(requests));

    let refusals = async {
        loop {
            let file = server.request(Method::GET, "/session/s/files/codes").send().await.unwrap();
            let (found, text) = (file.status().is_success(), file.text().await.unwrap());
            if found && text.split_whitespace().count() >= 5 {
                break text;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let codes = tokio::time::timeout(Duration::from_mins(1), refusals).await.unwrap();
    assert!(codes.split_whitespace().all(|code| code == "403"), "{codes}");
    assert_eq!(server.model.request_count(), requests, "nothing was asked without a task");
    settled(&server, &answer["taskId"]).await;

    // The session accepts the next task.
    assert_eq!(server.say("s", "say:next").await, "next");
    server.finish().await;
}

#[tokio::test]
async fn a_caller_that_aborts_pays_an_estimate_and_is_answered_in_time() {
    let server = TestServer::start().await;
    let mut events = server.subscribe("s").await;
    let task = json!(server.enqueue("s", "slow:2400").await);
    events.until("text").await;
    let began = Instant::now();
    server.post_nothing("/task/s/abort").await.ok();
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    assert_eq!(events.until("abort").await["taskId"], task);
    let (record, totals) = settled(&server, &task).await;
    // The cost covers the stated prompt and at least ten seconds of the answer.
    assert!(dollars(&record["cost"]) > 10.0 * 250.0 * 15e-6, "{record:#}");
    assert!(dollars(&totals["estimatedCost"]) > 0.0, "{totals:#}");
    server.finish().await;
}

#[tokio::test]
async fn a_task_that_meets_its_time_limit_pays_for_the_whole_answer() {
    let server = TestServer::start().await;
    // The answer takes six seconds.
    let problem = server.task_with("s", "slow:120", &json!({ "timeoutMs": 2000 })).await.problem(504, "timeout");
    let (record, totals) = settled(&server, &problem["taskId"]).await;
    assert_dollars(&record["cost"], cost_of(server.model.request_count()));
    assert_dollars(&totals["estimatedCost"], 0.0);
    server.finish().await;
}
