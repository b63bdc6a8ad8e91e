//! Failed model requests: the task ends soon with the reason, and the session accepts the next task.

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

use crate::server::{Setup, TestServer};

#[tokio::test]
async fn a_failed_model_request_ends_the_task_with_its_reason() {
    let server = TestServer::start().await;
    server.say("s", "say:before").await;
    // The gateway retries a few times where that may help. The CLI would retry for minutes.
    for (message, error_type, most_requests) in [
        ("status:401", "auth_expired", 1),
        ("status:429", "capacity_reached", 3),
        ("status:529", "capacity_reached", 3),
    ] {
        let before = server.model.request_count();
        let answer = server.task("s", message).await;
        assert!(answer.headers.contains_key("retry-after"));
        let problem = answer.problem(503, error_type);
        assert_eq!((&problem["status"], &problem["errorType"]), (&json!("failed"), &json!(error_type)), "{message}");
        let requests = server.model.request_count() - before;
        assert!(requests <= most_requests, "{message} took {requests} requests");
        let task = server.get(&format!("/task/{}", problem["taskId"].as_str().unwrap())).await.ok();
        assert_eq!((&task["status"], &task["errorType"]), (&json!("failed"), &json!(error_type)));
    }
    // The CLI alone would send it six times.
    let before = server.model.request_count();
    let refused = server.task("s", "status:400").await.problem(502, "exit_code");
    assert!(server.model.request_count() - before <= 2);
    assert!(refused["error"].as_str().unwrap().contains("scripted 400"), "{refused:#}");

    assert_eq!(server.say("s", "status-once:529").await, "answered after 529");
    assert_eq!(server.say("s", "status-once:500").await, "answered after 500");
    assert!(server.say("s", "recall:").await.contains("say:before"));
    assert_eq!(server.get("/session/s").await.ok()["turns"], 4, "a failed task is no turn");
    server.finish().await;
}

#[tokio::test]
async fn a_model_api_that_cannot_be_reached_ends_the_task_as_that() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Setup::new().env("ANTHROPIC_BASE_URL", format!("http://{nobody}")).start().await;
    let answer = server.task("s", "say:hello").await;
    assert!(answer.headers.contains_key("retry-after"));
    let problem = answer.problem(503, "model_unreachable");
    assert_eq!((&problem["taskStatus"], &problem["httpStatus"]), (&json!("failed"), &json!(503)), "{problem:#}");
    assert!(problem["error"].as_str().unwrap().contains("nothing listens there"), "{problem:#}");

    let hurried = server.task_with("s", "say:hello", &json!({ "timeoutMs": 8000 })).await.problem(504, "timeout");
    assert!(hurried["error"].as_str().unwrap().contains("could not be reached"), "{hurried:#}");
    server.finish().await;
}

/// The behaviour of an API that takes every connection and answers no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mute {
    Silent,
    SilentAfterHead,
    HangsUp,
}

async fn mute_api(mute: Mute) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    TaskTracker::new().spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            if mute == Mute::SilentAfterHead {
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
                stream.write_all(head.as_bytes()).await.unwrap();
            }
            if mute != Mute::HangsUp {
                held.push(stream);
            }
        }
    });
    url
}

#[tokio::test]
async fn a_model_api_that_takes_requests_and_does_not_answer_ends_the_task_as_that() {
    let task = async |mute: Mute, words: &str| {
        let server = Setup::new().env("ANTHROPIC_BASE_URL", mute_api(mute).await).start().await;
        // A task that lasts a minute would end as `timeout`.
        let answer = server.task_with("s", "say:hello", &json!({ "timeoutMs": 60_000 })).await;
        let problem = answer.problem(503, "model_unreachable");
        let sentence = problem["error"].as_str().unwrap();
        assert!(sentence.contains(words), "{mute:?}: {problem:#}");
        server.finish().await;
    };
    tokio::join!(
        task(Mute::Silent, "has sent nothing for"),
        task(Mute::SilentAfterHead, "has sent nothing after the head of its answer"),
        task(Mute::HangsUp, "broke before the answer began"),
    );
}

#[tokio::test]
async fn without_a_credential_a_task_says_what_is_missing() {
    let server = Setup::new().env("ANTHROPIC_API_KEY", "").start().await;
    let ready = server.get("/ready").await.expect(503);
    let checks = ready["checks"].as_array().unwrap();
    let credential = checks.iter().find(|check| check["name"] == "credential").unwrap();
    assert_eq!(credential["ok"], false, "{ready:#}");

    assert_eq!(server.get("/health").await.ok()["credential"], "none");
    let answer = server.task("s", "say:hello").await;
    // Only the operator can help.
    assert!(!answer.headers.contains_key("retry-after"));
    let problem = answer.problem(503, "no_credential");
    assert_eq!((&problem["errorType"], &problem["retryable"]), (&json!("no_credential"), &json!(false)));
    let sentence = problem["error"].as_str().unwrap();
    assert!(sentence.contains("ANTHROPIC_API_KEY") && sentence.contains("serve --scripted"), "{problem:#}");
    assert_eq!(server.model.request_count(), 0);

    // A session with its own credential still works.
    let own = json!({ "env": { "ANTHROPIC_API_KEY": mock_api::scripted_model::DEFAULT_KEY } });
    assert_eq!(server.task_with("s", "say:hello", &own).await.ok()["response"], "hello");
    server.finish().await;
}
