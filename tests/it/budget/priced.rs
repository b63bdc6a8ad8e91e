//! An agent with a shell asks the model API in ways that would cost more, or nothing.

use serde_json::{Value, json};

use super::{REQUEST, assert_dollars, dollars};
use crate::server::TestServer;

/// A shell command that sends a model request with further fields, and prints the status of its answer.
fn ask(prompt: &str, more: &Value) -> String {
    let mut body = json!({
        "model": "claude-sonnet-4-6", "max_tokens": 1000, "messages": [{ "role": "user", "content": prompt }],
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    format!(
        "curl -s -o /dev/null -w '%{{http_code}} ' -H 'anthropic-version: 2023-06-01' -H 'content-type: application/json' \
         http://127.0.0.1:8787/v1/messages -d '{body}'"
    )
}

/// Runs the commands one after the other in a new session, and returns the printed statuses and the cost beyond that of the CLI's own
/// two requests.
async fn statuses(server: &TestServer, session: &str, commands: &[String]) -> (Vec<String>, f64) {
    let answer = server.task(session, &format!("bash:{}", commands.join("; "))).await.ok();
    let response = answer["response"].as_str().unwrap().trim_start_matches("done: ").to_owned();
    let codes = response.split_whitespace().map(str::to_owned).collect();
    (codes, dollars(&answer["cost"]) - 2.0 * REQUEST)
}

#[tokio::test]
async fn another_price_is_refused_and_all_usage_is_counted() {
    let server = TestServer::start().await;
    let refused = [
        json!({ "speed": "fast" }),
        json!({ "inference_geo": "us" }),
        json!({ "service_tier": "auto" }),
        json!({ "output_config": { "speed": "fast" } }),
        json!({ "messages": [{ "role": "user", "content": "say:a", "speed": "fast" }] }),
        json!({ "betas": ["fast-mode-2026-02-01"] }),
    ];
    let (codes, cost) = statuses(&server, "refused", &refused.map(|more| ask("say:a", &more))).await;
    assert_eq!(codes, ["400"; 6]);
    assert!(cost.abs() < 1e-9, "{cost}");

    let counted = [
        ask(r#"usage:{"audio_tokens":1000}"#, &json!({})),
        ask(r#"usage:{"server_tool_use":{"web_search_requests":2}}"#, &json!({})),
        ask(r#"usage:{"speed":"fast"}"#, &json!({})),
        ask("page:Sign in", &json!({})),
    ];
    let (codes, cost) = statuses(&server, "counted", &counted).await;
    assert_eq!(codes, ["200", "200", "200", "502"]);
    // Three requests; 1,000 tokens like output, two searches, and five times more for the fast one.
    let expected = 3.0 * REQUEST + 1000.0 * 15e-6 + 2.0 * 0.01 + 5.0 * REQUEST;
    assert!((cost - expected).abs() < 1e-9, "{cost} instead of {expected}");
    server.finish().await;
}

#[tokio::test]
async fn a_request_whose_connection_breaks_is_charged_as_reserved() {
    let server = TestServer::start().await;
    let (_, cost) = statuses(&server, "s", &[ask("cut:0", &json!({ "stream": true }))]).await;
    // The prompt is short, so most of the reservation are the 1,000 output tokens.
    assert!(cost > 1000.0 * 15e-6, "{cost}");
    let totals = server.get("/usage").await.ok()["totals"].clone();
    assert_dollars(&totals["estimatedCost"], cost);
    server.finish().await;
}

#[tokio::test]
async fn ten_searches_at_once_take_a_budget_over_by_one() {
    let server = TestServer::start().await;
    let tools = json!({ "tools": [{ "type": "web_search_20250305", "name": "web_search", "max_uses": 3 }],
        "system": "You search." });
    let one = ask(r#"usage:{"server_tool_use":{"web_search_requests":3}}"#, &tools);
    let command = format!("for i in 1 2 3 4 5 6 7 8 9 10; do {one} & done; wait");
    let body = json!({ "maxCostUsd": 0.05 });
    let problem = server.task_with("s", &format!("bash:{command}"), &body).await.problem(502, "budget_exceeded");
    let record = server.get(&format!("/task/{}", problem["taskId"].as_str().unwrap())).await.ok();
    // Each costs three searches and a usual request: the second one goes over the limit.
    assert_dollars(&record["cost"], REQUEST + 2.0 * (REQUEST + 0.03));
    server.finish().await;
}
