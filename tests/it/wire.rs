//! Answers byte for byte: every route's body and headers, with the order of its members. Values that differ between runs and
//! sentences for people are replaced by their names.

mod record;

use reqwest::Method;
use serde_json::json;

use crate::access::{ADMIN, Caller, ended, make_key};
use crate::bounds::within;
use crate::server::{Setup, TestServer};
use record::Record;

/// No server listens there: a delivery is tried and stays pending.
const NOBODY: &str = "http://127.0.0.1:9";

/// Returns the id of the only delivery, once it has been tried.
async fn tried(server: &TestServer) -> String {
    loop {
        let delivery = server.get("/webhooks").await.ok()[0].take();
        if delivery["attempts"][0].is_object() {
            return delivery["id"].as_str().unwrap().to_owned();
        }
    }
}

#[tokio::test]
async fn answers_without_a_sandbox() {
    let server = Setup::new().without_image().env("WEBHOOK_ALLOW", NOBODY).start().await;
    let mut record = Record::of(&server);
    for path in ["/health", "/ready", "/agents", "/sandboxes", "/tasks", "/sessions", "/usage", "/webhooks"] {
        record.get(path).await;
    }
    let hook = json!({ "url": format!("{NOBODY}/hook?token=1"), "secret": format!("whsec_{}=", "A".repeat(43)) });
    let body = json!({ "sessionId": "a", "message": "say:hello", "context": "c", "metadata": { "b": 1, "a": [null] } });
    let failed = record.post("/task", &body).await;
    let failed = failed["taskId"].as_str().unwrap().to_owned();
    let body = json!({ "sessionId": "a", "message": "say:bye", "async": true, "webhook": hook, "maxCostUsd": 0.5 });
    let accepted = record.post("/task", &body).await;
    let accepted = accepted["taskId"].as_str().unwrap().to_owned();
    ended(&server, &accepted).await;
    for task in [&failed, &accepted] {
        record.get(&format!("/task/{task}")).await;
    }
    for query in ["limit=1", "limit=1&status=failed&sessionId=a&q=say%3Ahello", "status=running"] {
        record.get(&format!("/tasks?{query}")).await;
    }
    record.get("/sessions").await;
    record.get("/session/a").await;
    let credential = server.request(Method::PUT, "/session/a/credential").json(&json!({ "apiKey": "sk-own" }));
    record.send("PUT /session/a/credential", credential).await;
    record.get("/session/a").await;
    record.delete("/session/a/credential").await;
    record.post_nothing("/session/a/ticket").await;
    record.post("/session/a/ticket", &json!({ "origin": "https://app.example.com" })).await;
    for id in ["a", "nobody", &failed] {
        record.post_nothing(&format!("/task/{id}/abort")).await;
    }
    let again = record.post_nothing(&format!("/task/{failed}/retry")).await;
    ended(&server, again["taskId"].as_str().unwrap()).await;
    let delivery = within("the delivery is tried", tried(&server)).await;
    record.get(&format!("/webhooks?status=pending&task={accepted}")).await;
    record.post_nothing(&format!("/webhooks/{delivery}/replay")).await;
    record.get("/session/a/files").await;
    record.lines("/session/a/events").await;
    record.lines(&format!("/task/{accepted}/logs?format=ndjson")).await;
    record.get("/usage?by=model,day,key,session&from=2026-01-01").await;
    for id in ["a", "nobody"] {
        record.post_nothing(&format!("/session/{id}/reset")).await;
        record.delete(&format!("/session/{id}")).await;
    }
    insta::assert_snapshot!(record.text());
    server.finish().await;
}

#[tokio::test]
async fn refusals() {
    let server = Setup::new().without_image().env("API_KEYS", ADMIN).start().await.with_key(ADMIN);
    let mut record = Record::of(&server);
    for path in ["/nope", "/session/nobody", "/task/0000000000000000", "/tasks?limit=0", "/usage?by=x"] {
        record.get(path).await;
    }
    for path in ["/webhooks/msg_0/replay", "/task/nobody/retry", "/session/nobody/ticket/more"] {
        record.post_nothing(path).await;
    }
    record.delete("/tasks").await;
    for body in
        [json!({}), json!({ "sessionId": "a" }), json!({ "prompt": "p" }), json!({ "sessionId": "a", "message": 1 })]
    {
        record.post("/task", &body).await;
    }
    let plain = server.request(Method::POST, "/task").header("content-type", "text/plain").body("x");
    record.send("POST /task as text", plain).await;
    let open = server.request(Method::POST, "/task").header("content-type", "application/json").body("{");
    record.send("POST /task, half of it", open).await;
    let foreign = server.request(Method::GET, "/tasks").header("host", "evil.example");
    record.send("GET /tasks by another name", foreign).await;
    let foreign = server.request(Method::GET, "/tasks").header("origin", "https://evil.example");
    record.send("GET /tasks from a foreign page", foreign).await;
    for message in ["say:one", "say:two"] {
        let body = json!({ "sessionId": "a", "message": message, "async": true });
        let keyed = server.request(Method::POST, "/task").header("idempotency-key", "k").json(&body);
        let answer = record.send(&format!("POST /task {message}"), keyed).await;
        ended(&server, answer["taskId"].as_str().unwrap()).await;
    }

    let nobody = Caller::new(&server, 1, None);
    for path in ["/health", "/ready", "/tasks"] {
        record.send(&format!("GET {path} without a key"), nobody.request("GET", path)).await;
    }
    let reader = make_key(&server, &["--scope", "read", "--sessions", "mine-"]).await;
    let reader = Caller::new(&server, 2, Some(&reader));
    for (method, path) in [("GET", "/sandboxes"), ("GET", "/usage?by=key"), ("POST", "/session/a/reset")] {
        record.send(&format!("{method} {path} as a reader"), reader.request(method, path)).await;
    }
    insta::assert_snapshot!(record.text());
    server.finish().await;
}

#[tokio::test]
async fn answers_about_a_sandbox() {
    let server = Setup::new().start().await;
    let mut record = Record::of(&server);
    let mut stream = server.subscribe("s").await;
    record.value("connected", &stream.connected);
    record.post("/task", &json!({ "sessionId": "s", "message": "say:hello" })).await;
    let files = "bash:mkdir sub && ln -s note.txt link && touch sub/inner && mkfifo pipe";
    let files = record.post("/task", &json!({ "sessionId": "s", "message": files })).await;
    record.get(&format!("/task/{}", files["taskId"].as_str().unwrap())).await;
    record.get("/session/s/files").await;
    record.get("/session/s/files/sub").await;
    record.get("/session/s/files/none").await;
    record.post("/task", &json!({ "sessionId": "s", "message": "loop:", "maxTurns": 1 })).await;

    let running = server.enqueue("s", "bash:sleep 100").await;
    stream.until_event("the tool", |event| event["type"] == "tool_start" && event["taskId"] == *running).await;
    for path in ["/sandboxes", "/sessions", "/session/s", &format!("/task/{running}")] {
        record.get(path).await;
    }
    let waiting = server.enqueue("s", "say:later").await;
    record.get(&format!("/task/{waiting}")).await;
    record.post_nothing(&format!("/task/{waiting}/abort")).await;
    record.post_nothing("/task/s/abort").await;
    ended(&server, &running).await;
    record.get(&format!("/task/{running}")).await;
    record.get("/usage?by=session,model").await;
    record.value("connected again", &server.subscribe_since("s", 0).await.connected);
    insta::assert_snapshot!(record.text());
    server.finish().await;
}
