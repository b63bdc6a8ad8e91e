//! Tests the content of traces, and that secrets are never in one.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};

use super::collector::{Collector, Span};
use crate::docs::{code, read, rows_below};
use crate::server::{Setup, TestServer};

/// Part of every secret of a caller, an agent, a model or an operator.
const CANARY: &str = "canary-5e1f";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Returns the only span with this name.
#[track_caller]
fn one<'a>(trace: &'a [Span], name: &str) -> &'a Span {
    let found: Vec<&Span> = trace.iter().filter(|span| span.name == name).collect();
    let [span] = found.as_slice() else { panic!("{} spans are called {name}: {trace:#?}", found.len()) };
    span
}

/// Posts a task, waits for its end, and returns its id.
async fn task(server: &TestServer, body: &Value, parent: Option<&str>) -> Value {
    let mut request = server.request(Method::POST, "/task").json(body);
    if let Some(parent) = parent {
        request = request.header("traceparent", parent);
    }
    server.send(request).await.body["taskId"].clone()
}

fn collected(collector: &Collector, delay_ms: &str) -> Setup {
    Setup::new()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
        .env("OTEL_EXPORTER_OTLP_HEADERS", format!("x-collector-key={CANARY}"))
        .env("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        .env("OTEL_BSP_SCHEDULE_DELAY", delay_ms)
}

#[tokio::test]
async fn a_trace_shows_where_the_time_went_and_nothing_that_anybody_wrote() {
    let collector = Collector::start().await;
    let mut server = collected(&collector, "100").start().await;

    let body = json!({
        "sessionId": "a-session",
        "message": format!("bash:echo {CANARY} $A; exit 3"),
        "context": CANARY,
        "env": { "A": format!("env-{CANARY}") },
        "metadata": { "note": CANARY },
    });
    let id = task(&server, &body, Some(&format!("00-{TRACE}-{CALLER}-01"))).await;
    let trace = collector.trace_of(&id).await;
    let answer = server.get(&format!("/task/{}", id.as_str().unwrap())).await.ok();
    assert!(answer["response"].as_str().unwrap().contains(CANARY), "{answer:#}");
    assert_is_the_tree_of_the_first_task(&trace, &answer);

    // The task has its own trace in the existing sandbox. A subagent's call is below the call that started it.
    let id = task(&server, &json!({ "sessionId": "a-session", "message": "sub:bash:true" }), Some("not valid")).await;
    let trace = collector.trace_of(&id).await;
    let root = one(&trace, "task");
    assert_eq!((root.trace.as_str(), root.parent.as_str()), (format!("{0}{0}", root.id).as_str(), ""));
    assert!(trace.iter().all(|span| span.name != "sandbox"), "{trace:#?}");
    let (agent, call) = (one(&trace, "invoke_agent default"), one(&trace, "execute_tool Agent"));
    assert_eq!((&call.parent, &one(&trace, "execute_tool Bash").parent), (&agent.id, &call.id));
    assert_eq!((call.status, one(&trace, "execute_tool Bash").status), (0, 0), "{trace:#?}");

    // The task fails. Its spans have the server's error type, and the span of the model request has the API's status.
    let id = task(&server, &json!({ "sessionId": "a-session", "message": "status:400" }), None).await;
    let trace = collector.trace_of(&id).await;
    for (name, error) in [("task", "exit_code"), ("invoke_agent default", "exit_code")] {
        let span = one(&trace, name);
        assert_eq!((span.attribute("error.type"), span.status, span.message.as_str()), (&json!(error), 2, ""));
    }
    // The CLI asks again without some features, so there may be more than one.
    let chats = trace.iter().filter(|span| span.name == "chat claude-sonnet-4-6");
    let chat = chats.min_by_key(|span| span.began).unwrap();
    assert_eq!((chat.attribute("error.type"), chat.status), (&json!("400"), 2));
    assert_eq!(chat.attribute("gen_ai.usage.input_tokens"), &Value::Null);

    // The caller does not sample its trace.
    let other = format!("00-{}-{CALLER}-00", TRACE.replace('0', "e"));
    let unseen = task(&server, &json!({ "sessionId": "a-session", "message": "say:hello" }), Some(&other)).await;

    // One trace spans two servers: the tool was called under the first one and answers to the second.
    let mut events = server.subscribe("a-session").await;
    let id = json!(server.enqueue("a-session", "bash:sleep 3").await);
    events.until("tool_start").await;
    server.kill().await;
    server.start_again().await;
    let trace = collector.trace_of(&id).await;
    let (agent, call) = (one(&trace, "invoke_agent default"), one(&trace, "execute_tool Bash"));
    assert_eq!((&call.parent, &agent.parent, call.status), (&agent.id, &one(&trace, "task").id, 0));
    // The call's span begins when the server receives it, so a busy machine may shorten the three seconds a little.
    assert!(call.ended - call.began >= 2_000_000_000, "{call:#?}");

    // The next task continues the conversation, and its trace is sent before the server ends.
    server.stop().await;
    server.start_again().await;
    let id = task(&server, &json!({ "sessionId": "a-session", "message": "say:again" }), None).await;
    let trace = collector.trace_of(&id).await;
    assert_eq!(one(&trace, "sandbox").attribute("claude_runner.sandbox.start"), "resume");

    assert!(collector.spans().iter().all(|span| json!(span.id) != unseen && !span.trace.starts_with("eaf7")));
    let resource = collector.resources().remove(0);
    assert_eq!(
        (&resource["service.name"], &resource["deployment.environment.name"]),
        (&json!("claude-runner"), &json!("test"))
    );
    assert_all_is_documented(&collector.spans());
    for (headers, body) in collector.requests() {
        assert_eq!(
            (&headers["x-collector-key"], &headers["content-type"]),
            (&CANARY.parse().unwrap(), &"application/x-protobuf".parse().unwrap())
        );
        assert!(!body.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "the canary is in a span");
    }
    assert!(!server.log().contains("collector is unreachable"));
    server.finish().await;
}

#[track_caller]
fn assert_is_the_tree_of_the_first_task(trace: &[Span], answer: &Value) {
    let root = one(trace, "task");
    assert_eq!((root.trace.as_str(), root.parent.as_str(), root.kind), (TRACE, CALLER, 2));
    let cost = root.attribute("claude_runner.task.cost_usd").as_f64().unwrap();
    assert!((cost - answer["cost"].as_f64().unwrap()).abs() < 1e-9, "{root:#?}");
    let mut attributes = root.attributes.clone();
    attributes.remove("claude_runner.task.cost_usd");
    let expected = json!({
        "claude_runner.task.id": root.id,
        "claude_runner.task.kind": "session",
        "claude_runner.task.outcome": "completed",
        "claude_runner.task.attempts": 1,
        "gen_ai.agent.name": "default",
        "gen_ai.conversation.id": "a-session",
    });
    assert_eq!(json!(attributes), expected);

    let (queue, sandbox) = (one(trace, "queue"), one(trace, "sandbox"));
    assert_eq!((&queue.parent, &sandbox.parent), (&root.id, &queue.id));
    assert_eq!(json!(sandbox.attributes), json!({ "claude_runner.sandbox.start": "cold" }));

    let agent = one(trace, "invoke_agent default");
    let usage = |name: &str| answer["usage"][name].as_u64().unwrap();
    let cached = (usage("cache_read_input_tokens"), usage("cache_creation_input_tokens"));
    let expected = json!({
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.agent.name": "default",
        "gen_ai.conversation.id": "a-session",
        "gen_ai.request.model": "claude-sonnet-4-6",
        "gen_ai.usage.input_tokens": usage("input_tokens") + cached.0 + cached.1,
        "gen_ai.usage.output_tokens": usage("output_tokens"),
        "gen_ai.usage.cache_read.input_tokens": cached.0,
        "gen_ai.usage.cache_creation.input_tokens": cached.1,
    });
    assert_eq!((&agent.parent, agent.kind, json!(agent.attributes)), (&root.id, 1, expected));

    let chats: Vec<&Span> = trace.iter().filter(|span| span.name.starts_with("chat ")).collect();
    assert!(chats.len() >= 2, "{trace:#?}");
    for chat in &chats {
        assert_eq!((&chat.parent, chat.kind, chat.status), (&agent.id, 3, 0));
        let named = ["gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.conversation.id"];
        assert_eq!(named.map(|name| chat.attribute(name)), ["chat", "anthropic", "a-session"]);
        assert_eq!(chat.attribute("gen_ai.response.model"), chat.attribute("gen_ai.request.model"));
    }
    for name in agent.attributes.keys().filter(|name| name.starts_with("gen_ai.usage.")) {
        let sum: u64 = chats.iter().map(|chat| chat.attribute(name).as_u64().unwrap()).sum();
        assert_eq!(json!(sum), agent.attributes[name], "{name}");
    }

    let call = one(trace, "execute_tool Bash");
    assert!(call.attribute("gen_ai.tool.call.id").as_str().unwrap().starts_with("toolu_"), "{call:#?}");
    let mut attributes = call.attributes.clone();
    attributes.remove("gen_ai.tool.call.id");
    let expected = json!({
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "Bash",
        "gen_ai.conversation.id": "a-session",
        "error.type": "tool_error",
    });
    assert_eq!((&call.parent, call.kind, call.status, json!(attributes)), (&agent.id, 1, 2, expected));

    // Each step lies within its parent.
    for step in trace {
        if let Some(whole) = trace.iter().find(|whole| whole.id == step.parent) {
            assert!(whole.began <= step.began && step.ended <= whole.ended, "{step:#?} is not within {whole:#?}");
        }
    }
}

/// docs/reference/telemetry.md lists each attribute with the spans that have it.
#[track_caller]
fn assert_all_is_documented(spans: &[Span]) {
    let mut seen = BTreeMap::<String, BTreeSet<&str>>::new();
    for span in spans {
        let kind = span.name.split(' ').next().unwrap();
        for name in span.attributes.keys() {
            seen.entry(name.clone()).or_default().insert(kind);
        }
    }
    let all: BTreeSet<&str> = spans.iter().map(|span| span.name.split(' ').next().unwrap()).collect();
    let rows = rows_below(&read("docs/reference/telemetry.md"), "## What is in it");
    let documented: BTreeMap<String, BTreeSet<&str>> = rows
        .iter()
        .map(|row| {
            let on = match row[1].as_str() {
                "all but queue and sandbox" => &all - &["queue", "sandbox"].into(),
                "where it went wrong" => seen["error.type"].clone(),
                listed => listed.split(", ").collect(),
            };
            (code(&row[0]), on)
        })
        .collect();
    assert_eq!(documented, seen);
}

#[tokio::test]
async fn the_last_traces_are_sent_at_the_end_and_no_collector_holds_it_up() {
    let collector = Collector::start().await;
    let failing = json!({ "sessionId": "s", "message": "say:hello" });
    // The trace is sent only when the server ends.
    let mut server = collected(&collector, "600000").without_image().start().await;
    let id = task(&server, &failing, None).await;
    assert!(collector.requests().is_empty());
    server.stop().await;
    let trace = collector.trace_of(&id).await;
    for name in ["task", "sandbox"] {
        assert_eq!(one(&trace, name).attribute("error.type"), "engine_unavailable");
    }
    let (root, queue) = (one(&trace, "task"), one(&trace, "queue"));
    assert_eq!((queue.began, queue.ended, queue.status), (root.began, root.ended, 0));
    assert!(!server.log().contains("in time"));

    // The error names the invalid setting.
    for (name, value) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "not a url"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_TRACES_SAMPLER_ARG", "half"),
    ] {
        let (code, said) = crate::settings::refused(&server, &[(name, value)]).await;
        assert_eq!(code, 64, "{name}={value}: {said}");
        assert!(said.contains(name), "{name}={value} was answered with: {said}");
    }

    let refusing = Collector::answering(Some(StatusCode::FORBIDDEN)).await;
    let refused = collected(&refusing, "100").without_image().start().await;
    task(&refused, &failing, None).await;
    refused.logged("the collector rejects traces; they are lost status=403").await;
    refused.finish().await;

    // A collector that does not answer delays no task, and delays the end only briefly.
    let mute = Collector::answering(None).await;
    let mut server_of_mute = collected(&mute, "100").without_image().start().await;
    for _ in 0..3 {
        assert_ne!(task(&server_of_mute, &failing, None).await, Value::Null);
    }
    server_of_mute.stop().await;
    assert!(!mute.requests().is_empty() && server_of_mute.log().contains("were not delivered in time"));
    server_of_mute.start_again().await;
    server_of_mute.finish().await;
    server.start_again().await;
    server.finish().await;
}
