//! SANDBOX_RUNTIME: an OCI runtime is used only once it has run a real tool call.

use std::process::Command;

use crate::agent_image::TestImage;
use crate::server::{Process, Setup};

/// Every Docker engine has this runtime, so the test does not have to install one.
const RUNTIME: &str = "runc";

#[tokio::test]
async fn a_runtime_is_used_once_it_has_run_a_tool_call() {
    let server = Setup::new().env("SANDBOX_RUNTIME", RUNTIME).start().await;
    server.logged("has passed its self-test").await;
    let ready = server.get("/ready").await.ok();
    assert!(ready.to_string().contains("runc has passed its self-test"), "{ready:#}");
    server.assert_nothing_left().await;
    assert_eq!(server.model.request_count(), 0, "the self-test asked the operator's model");
    assert_eq!(server.say("s", "bash:echo used").await, "done: used");

    // The server does not start with a runtime that the engine does not know.
    let mut environment = server.environment().clone();
    environment.insert("SANDBOX_RUNTIME".to_owned(), "nonesuch".to_owned());
    environment.insert("DATA_DIR".to_owned(), server.directory().join("other").display().to_string());
    let mut process = Process::spawn(&environment, server.directory());
    assert_eq!(process.address().await, None, "it started");
    assert_eq!(process.ended().await.code(), Some(64), "{}", process.log());
    assert!(
        process.log().contains("SANDBOX_RUNTIME is nonesuch") && process.log().contains(RUNTIME),
        "{}",
        process.log()
    );
    server.finish().await;
}

#[tokio::test]
async fn the_variant_of_the_image_for_gvisor_lets_the_runtime_read_claude_and_runs_tasks() {
    const LOOK: &str =
        "bash:stat -c %a /usr/local/bin/claude; test -r /usr/local/bin/claude && echo readable || echo closed";
    // The instructions are those of the document.
    let document = include_str!("../../docs/reference/engines.md");
    let (_, written) = document.split_once("printf 'FROM claude-runner\\n").unwrap();
    let (instructions, _) = written.split_once("' | docker build").unwrap();
    let variant = TestImage::build("gvisor", &instructions.replace("\\n", "\n"), &[]).await;
    for (image, mode) in [(&variant.name, "755\nreadable"), (&crate::server::agent_image(), "711\nclosed")] {
        let server = Setup::new().env("SANDBOX_RUNTIME", RUNTIME).env("DOCKER_IMAGE", image).start().await;
        assert_eq!(server.say("s", LOOK).await, format!("done: {mode}"), "{image}");
        assert_eq!(server.say("s", "say:again").await, "again", "{image}");
        server.finish().await;
    }
    variant.remove().await;
}

#[tokio::test]
async fn a_runtime_that_fails_its_test_runs_no_task() {
    // This agent initialises and never makes a call, as in a runtime that lacks what tools need.
    let agent = r#"#!/bin/bash
while read -r line; do
    case $line in
        *control_request*) echo '{"type":"control_response","response":{"subtype":"success","request_id":"initialize","response":{}}}' ;;
        *user*) echo '{"type":"result","subtype":"success","is_error":false,"result":"done","session_id":"x"}' ;;
    esac
done
"#;
    let image = TestImage::with_agent("runtime", agent, 0o755).await;
    let server = Setup::new().env("SANDBOX_RUNTIME", RUNTIME).env("DOCKER_IMAGE", &image.name).start().await;
    let problem = server.task("s", "bash:echo used").await.problem(503, "engine_unavailable");
    let error = problem["error"].as_str().unwrap();
    assert!(error.contains("SANDBOX_RUNTIME is runc") && error.contains("it made no tool call"), "{error}");
    assert!(server.get("/ready").await.expect(503).to_string().contains("has not passed its self-test"));
    server.finish().await;

    let directory = tempfile::tempdir().unwrap();
    let doctor = |image: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_claude-runner"))
            .args(["doctor", "--json"])
            .current_dir(directory.path())
            .env("AGENT_DIR", concat!(env!("CARGO_MANIFEST_DIR"), "/../../agent"))
            .env("DATA_DIR", directory.path().join("data"))
            .env("RUNTIME_DIR", directory.path().join("run"))
            .env("ANTHROPIC_API_KEY", "sk-ant-not-a-real-one")
            .env("PORT", "0")
            .env("SANDBOX_RUNTIME", RUNTIME)
            .env("DOCKER_IMAGE", image)
            .output()
            .unwrap();
        let checks: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
        checks.into_iter().find(|check| check["name"] == "runtime-test").unwrap()
    };
    let check = doctor(&image.name);
    assert_eq!(check["status"], "fail", "{check:#}");
    assert!(check["detail"].as_str().unwrap().contains("it made no tool call"), "{check:#}");
    let check = doctor(&crate::server::agent_image());
    assert_eq!(check["status"], "ok", "{check:#}");
    image.remove().await;
}
