//! Tests that credentials and `env` are visible only to those who may see them.

use std::path::Path;

use mock_api::scripted_model::{Credential, DEFAULT_KEY};
use serde_json::json;

use crate::engine::EngineApi;
use crate::server::{Setup, TestServer};

const VALUE: &str = "v4lue-of-the-env-that-nobody-may-see";
const SESSION_KEY: &str = "sk-ant-of-the-session";

#[tokio::test]
async fn credentials_and_env_values_stay_where_they_belong() {
    let server = TestServer::start().await;
    server.model.expect_key(SESSION_KEY);
    let env = json!({ "env": { "API_SECRET": VALUE, "ANTHROPIC_API_KEY": SESSION_KEY } });
    server.task_with("own", "say:hello", &env).await.ok();
    assert_eq!(last_credential(&server), Credential::ApiKey(1), "the session's own credential");
    // The tools see the value, as intended. The command prints only its length, so that no event contains it.
    assert_eq!(server.say("own", "bash:echo ${#API_SECRET}").await, format!("done: {}", VALUE.len()));
    assert_eq!(last_credential(&server), Credential::ApiKey(1), "for later tasks too");
    server.task("other", "say:hello").await.ok();
    assert_eq!(last_credential(&server), Credential::ApiKey(0), "another session has the operator's");

    // The agent's view: it finds no credential and nothing of the first process.
    for session in ["own", "other"] {
        let keys =
            server.say(session, "bash:cat /proc/*/environ /proc/*/cmdline 2>/dev/null | grep -ac 'sk-ant[-]'").await;
        assert!(keys.starts_with("done: 0") || keys.contains("\n0"), "{keys}");
        let files =
            server.say(session, "bash:grep -rlsa 'sk-ant[-]' / --exclude-dir=proc --exclude-dir=sys; true").await;
        // The CLI writes this command into its transcript, but the pattern does not match itself.
        assert_eq!(only_agents_files(&files), "", "{files}");
        let first = server.say(session, "bash:cat /proc/1/environ 2>&1; true").await;
        assert!(first.contains("Permission denied"), "{first}");
    }

    // The view of the engine's operator.
    let engine = EngineApi::new();
    for container in server.containers().await {
        let inspected = engine.inspect(container.id.as_str()).await.to_string();
        assert_without_secrets("docker inspect", &inspected);
        let environ = engine.environment_of_first_process(container.id.as_str()).await;
        assert!(environ.contains("LINK="), "nothing was read: {environ}");
        assert_without_secrets("/proc/1/environ", &environ);
    }

    // The view of callers and subscribers.
    for path in ["/sessions", "/session/own", "/tasks", "/health", "/ready"] {
        assert_without_secrets(path, &server.get(path).await.ok().to_string());
    }
    let tasks = server.get("/tasks?sessionId=own").await.ok();
    let task = format!("/task/{}", tasks[0]["id"].as_str().unwrap());
    assert_without_secrets(&task, &server.get(&task).await.ok().to_string());
    let mut events = server.subscribe_since("own", 0).await;
    events.until_end_of(&tasks[0]["taskId"]).await;
    for event in &events.events {
        assert_without_secrets("an event", &event.to_string());
    }

    // The host's disk and the log.
    assert_without_secrets("the log", &server.log());
    let data = server.directory().join("data");
    for secret in [VALUE, SESSION_KEY, DEFAULT_KEY] {
        assert!(!holds(&data, secret.as_bytes()), "{secret} is in DATA_DIR");
    }
    server.finish().await;
}

#[tokio::test]
async fn a_login_of_claude_code_is_read_again_when_it_changes() {
    let server = Setup::new().env("ANTHROPIC_API_KEY", "").start().await;
    let login = server.directory().join("home/.claude/.credentials.json");
    std::fs::create_dir_all(login.parent().unwrap()).unwrap();
    let log_in = |token: &str, expires_at: u64| {
        let content =
            json!({ "claudeAiOauth": { "accessToken": token, "refreshToken": "r", "expiresAt": expires_at } });
        std::fs::write(&login, content.to_string()).unwrap();
    };
    log_in("sk-ant-oat01-old", 1_000);
    let problem = server.task("s", "say:hello").await.problem(503, "auth_expired");
    assert!(problem["error"].as_str().unwrap().contains("expired"), "{problem:#}");
    assert!(server.get("/ready").await.expect(503).to_string().contains("expired"));

    server.model.expect_token("sk-ant-oat01-new");
    log_in("sk-ant-oat01-new", 4_000_000_000_000);
    assert_eq!(server.say("s", "say:hello").await, "hello");
    assert_eq!(last_credential(&server), Credential::OauthToken(0));
    server.get("/ready").await.ok();

    // A session's own key has priority. A wrong one fails only that session.
    let own = json!({ "env": { "ANTHROPIC_API_KEY": DEFAULT_KEY } });
    server.task_with("t", "say:hello", &own).await.ok();
    assert_eq!(last_credential(&server), Credential::ApiKey(0));
    server.finish().await;
}

pub(crate) fn last_credential(server: &TestServer) -> Credential {
    server.model.requests().last().unwrap().credential
}

#[track_caller]
fn assert_without_secrets(what: &str, text: &str) {
    for secret in [VALUE, SESSION_KEY, DEFAULT_KEY] {
        assert!(!text.contains(secret), "{secret} is in {what}: {text}");
    }
}

/// Returns the files outside the CLI's program, which contains the prefixes of such keys.
pub(crate) fn only_agents_files(listing: &str) -> String {
    let listing = listing.trim_start_matches("done:").trim();
    listing.lines().filter(|path| path.starts_with('/') && !path.starts_with("/usr/")).collect::<Vec<_>>().join("\n")
}

/// Returns true if a file below the directory contains these bytes.
pub(crate) fn holds(directory: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).any(|path| {
        if path.is_dir() {
            return holds(&path, bytes);
        }
        std::fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes)
    })
}
