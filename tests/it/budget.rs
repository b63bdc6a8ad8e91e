//! Budgets for the cost of a task, a session, a key, a day and the installation. A request of the scripted model costs $0.00375, so
//! 13 requests fit into $0.05 and the 14th is the last one.

mod keys;
mod paid;
mod priced;

use serde_json::{Value, json};

use crate::server::{Setup, TestServer};

const REQUEST: f64 = 0.003_75;
const LIMIT: f64 = 0.05;

/// Allows enough turns that the budget ends the loop.
fn many_turns() -> Value {
    json!({ "maxTurns": 200 })
}

/// Uses the model's own count, which does not depend on budgets.
#[track_caller]
fn assert_overrun_by_at_most_one(server: &TestServer) {
    let requests = server.model.request_count();
    assert!(requests <= 14, "{requests} requests were made of ${LIMIT}");
}

fn dollars(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

#[track_caller]
fn assert_dollars(value: &Value, expected: f64) {
    assert!((dollars(value) - expected).abs() < 1e-9, "{value} instead of {expected}");
}

#[tokio::test]
async fn a_task_stops_at_its_money_also_when_the_server_is_killed_meanwhile() {
    let mut server = TestServer::start().await;
    let mut events = server.subscribe("s").await;
    let body = json!({ "sessionId": "s", "message": "loop:", "maxTurns": 200, "maxCostUsd": LIMIT, "async": true });
    let task = server.post("/task", &body).await.expect(202)["taskId"].clone();
    for _ in 0..5 {
        events.until("tool_end").await;
    }
    server.kill().await;
    server.start_again().await;
    let seen = events.events.last().unwrap()["seq"].as_u64().unwrap();
    let end = server.subscribe_since("s", seen).await.until_end_of(&task).await;
    assert_eq!((&end["type"], &end["errorType"]), (&json!("task_failed"), &json!("budget_exceeded")), "{end:#}");
    let error = end["error"].as_str().unwrap();
    assert!(error.contains("the task's budget of $0.0500") && error.contains("maxCostUsd"), "{error}");
    assert_overrun_by_at_most_one(&server);

    // The next task has its own budget.
    assert_eq!(server.say("s", "say:next").await, "next");
    server.finish().await;
}

#[tokio::test]
async fn a_session_stops_at_its_money_over_all_its_tasks_and_what_was_used_can_be_asked() {
    let mut server = Setup::new().env("MAX_SESSION_COST_USD", "0.05").start().await;
    server.task_with("s", "loop:", &json!({ "maxTurns": 4 })).await.problem(502, "max_turns");
    let usage = server.get("/usage").await.ok();
    assert_usage(&usage["totals"], server.model.request_count());
    server.kill().await;
    server.start_again().await;

    let problem = server.task_with("s", "loop:", &many_turns()).await.problem(502, "budget_exceeded");
    let error = problem["error"].as_str().unwrap();
    assert!(error.contains("the budget of session s of $0.0500") && error.contains("MAX_SESSION_COST_USD"), "{error}");
    assert_overrun_by_at_most_one(&server);
    let spent = server.model.request_count();
    assert!(spent >= 13, "{spent} requests are less than it may have");

    // Another session has its own budget. This session gets neither a new budget nor a container after its deletion.
    assert_eq!(server.say("other", "say:free").await, "free");
    let requests = server.model.request_count();
    server.delete("/session/s").await.ok();
    let problem = server.task("s", "say:once more").await.problem(502, "budget_exceeded");
    assert_eq!((problem["cost"].as_f64(), problem["usage"]["requests"].as_u64()), (Some(0.0), Some(0)));
    assert_eq!(server.containers().await.len(), 1, "a container was started without need");
    assert_eq!(server.model.request_count(), requests);

    // Usage survives the deletion of its session and the end of the server.
    server.kill().await;
    server.start_again().await;
    let usage = server.get("/usage?by=sessionId").await.ok();
    assert_usage(&usage["totals"], requests);
    let rows = usage["rows"].as_array().unwrap();
    assert_eq!(rows.iter().map(|row| row["sessionId"].clone()).collect::<Vec<_>>(), ["other", "s"]);
    assert_usage(&rows[1], spent);
    assert_dollars(&rows[1]["cliCost"], dollars(&rows[1]["cost"]));

    let today = usage["to"].as_str().unwrap();
    let one = server.get(&format!("/usage?sessionId=s&by=day,model&from={today}&to={today}")).await.ok();
    let [row] = one["rows"].as_array().unwrap().as_slice() else { panic!("{one:#}") };
    assert_eq!((&row["day"], &row["model"]), (&json!(today), &json!("claude-sonnet-4-6")));
    assert_eq!(row["cliCost"], Value::Null, "the CLI names no model");
    assert_usage(row, spent);
    assert_eq!(server.get("/usage?to=2020-01-01").await.ok()["totals"]["requests"], 0);
    for (question, field) in
        [("by=week", "by:"), ("by=", "by:"), ("from=yesterday", "from:"), ("from=2026-02-02&to=2026-02-01", "from:")]
    {
        let problem = server.get(&format!("/usage?{question}")).await.problem(400, "invalid_request");
        assert!(problem["error"].as_str().unwrap().starts_with(field), "{problem:#}");
    }
    server.finish().await;
}

#[track_caller]
fn assert_usage(row: &Value, requests: u64) {
    let count = |field: &str| row[field].as_u64().unwrap();
    let counts = (count("requests"), count("input_tokens"), count("output_tokens"));
    assert_eq!(counts, (requests, 1000 * requests, 50 * requests), "{row:#}");
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let cost = requests as f64 * REQUEST;
    assert_dollars(&row["cost"], cost);
    assert_dollars(&row["estimatedCost"], 0.0);
}

#[tokio::test]
async fn the_installation_stops_at_its_money_however_many_ask_at_once() {
    let setup = Setup::new().env("MAX_TOTAL_COST_USD", "0.005").env("MAX_DAY_COST_USD", "1");
    let mut server = setup.start().await;
    // Each task sends one request, whose answer takes so long that all four run at the same time.
    let tasks = ["a", "b", "c", "d"].map(|session| server.task(session, "wait:1000"));
    let answers = futures::future::join_all(tasks).await;
    let (done, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((done.len(), refused.len()), (2, 2));
    for answer in refused {
        let problem = answer.problem(502, "budget_exceeded");
        let error = problem["error"].as_str().unwrap();
        let expected = "the installation's budget of $0.0050 is used up: $0.0075 were spent (MAX_TOTAL_COST_USD)";
        assert_eq!(error, expected);
    }
    assert_eq!(server.model.request_count(), 2, "one that leaves something, and one over");
    server.kill().await;
    server.start_again().await;
    server.task("e", "say:hello").await.problem(502, "budget_exceeded");
    assert_eq!(server.model.request_count(), 2);
    server.finish().await;
}

#[tokio::test]
async fn a_request_that_a_crash_cut_off_is_charged_as_it_was_estimated() {
    let mut server = Setup::new().env("MAX_SESSION_COST_USD", "0.05").start().await;
    let mut events = server.subscribe("s").await;
    let task = server.enqueue("s", "slow:400").await;
    events.until("text").await;
    let requests = server.model.request_count();
    server.kill().await;
    server.start_again().await;
    let seen = events.events.last().unwrap()["seq"].as_u64().unwrap();
    let end = server.subscribe_since("s", seen).await.until_end_of(&json!(task)).await;
    assert_eq!(end["errorType"], "budget_exceeded", "{end:#}");
    assert_eq!(server.model.request_count(), requests, "it is unknown whether the budget allows a retry");
    let totals = server.get("/usage").await.ok()["totals"].clone();
    assert!(dollars(&totals["estimatedCost"]) > LIMIT && dollars(&totals["cost"]) > LIMIT, "{totals:#}");
    let record = server.get(&format!("/task/{task}")).await.ok();
    assert_dollars(&record["cost"], dollars(&totals["cost"]));
    server.finish().await;
}
