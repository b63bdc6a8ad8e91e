//! A key's own limits, and a server that has lost its keys.

use serde_json::json;

use super::{ADMIN, Caller, audit, ended, forgotten, make_key, revoke};
use crate::server::{Setup, TestServer};

#[tokio::test]
async fn a_key_is_held_to_its_models_and_an_address_to_its_guesses() {
    let server = Setup::new().without_image().env("API_KEYS", ADMIN).start().await.with_key(ADMIN);
    let key = make_key(&server, &["--scope", "submit", "--model", "claude-sonnet-4-6"]).await;
    let caller = Caller::new(&server, 1, Some(&key));
    let post = |model: &str| {
        let body = json!({ "sessionId": "s", "message": "say:hello", "model": model, "async": true });
        server.send(caller.request("POST", "/task").json(&body))
    };
    let problem = post("claude-opus-4-6").await.problem(403, "forbidden");
    assert!(problem["error"].as_str().unwrap().starts_with("model"), "{problem}");
    let task = post("claude-sonnet-4-6").await.expect(202);
    ended(&server, task["taskId"].as_str().unwrap()).await;

    let guesser = Caller::new(&server, 2, Some("wrong"));
    let mut limited = None;
    for _ in 0..=40 {
        let answer = guesser.call("GET", "/sessions").await;
        if answer.status != 401 {
            limited = Some(answer);
            break;
        }
    }
    let limited = limited.expect("guessing has no end");
    assert!(limited.header("retry-after").parse::<u32>().unwrap() > 0);
    limited.problem(429, "rate_limited");
    // A valid key still works while another caller guesses keys.
    Caller::new(&server, 2, Some(&key)).call("GET", "/sessions").await.ok();

    // A request cannot add a line to the audit log.
    let odd = "x%0A%7B%22key.id%22%3A%22forged%22%7D";
    let request = Caller::new(&server, 3, None);
    let request = request.request("GET", &format!("/session/{odd}")).header("x-request-id", "a b\"}");
    let answer = server.send(request).await;
    assert_ne!(answer.header("x-request-id"), "a b\"}");
    let id = answer.header("x-request-id").to_owned();
    let log = audit(&server);
    let line = log.iter().find(|line| line["request.id"] == *id).unwrap();
    assert_eq!(line["session.id"], "x\n{\"key.id\":\"forged\"}");
    assert_eq!((&line["http.status"], &line["key.id"]), (&json!(401), &json!(null)));
    assert!(log.iter().all(|line| line["key.id"] != "forged"));
    let long = Caller::new(&server, 3, None);
    long.call("GET", &format!("/session/{}", "y".repeat(20_000))).await.problem(401, "unauthorized");
    assert_eq!(audit(&server).last().unwrap()["session.id"].as_str().unwrap().len(), 128);
    server.finish().await;
}

#[tokio::test]
async fn a_key_that_calls_too_often_is_told_when_to_come_back() {
    let server = Setup::new().without_image().env("API_KEYS", ADMIN).env("RATE_LIMIT", "3").start().await;
    let server = server.with_key(ADMIN);
    let other = make_key(&server, &["--scope", "read"]).await;
    for _ in 0..3 {
        server.get("/sessions").await.ok();
    }
    let limited = server.get("/sessions").await;
    assert!(limited.header("retry-after").parse::<u32>().unwrap() > 0);
    limited.problem(429, "rate_limited");
    server.get("/health").await.ok();
    Caller::new(&server, 1, Some(&other)).call("GET", "/sessions").await.ok();
    server.abandon().await;
}

/// The server starts without keys, as on a developer's machine.
#[tokio::test]
async fn taking_back_the_last_key_does_not_open_the_server() {
    let mut server = Setup::new().without_image().start().await;
    server.get("/sessions").await.ok();
    let mut before = server.subscribe("s").await;
    // A page may use tickets even without keys.
    server.post_nothing("/session/s/ticket").await.expect(201);
    let key = make_key(&server, &["--scope", "admin"]).await;
    assert_eq!(before.until_closed().await, 4001, "a caller without a key");
    drop(before);
    refused(&server).await;
    Caller::new(&server, 1, Some(&key)).call("GET", "/sessions").await.ok();

    revoke(&server, &key);
    forgotten(&server, &key).await;
    refused(&server).await;
    server.stop().await;
    server.start_again().await;
    refused(&server).await;
    let key = make_key(&server, &["--scope", "admin"]).await;
    server.with_key(&key).finish().await;
}

async fn refused(server: &TestServer) {
    server.get("/sessions").await.problem(401, "unauthorized");
    server.task("s", "say:hello").await.problem(401, "unauthorized");
}
