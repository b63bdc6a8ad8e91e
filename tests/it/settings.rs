//! Invalid settings, and servers that lack something that a task needs.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::server::{Process, Setup, TestServer};

/// Starts a second server with changed settings. Returns its exit code and its output.
pub(crate) async fn refused(server: &TestServer, changes: &[(&str, &str)]) -> (i32, String) {
    let mut environment = server.environment().clone();
    environment.insert("DATA_DIR".to_owned(), server.directory().join("other").display().to_string());
    environment.extend(changes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let mut process = Process::spawn(&environment, server.directory());
    assert_eq!(process.address().await, None, "it started with {changes:?}");
    let status = process.ended().await;
    assert!(!process.log().contains("os error"), "the system's own words: {}", process.log());
    (status.code().unwrap(), process.log())
}

#[tokio::test]
async fn a_bad_setting_stops_the_start_and_is_named() {
    let server = Setup::new().without_image().start().await;
    for (name, value) in [
        ("PORT", "99999"),
        ("PORT", "none"),
        ("HOST", "localhost:1"),
        ("MODEL", "gpt 4"),
        ("MAX_TURNS", "0"),
        ("TASK_TIMEOUT_MS", "soon"),
        ("IDLE_TIMEOUT_MS", "-1"),
        ("MAX_QUEUE", "0"),
        ("SANDBOX_NETWORK", "host"),
        ("SANDBOX_MEMORY", "plenty"),
        ("SANDBOX_CPUS", "0"),
        ("SANDBOX_PIDS", "1"),
        ("SANDBOX_DISK", "much"),
        ("EGRESS_ALLOW", "http://"),
        ("EGRESS_MAX_BYTES", "0"),
        ("ANTHROPIC_BASE_URL", "not a url"),
        ("API_KEYS", "short"),
        ("CORS_ORIGINS", "https://app.example.com/path"),
        ("TRUSTED_PROXIES", "10.0.0.0/33"),
        ("LOG_FORMAT", "xml"),
        ("WEBHOOK_SECRET", "whsec_short"),
        ("WEBHOOK_ALLOW", "http://"),
        ("WEBHOOK_ATTEMPTS", "0"),
        ("WEBHOOK_RETRY_MS", "0"),
        ("ANTHROPIC_API_KEY", "a\nb"),
    ] {
        let (code, said) = refused(&server, &[(name, value)]).await;
        assert_eq!(code, 64, "{name}={value}: {said}");
        assert!(said.contains(name), "{name}={value} was answered with: {said}");
    }
    let (code, said) = refused(&server, &[("HOST", "0.0.0.0")]).await;
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("API_KEYS"), "{said}");

    let empty = server.directory().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let (code, said) = refused(&server, &[("AGENT_DIR", empty.to_str().unwrap())]).await;
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("AGENT_DIR") && said.contains("AGENTS.md"), "{said}");
    std::fs::write(empty.join("AGENTS.md"), "x").unwrap();
    std::fs::write(empty.join("OUTPUT.schema.json"), "{\"type\": 7}").unwrap();
    let (code, said) = refused(&server, &[("AGENT_DIR", empty.to_str().unwrap())]).await;
    assert_eq!(code, 64, "{said}");
    assert!(said.contains("AGENT_DIR") && said.contains("OUTPUT.schema.json"), "{said}");

    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = held.local_addr().unwrap().port();
    let (_, said) = refused(&server, &[("PORT", &taken.to_string())]).await;
    assert!(said.contains(&format!("127.0.0.1:{taken} (HOST, PORT): another program listens there")), "{said}");
    drop(held);

    let secret = "a secret that is much too short";
    let (_, said) = refused(&server, &[("API_KEYS", secret)]).await;
    assert!(!said.contains(secret), "a secret was printed: {said}");
    server.finish().await;
}

#[tokio::test]
async fn without_an_image_a_task_says_how_to_build_it() {
    let server = Setup::new().without_image().start().await;
    let ready = server.get("/ready").await.expect(503);
    assert!(detail(&ready, "image").contains("claude-runner image build"), "{ready:#}");
    for _ in 0..2 {
        let problem = server.task("s", "say:hello").await.problem(503, "engine_unavailable");
        assert_eq!((&problem["status"], &problem["errorType"]), (&json!("failed"), &json!("engine_unavailable")));
        assert!(problem["error"].as_str().unwrap().contains("claude-runner image build"), "{problem:#}");
    }
    // Tasks that wait behind it fail as well.
    let mut events = server.subscribe("t").await;
    let tasks = [server.enqueue("t", "say:1").await, server.enqueue("t", "say:2").await];
    for task in tasks {
        let end = events.until("task_failed").await;
        assert_eq!((&end["taskId"], &end["errorType"]), (&json!(task), &json!("engine_unavailable")));
    }
    server.finish().await;
}

#[tokio::test]
async fn without_an_engine_the_server_runs_and_says_so() {
    let server = Setup::new().env("DOCKER_HOST", "unix:///nowhere/docker.sock").env("MAX_QUEUE", "2").start().await;
    server.get("/health").await.ok();
    let ready = server.get("/ready").await.expect(503);
    assert!(detail(&ready, "engine").contains("/nowhere/docker.sock"), "{ready:#}");
    let problem = server.task("s", "say:hello").await.problem(503, "engine_unavailable");
    assert_eq!(problem["errorType"], "engine_unavailable");
    assert_eq!(server.get("/session/s").await.ok()["turns"], 0);
    assert_eq!(server.post_nothing("/task/s/abort").await.ok()["aborted"], false);

    // Tasks wait in the meantime, up to the limit.
    let waiting = [server.enqueue("t", "say:1").await, server.enqueue("t", "say:2").await];
    server.task("t", "say:3").await.problem(429, "queue_full");
    assert_eq!(server.post_nothing("/task/t/abort").await.ok()["aborted"], true);
    for task in waiting {
        assert_eq!(server.get(&format!("/task/{task}")).await.ok()["status"], "aborted");
    }
    server.abandon().await;
}

/// Returns the detail of a failed check of `/ready`.
fn detail<'a>(ready: &'a Value, name: &str) -> &'a str {
    let check = ready["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap();
    assert_eq!(check["ok"], false, "{ready:#}");
    check["detail"].as_str().unwrap()
}
