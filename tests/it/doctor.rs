//! `claude-runner doctor` as a user runs it: its output, its exit code, and that it leaves nothing behind.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use coordinator::config::docker_host;
use engine::{Engine as _, Labels};
use engine_docker::DockerEngine;
use serde_json::Value;

/// Returns a `doctor` command with valid settings and a free port.
fn doctor(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claude-runner"));
    command
        .arg("doctor")
        .current_dir(directory)
        .env("AGENT_DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/../../agent"))
        .env("DATA_DIR", directory.join("data"))
        .env("RUNTIME_DIR", directory.join("run"))
        .env("ANTHROPIC_API_KEY", "sk-ant-not-a-real-one")
        .env("PORT", "0");
    command
}

/// Returns the exit code, and each check by its name.
fn looked(command: &mut Command) -> (i32, Value) {
    let (_, code, checks) = looked_as(command);
    (code, checks)
}

/// Like [`looked`], with the process id of the command.
fn looked_as(command: &mut Command) -> (u32, i32, Value) {
    let child = command.arg("--json").stdout(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let checks: Vec<Value> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    for check in &checks {
        let fine = check["status"] == "ok";
        assert_eq!(check["remedy"].is_null(), fine, "exactly the checks that are not ok have a remedy: {check}");
    }
    let by_name = checks.into_iter().map(|check| (check["name"].as_str().unwrap().to_owned(), check)).collect();
    (pid, output.status.code().unwrap(), Value::Object(by_name))
}

fn entries(directory: &Path) -> usize {
    std::fs::read_dir(directory).unwrap().count()
}

#[tokio::test]
async fn a_machine_that_is_ready_is_found_so_and_left_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let (pid, code, checks) = looked_as(&mut doctor(directory.path()));
    for name in [
        "engine",
        "engine-api",
        "memory",
        "link",
        "agent",
        "model",
        "credential",
        "data-dir",
        "store",
        "runtime-dir",
        "git",
    ] {
        assert_eq!(checks[name]["status"], "ok", "{checks:#}");
    }
    assert_eq!(code, 0, "{checks:#}");
    assert_eq!(entries(directory.path()), 0, "something was left");
    // Other doctors may run at the same time.
    let labels = Labels::from([("claude-runner.doctor".to_owned(), pid.to_string())]);
    assert_eq!(DockerEngine::new(docker_host().unwrap()).list_containers(&labels).await.unwrap(), []);
}

#[test]
fn an_engine_that_is_not_there_fails() {
    let directory = tempfile::tempdir().unwrap();
    let (code, checks) = looked(doctor(directory.path()).env("DOCKER_HOST", "unix:///nonexistent"));
    assert_eq!((code, &checks["engine"]["status"]), (1, &Value::from("fail")), "{checks:#}");
    assert_eq!(checks["link"]["status"], "warn", "{checks:#}");
}

#[test]
fn a_port_of_another_program_fails() {
    let directory = tempfile::tempdir().unwrap();
    // This listener accepts connections and never answers.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let (code, checks) = looked(doctor(directory.path()).env("PORT", port));
    assert_eq!((code, &checks["port"]["status"]), (1, &Value::from("fail")), "{checks:#}");
}

#[test]
fn settings_that_cannot_work_fail() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "").unwrap();
    let mut command = doctor(directory.path());
    command
        .env("DATA_DIR", directory.path().join("file"))
        .env("RUNTIME_DIR", directory.path().join("r".repeat(100)))
        .env("AGENT_DIR", directory.path())
        .env("HOST", "0.0.0.0")
        .env("ANTHROPIC_BASE_URL", "ftp://example.com")
        .env("DOCKER_IMAGE", "there-is-no-such-image")
        .env_remove("ANTHROPIC_API_KEY")
        .env_remove("CLAUDE_CODE_OAUTH_TOKEN")
        .env("HOME", directory.path());
    let (code, checks) = looked(&mut command);
    for name in ["data-dir", "runtime-dir", "agent", "access", "model-api", "image", "credential", "store"] {
        assert_eq!(checks[name]["status"], "fail", "{name}: {checks:#}");
    }
    assert_eq!(code, 1);
}

#[test]
fn people_get_lines_without_colours_where_there_is_no_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let output = doctor(directory.path()).env("DOCKER_HOST", "unix:///nonexistent").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains('\u{1b}'), "{text}");
    assert!(text.starts_with("fail  engine  "), "{text}");
    assert!(text.lines().nth(1).is_some_and(|line| line.trim_start().starts_with("→ ")), "{text}");
}
