//! `GET /metrics`: the counters, their names, and their use in the documents and the dashboard.

mod exposition;

use std::collections::BTreeSet;
use std::time::Duration;

use domain::egress::{EgressChannel, EgressDecision, EgressRefusal, Via};
use domain::task::TaskKind;
use domain::usage::{Cost, Usage};
use observe::metrics::{CONTENT_TYPE, Delivered, Metrics, PriceFetch, Standing, Transport};
use reqwest::Method;
use serde_json::json;

use crate::docs::read;
use crate::server::{Setup, TestServer};
use exposition::Exposition;

pub(crate) async fn scrape(server: &TestServer) -> (Exposition, String) {
    let response = server.request(Method::GET, "/metrics").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], CONTENT_TYPE);
    let text = response.text().await.unwrap();
    (Exposition::parse(&text), text)
}

#[tokio::test]
async fn what_happened_is_counted_and_nothing_is_named() {
    let mut server = Setup::new().env("WARM_SANDBOXES", "1").start().await;
    let completed = server.task("a-session", "say:hello").await.ok();
    server
        .task_with("a-session", "bash:true", &json!({ "maxCostUsd": 0.000_001 }))
        .await
        .problem(502, "budget_exceeded");
    let mut events = server.subscribe("a-session").await;
    let aborted = server.enqueue("a-session", "slow:400").await;
    events.until("text").await;
    let (during, _) = scrape(&server).await;
    assert_eq!(during.sum("claude_runner_tasks_open", &[("status", "running")]).to_bits(), 1.0_f64.to_bits());
    assert_eq!(during.sum("claude_runner_sandboxes", &[("state", "running")]).to_bits(), 1.0_f64.to_bits());
    assert_eq!(during.sum("claude_runner_subscribers", &[("transport", "websocket")]).to_bits(), 1.0_f64.to_bits());
    server.post_nothing("/task/a-session/abort").await.ok();
    server.get(&format!("/task/{}", "0".repeat(16))).await.problem(404, "task_not_found");
    server.get("/nothing-here").await.problem(404, "not_found");

    let (metrics, text) = scrape(&server).await;
    let count =
        |name: &str, labels: &[(&str, &str)]| format!("{:.0}", metrics.sum(name, labels)).parse::<i64>().unwrap();
    for outcome in ["completed", "budget_exceeded", "aborted"] {
        assert_eq!(count("claude_runner_tasks_total", &[("kind", "session"), ("outcome", outcome)]), 1, "{outcome}");
    }
    assert_eq!(count("claude_runner_tasks_total", &[]), 3);
    assert_eq!(count("claude_runner_task_duration_seconds_count", &[("kind", "session")]), 3);
    assert_eq!(count("claude_runner_task_queue_seconds_count", &[]), 3);
    assert_eq!(count("claude_runner_task_first_event_seconds_count", &[]), 3);
    assert_eq!(count("claude_runner_tasks_open", &[]), 0);
    let (usage, model) = (&completed["usage"], completed["usage"]["input_tokens"].as_i64().unwrap());
    let sonnet = [("model", "claude-sonnet-4-6")];
    assert!(count("claude_runner_turn_duration_seconds_count", &sonnet) >= 2, "{usage}");
    assert!(count("claude_runner_tokens_total", &[sonnet[0], ("kind", "input")]) >= 2 * model, "{usage}");
    assert!(metrics.sum("claude_runner_cost_dollars_total", &sonnet) > completed["cost"].as_f64().unwrap());
    assert_eq!(count("claude_runner_warm_sandbox_claims_total", &[]), 1);
    assert!(count("claude_runner_store_commit_seconds_count", &[]) > 3);
    assert!(count("claude_runner_event_lag_seconds_count", &[]) > 3);
    let posted = [("method", "POST"), ("route", "/task")];
    let of = |status| count("claude_runner_http_requests_total", &[posted[0], posted[1], ("status", status)]);
    assert_eq!((of("200"), of("202"), of("502")), (1, 1, 1));
    let lost = |route| count("claude_runner_http_requests_total", &[("route", route), ("status", "404")]);
    assert_eq!((lost("/task/{id}"), lost("other")), (1, 1));
    assert!(count("process_resident_memory_bytes", &[]) > 1 << 20 && count("process_open_fds", &[]) > 3);

    for named in ["a-session", &aborted, completed["taskId"].as_str().unwrap(), "nothing-here"] {
        assert!(!text.contains(named), "{named} is in {text}");
    }
    let labels = metrics.label_values();
    let is_id = |value: &str| value.len() >= 16 && value.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    assert!(!labels.iter().any(|(_, value)| is_id(value)), "{labels:?}");

    // A sandbox of the previous coordinator reconnects to this one.
    let mut events = server.subscribe("a-session").await;
    let task = server.enqueue("a-session", "slow:40").await;
    events.until("text").await;
    server.kill().await;
    server.start_again().await;
    server.get(&format!("/task/{task}/logs?follow=1")).await.expect(200);
    let (metrics, _) = scrape(&server).await;
    assert!(metrics.sum("claude_runner_link_reconnects_total", &[]) >= 1.0);
    server.finish().await;
}

#[test]
fn an_outcome_is_the_word_that_is_on_the_wire() {
    for name in crate::docs::error_types() {
        let error_type: domain::task::ErrorType = serde_json::from_value(json!(name)).unwrap();
        assert_eq!(error_type.as_str(), name);
    }
}

/// Returns an exposition in which everything was counted once.
fn all() -> Exposition {
    let metrics = Metrics::default();
    let time = Duration::from_millis(20);
    metrics.task_began(TaskKind::Session, time);
    metrics.first_output(TaskKind::Session, time);
    metrics.task_ended(TaskKind::Session, None, Some(time));
    metrics.model_request(None, &Usage { output_tokens: 1, ..Usage::default() }, Cost::from_dollars(0.5), time);
    metrics.decided(EgressChannel::Proxy(Via::Tunnel), EgressDecision::Refused(EgressRefusal::NotAllowed));
    metrics.warm_claimed(true);
    metrics.unknown_field();
    metrics.prices_fetched(PriceFetch::Changed);
    metrics.link_reconnected();
    metrics.events_published(time);
    metrics.store_committed(time);
    metrics.http_request("BREW", None, None);
    metrics.webhook_attempted(Delivered::Later);
    let _subscribed = metrics.subscribed(Transport::ServerSent);
    drop(metrics.subscribed(Transport::ServerSent));
    let standing = Standing { sandboxes: vec![("warm", 2)], github: Some((4999, 5000)), ..Standing::default() };
    let found = Exposition::parse(&metrics.expose(&standing));
    // Callers' values are not used as labels.
    let request = [("method", "other"), ("route", "other"), ("status", "gone")];
    assert!(found.sum("claude_runner_http_requests_total", &request) > 0.0);
    assert!(found.sum("claude_runner_cost_dollars_total", &[("model", "other")]) > 0.0);
    let refused = [("via", "tunnel"), ("decision", "refused"), ("reason", "not allowed")];
    assert!(found.sum("claude_runner_gateway_decisions_total", &refused) > 0.0);
    assert!((found.sum("claude_runner_subscribers", &[("transport", "sse")]) - 1.0).abs() < 0.1);
    found
}

#[test]
fn names_say_what_they_are_and_are_documented() {
    let found = all();
    for (name, family) in &found.families {
        assert!(name.starts_with("claude_runner_") || name.starts_with("process_"), "{name}");
        assert_eq!(family.kind == "counter", name.ends_with("_total"), "{name}");
        assert!(family.kind != "histogram" || name.ends_with("_seconds"), "{name} has no unit");
        assert!(!family.samples.is_empty(), "{name} was not tried");
        for part in ["_ms", "_milli", "_kb", "_mb", "_minutes"] {
            assert!(!name.contains(part), "{name} is in no base unit");
        }
    }
    let rows: Vec<_> = crate::docs::rows_below(&read("docs/reference/metrics.md"), "## All of them");
    let documented: BTreeSet<(String, String)> =
        rows.iter().map(|row| (crate::docs::code(&row[0]), row[1].clone())).collect();
    let names = found.families.iter().map(|(name, family)| (name.clone(), family.kind.clone()));
    assert_eq!(documented, names.collect());
    assert_eq!(rows.len(), documented.len());
    for row in rows {
        let labels = found.families[&crate::docs::code(&row[0])].samples.iter().flat_map(|sample| sample.labels.keys());
        let labels: BTreeSet<&str> = labels.map(String::as_str).filter(|label| *label != "le").collect();
        let shown: BTreeSet<&str> = row[2].split('`').skip(1).step_by(2).collect();
        assert_eq!(shown, labels, "{}", row[0]);
    }
}

#[test]
fn the_dashboard_asks_for_what_there_is() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("docs/reference/grafana.json")).unwrap();
    let mut expressions = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let targets = panel["targets"].as_array().map_or(&[][..], Vec::as_slice);
        assert!(panel["type"] == "row" || !targets.is_empty(), "{panel:#}");
        expressions.extend(targets.iter().map(|target| target["expr"].as_str().unwrap()));
    }
    let found = all();
    let samples: BTreeSet<&str> =
        found.families.values().flat_map(|family| &family.samples).map(|sample| sample.name.as_str()).collect();
    let mut used = BTreeSet::new();
    for expression in expressions {
        let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for name in words.filter(|word| word.starts_with("claude_runner_") || word.starts_with("process_")) {
            assert!(samples.contains(name), "{name} of {expression}");
            let is_its = |family: &exposition::Family| family.samples.iter().any(|sample| sample.name == name);
            used.extend(found.families.iter().filter(|(_, family)| is_its(family)).map(|(name, _)| name.as_str()));
        }
    }
    let all: BTreeSet<&str> = found.families.keys().map(String::as_str).collect();
    let unseen: Vec<&&str> = all.difference(&used).collect();
    // These metrics serve alerts or detailed analysis.
    let for_alerts = [
        "claude_runner_betas_removed_total",
        "claude_runner_build_info",
        "claude_runner_price_assumed_requests_total",
        "claude_runner_price_fetches_total",
        "claude_runner_unknown_request_fields_total",
        "process_max_fds",
        "process_start_time_seconds",
    ];
    assert_eq!(unseen, for_alerts.iter().collect::<Vec<_>>());
}
