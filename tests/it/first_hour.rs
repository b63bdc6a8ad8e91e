//! The server of somebody who has no credential yet, and its first lines.

use serde_json::{Value, json};

use crate::server::{Setup, TestServer};

/// The settings of a server that has none but its place. The scripted model of the test is not its model API.
async fn without_a_credential() -> TestServer {
    Setup::new()
        .env("ANTHROPIC_API_KEY", "")
        .env("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
        .env("SCRIPTED", "true")
        .start()
        .await
}

fn detail<'a>(ready: &'a Value, name: &str) -> &'a str {
    let checks = ready["checks"].as_array().unwrap();
    checks.iter().find(|check| check["name"] == name).unwrap()["detail"].as_str().unwrap()
}

#[tokio::test]
async fn the_scripted_model_in_the_server_answers_and_says_so_everywhere() {
    let server = without_a_credential().await;
    let log = server.log();
    assert!(log.contains("THE SCRIPTED MODEL ANSWERS, NOT CLAUDE"), "{log}");
    assert_eq!(server.get("/health").await.ok()["credential"], "scripted");
    let ready = server.get("/ready").await.ok();
    assert!(detail(&ready, "credential").contains("the scripted model answers, not Claude"), "{ready:#}");

    // A session's own credential is neither used nor needed.
    let own = json!({ "env": { "ANTHROPIC_API_KEY": "sk-ant-of-somebody" } });
    let answer = server.task_with("s", "bash:echo from the sandbox", &own).await.ok();
    assert_eq!(answer["response"], "done: from the sandbox");
    let task = server.get(&format!("/task/{}", answer["taskId"].as_str().unwrap())).await.ok();
    assert_eq!((&task["scripted"], &task["status"]), (&json!(true), &json!("completed")), "{task:#}");
    assert_eq!(server.get("/tasks").await.ok()[0]["scripted"], true);
    assert_eq!(server.model.request_count(), 0, "another model was asked");
    server.finish().await;
}

#[tokio::test]
async fn the_first_lines_tell_where_everything_is() {
    let server = Setup::new().without_image().start().await;
    let log = server.log();
    let data = std::fs::canonicalize(server.directory().join("data")).unwrap();
    for line in [
        format!("Claude Runner {}", env!("CARGO_PKG_VERSION")),
        format!("  page        {}", server.url("")),
        "  credential  ANTHROPIC_API_KEY, which pays for ".to_owned(),
        "  agents      default, in ".to_owned(),
        "  engine      ".to_owned(),
        format!("  data        {}", data.display()),
    ] {
        assert!(log.lines().any(|logged| logged.starts_with(&line)), "{line:?} is missing:\n{log}");
    }
    assert!(log.starts_with("Claude Runner "), "something is before the first line:\n{log}");
    assert!(!log.contains("migration"), "{log}");
    server.finish().await;

    let server = Setup::new().without_image().env("LOG_FORMAT", "json").start().await;
    let log = server.log();
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "not JSON:\n{log}");
    server.finish().await;

    let server = Setup::new().without_image().env("ANTHROPIC_API_KEY", "").start().await;
    let log = server.log();
    assert!(log.contains("no_credential") && log.contains("claude-runner serve --scripted"), "{log}");
    server.finish().await;
}
