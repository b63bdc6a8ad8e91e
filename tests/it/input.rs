//! Invalid requests. No container needed.

use reqwest::Method;
use serde_json::{Value, json};

use crate::server::{Setup, TestServer};

async fn post_text(server: &TestServer, text: impl Into<reqwest::Body>) -> Value {
    let request = server.request(Method::POST, "/task").header("content-type", "application/json").body(text);
    server.send(request).await.problem(400, "invalid_request")
}

fn many_variables(count: usize) -> Value {
    (0..count)
        .map(|number| (format!("V{number}"), Value::from("x".repeat(65_536))))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn numbered_variables(count: usize) -> Value {
    (0..count).map(|number| (format!("V{number}"), Value::from("x"))).collect::<serde_json::Map<_, _>>().into()
}

#[tokio::test]
async fn an_agent_gets_as_much_env_as_a_session_may_have() {
    let server = TestServer::start().await;
    // Each request is small enough, and together they reach the session's limit.
    let mut env = many_variables(15);
    let body = json!({ "sessionId": "s", "message": "bash:echo ${#V0} ${#V14}", "env": env });
    let answer = server.post("/task", &body).await.ok();
    assert_eq!(answer["response"], "done: 65536 65536", "{answer}");
    env = json!({ "MORE": "x".repeat(65_536), "EVEN_MORE": "x".repeat(1_024) });
    let body = json!({ "sessionId": "s", "message": "say:no", "env": env });
    let problem = server.post("/task", &body).await.problem(400, "invalid_request");
    assert!(problem["error"].as_str().unwrap().contains("env: the session's variables"), "{problem}");
    // A value that replaces another one does not count twice.
    let body = json!({ "sessionId": "s", "message": "bash:echo ${#V0}", "env": { "V0": "short" } });
    assert_eq!(server.post("/task", &body).await.ok()["response"], "done: 5");
    server.finish().await;
}

#[tokio::test]
async fn a_body_that_is_not_right_is_refused_and_the_field_is_named() {
    let server = Setup::new().without_image().start().await;
    for text in ["", "{", "null", "[]", "\"text\"", "{} {}", "{\"sessionId\":\"s\",\"message\":\"\\ud800\"}"] {
        post_text(&server, text).await;
    }
    post_text(&server, b"{\"sessionId\":\"s\",\"message\":\"\xff\"}".to_vec()).await;
    post_text(&server, format!("{}1", "[".repeat(100_000))).await;

    let long = "x".repeat(129);
    for (change, says) in [
        (json!({ "sessionId": null }), "sessionId"),
        (json!({ "sessionId": 7 }), "sessionId"),
        (json!({ "sessionId": "" }), "sessionId"),
        (json!({ "sessionId": "a/b" }), "sessionId"),
        (json!({ "sessionId": "a\nb" }), "sessionId"),
        (json!({ "sessionId": long }), "sessionId"),
        (json!({ "message": null }), "message"),
        (json!({ "message": ["a"] }), "message"),
        (json!({ "message": "  \n" }), "message"),
        (json!({ "context": 7 }), "context"),
        (json!({ "model": "gpt 4" }), "model"),
        (json!({ "model": "--model" }), "model"),
        (json!({ "model": "" }), "model"),
        (json!({ "model": {} }), "model"),
        (json!({ "maxTurns": 0 }), "maxTurns"),
        (json!({ "maxTurns": 1001 }), "maxTurns"),
        (json!({ "maxTurns": -1 }), "maxTurns"),
        (json!({ "maxTurns": "3" }), "maxTurns"),
        (json!({ "maxTurns": 1.5 }), "maxTurns"),
        (json!({ "timeoutMs": 0 }), "timeoutMs"),
        (json!({ "timeoutMs": 86_400_001_u64 }), "timeoutMs"),
        (json!({ "maxCostUsd": 0 }), "maxCostUsd"),
        (json!({ "maxCostUSD": 1 }), "maxCostUSD: there is no such field; did you mean maxCostUsd?"),
        (json!({ "max_turns": 1 }), "did you mean maxTurns?"),
        (json!({ "anything": null }), "anything: there is no such field; known are sessionId"),
        (json!({ "maxCostUsd": -1 }), "maxCostUsd"),
        (json!({ "maxCostUsd": "1" }), "maxCostUsd"),
        (json!({ "metadata": "x" }), "metadata"),
        (json!({ "metadata": { "x": "x".repeat(20_000) } }), "metadata"),
        (json!({ "async": "yes" }), "async"),
        (json!({ "webhook": "http://127.0.0.1/" }), "webhook"),
        (json!({ "env": [] }), "env"),
        (json!({ "env": { "A": 1 } }), "env.A"),
        (json!({ "env": { "": "x" } }), "env"),
        (json!({ "env": { "1A": "x" } }), "env"),
        (json!({ "env": { "A-B": "x" } }), "A-B"),
        (json!({ "env": { "A=B": "x" } }), "A=B"),
        (json!({ "env": { "A": "\u{0}" } }), "A"),
        (json!({ "env": { "A": "x".repeat(65_537) } }), "env.A"),
        (json!({ "env": { ("A".repeat(257)): "x" } }), "env"),
        (json!({ "env": { "ANTHROPIC_API_KEY": "x".repeat(4_097) } }), "env.ANTHROPIC_API_KEY"),
        (json!({ "env": many_variables(17) }), "env"),
        (json!({ "env": numbered_variables(1_001) }), "env: it must have at most 1000 variables"),
        (json!({ "env": { "ANTHROPIC_BASE_URL": "x" } }), "ANTHROPIC_BASE_URL"),
        (json!({ "env": { "CLAUDE_CONFIG_DIR": "x" } }), "CLAUDE_CONFIG_DIR"),
        (json!({ "env": { "https_proxy": "x" } }), "https_proxy"),
        (json!({ "env": { "NO_PROXY": "x" } }), "NO_PROXY"),
        (json!({ "env": { "LD_PRELOAD": "x" } }), "LD_PRELOAD"),
        (json!({ "env": { "HOME": "x" } }), "HOME"),
        (json!({ "env": { "PATH": "x" } }), "PATH"),
        (json!({ "env": { "ANTHROPIC_API_KEY": "" } }), "ANTHROPIC_API_KEY"),
        (json!({ "env": { "ANTHROPIC_API_KEY": "a\nb" } }), "ANTHROPIC_API_KEY"),
    ] {
        let mut body = json!({ "sessionId": "s", "message": "say:hello" });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let problem = server.post("/task", &body).await.problem(400, "invalid_request");
        assert!(problem["error"].as_str().unwrap().contains(says), "{change} was answered with {problem}");
    }
    for body in [json!({}), json!({ "text": "hello" })] {
        let problem = server.post("/task", &body).await.problem(400, "invalid_request");
        let error = problem["error"].as_str().unwrap();
        assert!(error.contains("sessionId") && error.contains("message") && error.contains("prompt"), "{error}");
    }
    for (change, sentence) in [
        (json!({ "maxTurns": "ten" }), "maxTurns: it must be a whole number, 0 or more, not the text \"ten\""),
        (json!({ "env": ["A"] }), "env: it must be an object, not a list"),
        (json!({ "maxCostUSD": 1 }), "maxCostUSD: there is no such field; did you mean maxCostUsd?"),
    ] {
        let mut body = json!({ "sessionId": "s", "message": "say:hello" });
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(server.post("/task", &body).await.problem(400, "invalid_request")["error"], sentence);
    }
    let problem = server.get("/tasks?limt=5").await.problem(400, "invalid_request");
    assert_eq!(problem["error"], "limt: there is no such parameter; did you mean limit?");
    let problem = server.post("/task", &json!([1, 2])).await.problem(400, "invalid_request");
    assert_eq!(problem["error"], "the body must be an object, not a list");
    let problem = server.post("/task", &json!({ "sessionId": "s", "message": "x", "webhook": [] })).await;
    let problem = problem.problem(400, "invalid_request");
    let error = problem["error"].as_str().unwrap();
    assert!(error.starts_with("webhook") && !error.contains("struct"), "{error}");
    let large = json!({ "sessionId": "s", "message": "x".repeat(5 << 20) });
    server.post("/task", &large).await.problem(413, "payload_too_large");
    assert_eq!(server.get("/sessions").await.ok(), json!([]), "part of it was accepted");
    server.finish().await;
}

/// The values of such a body have hundreds of megabytes, its text 4.
#[tokio::test]
async fn a_body_takes_no_more_memory_than_its_text() {
    let server = Setup::new().without_image().start().await;
    let zeros = format!("[{}0]", "0,".repeat(1_900_000));
    let names: Vec<String> = (0..300_000).map(|number| format!("\"V{number}\":\"\"")).collect();
    let before = server.kibibytes("VmHWM");
    for (field, value) in [
        ("metadata", zeros.clone()),
        ("metadata", format!("{{\"a\":{zeros}}}")),
        ("prompt", zeros.clone()),
        ("webhook", zeros.clone()),
        ("webhook", format!("{{\"url\":{zeros}}}")),
        ("env", format!("{{{}}}", names.join(","))),
        ("anything", zeros.clone()),
    ] {
        let body = format!("{{\"sessionId\":\"s\",\"message\":\"m\",\"{field}\":{value}}}");
        let request = server.request(reqwest::Method::POST, "/task").header("content-type", "application/json");
        let problem = server.send(request.body(body)).await.problem(400, "invalid_request");
        assert!(problem["error"].as_str().unwrap().starts_with(field), "{problem}");
    }
    let grown = server.kibibytes("VmHWM") - before;
    assert!(grown < 64 * 1024, "{grown} KiB");
    server.finish().await;
}

#[tokio::test]
async fn what_a_route_does_not_read_is_refused() {
    let server = Setup::new().without_image().start().await;
    let hello = json!({ "sessionId": "s", "message": "say:hello" });
    for (method, path) in [
        (Method::POST, "/task"),
        (Method::GET, "/task/t"),
        (Method::POST, "/task/t/retry"),
        (Method::GET, "/session/s"),
        (Method::DELETE, "/session/s"),
        (Method::POST, "/session/s/reset"),
        (Method::POST, "/session/s/ticket"),
        (Method::PUT, "/session/s/credential"),
        (Method::DELETE, "/session/s/credential"),
        (Method::GET, "/agents"),
        (Method::GET, "/models"),
        (Method::POST, "/models/refresh"),
        (Method::GET, "/sandboxes"),
        (Method::POST, "/webhooks/w/replay"),
    ] {
        let request = server.request(method.clone(), &format!("{path}?maxCostUsd=0.1"));
        let request = if path == "/task" { request.json(&hello) } else { request };
        let problem = server.send(request).await.problem(400, "invalid_request");
        let error = problem["error"].as_str().unwrap();
        assert!(error.starts_with("maxCostUsd: there is no such parameter"), "{method} {path}: {error}");
    }
    for path in ["/task/t/abort", "/task/t/retry", "/session/s/reset", "/models/refresh", "/webhooks/w/replay"] {
        let problem = server.post(path, &json!({ "mode": "interrupt" })).await.problem(400, "invalid_request");
        assert_eq!(problem["error"], "mode: there is no such field: this request has no body", "{path}");
    }
    server.post("/task/t/abort", &json!({})).await.ok();
    assert_eq!(server.get("/sessions").await.ok(), json!([]), "a refused request made something");
    server.finish().await;
}

#[tokio::test]
async fn a_request_to_nowhere_is_a_problem_too() {
    let server = Setup::new().without_image().start().await;
    server.get("/nowhere").await.problem(404, "not_found");
    server.get("/session/s/nowhere").await.problem(404, "not_found");
    server.delete("/tasks").await.problem(405, "method_not_allowed");
    server.get("/task").await.problem(405, "method_not_allowed");
    server.get("/stream/s").await.problem(400, "invalid_request");
    server.get("/tasks?limit=1&limit=2").await.problem(400, "invalid_request");
    server.get("/tasks?full=yes").await.problem(400, "invalid_request");
    server.get("/session/%ff").await.problem(400, "invalid_request");
    server.post_nothing("/task/%00/abort").await.problem(400, "invalid_request");
    for path in ["/stream/a%2Fb", "/stream/s?since=x"] {
        let request = server
            .request(Method::GET, path)
            .header("connection", "upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
        server.send(request).await.problem(400, "invalid_request");
    }
    // Cross-origin access is disabled by default.
    let preflight = server.request(Method::OPTIONS, "/task").header("origin", "https://app.example.com");
    let preflight = server.send(preflight.header("access-control-request-method", "POST")).await;
    assert!(!preflight.headers.contains_key("access-control-allow-origin"), "{preflight:?}");
    server.finish().await;
}

#[tokio::test]
async fn with_keys_nothing_is_told_without_one() {
    const KEY: &str = "0123456789abcdef0123456789abcdef";
    let server = Setup::new().without_image().env("API_KEYS", KEY).env("CORS_ORIGINS", "https://app.example.com");
    let server = server.start().await;
    for (method, path) in [
        (Method::GET, "/sessions"),
        (Method::GET, "/nowhere"),
        (Method::DELETE, "/task"),
        (Method::POST, "/task"),
        (Method::GET, "/stream/s"),
    ] {
        for header in [None, Some("Bearer wrong"), Some("Basic MDEyMzQ1Njc4OWFiY2RlZg=="), Some(KEY)] {
            let mut request = server.request(method.clone(), path);
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            server.send(request).await.problem(401, "unauthorized");
        }
    }
    server.get("/health").await.ok();
    server.get("/ready").await.expect(503);
    let request = server.request(Method::GET, "/sessions").bearer_auth(KEY).header("origin", "https://app.example.com");
    let answer = server.send(request).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example.com");
    assert_eq!(answer.ok(), json!([]));
    server.with_key(KEY).finish().await;
}
