//! The version of Claude Code: in an image that is built, and in the image that a server runs its sandboxes from.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use engine::{Engine as _, ImageInfo, Labels};
use engine_docker::DockerEngine;
use serde_json::json;

use crate::agent_image::TestImage;
use crate::server::{Setup, TestServer, agent_image};

/// A version that is newer than the minimum and that no release was tested with.
const UNTESTED: &str = "2.1.300";

fn engine() -> DockerEngine {
    DockerEngine::new(coordinator::config::docker_host().unwrap())
}

async fn image(name: &str) -> Option<ImageInfo> {
    engine().image(name).await.unwrap()
}

async fn image_build(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_claude-runner"));
    command.args(["image", "build"]).args(arguments).current_dir("/").env_remove("DOCKER_IMAGE");
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The check of the image that `doctor` prints.
async fn doctor(image: &str) -> serde_json::Value {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_claude-runner"));
    command.args(["doctor", "--json"]).current_dir(directory.path()).env("DOCKER_IMAGE", image);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let checks: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    checks.into_iter().find(|check| check["name"] == "image").unwrap()
}

#[tokio::test]
async fn another_version_is_built_by_its_hash_in_the_registry_and_replaces_only_an_image_of_this_command() {
    const NAME: &str = "claude-runner-test-version";
    const CHILD: &str = "claude-runner-test-version-child";
    let built = image_build(&["--tag", NAME, "--claude", UNTESTED]).await;
    let said = stderr(&built);
    assert!(built.status.success(), "{said}");
    assert!(said.contains(&format!("with Claude Code {UNTESTED}")) && said.contains("untested"), "{said}");
    let first = image(NAME).await.unwrap();
    let again = image_build(&["--tag", NAME, "--claude", UNTESTED]).await;
    assert!(stderr(&again).contains("up to date"), "{}", stderr(&again));

    let check = doctor(NAME).await;
    assert_eq!(check["status"], "warn", "{check:#}");
    assert!(check["detail"].as_str().unwrap().contains(&format!("Claude Code {UNTESTED}")), "{check:#}");

    // An image that starts from ours inherits its labels. It is not ours.
    let child = TestImage::build_from(NAME, "version-child", "ENV MINE=1").await;
    let child_id = image(CHILD).await.unwrap().id;
    let refused = image_build(&["--tag", CHILD, "--claude", UNTESTED]).await;
    let said = stderr(&refused);
    assert!(!refused.status.success() && said.contains(CHILD) && said.contains("--tag"), "{said}");
    assert_eq!(image(CHILD).await.unwrap().id, child_id);
    child.remove().await;

    let default = image_build(&["--tag", NAME]).await;
    assert!(default.status.success(), "{}", stderr(&default));
    assert_ne!(image(NAME).await.unwrap().id, first.id);
    assert_eq!(image(&first.id).await, None, "the image before was removed");
    assert_eq!(doctor(NAME).await["status"], "ok");
    engine().remove_image(NAME).await.unwrap();
    let asked = Labels::from([("claude-runner.content".to_owned(), first.labels["claude-runner.content"].clone())]);
    assert_eq!(engine().list_containers(&asked).await.unwrap(), [], "no question leaves a container");
}

#[tokio::test]
async fn a_version_that_cannot_be_used_is_refused_before_anything_is_built() {
    const NAME: &str = "claude-runner-test-no-version";
    for (version, status, says) in [
        ("1.0.0", 64, "the oldest version that can be used"),
        ("newest", 64, "or `latest`"),
        ("2.1.999999", 1, "the registry has no @anthropic-ai/claude-code-linux-"),
    ] {
        let refused = image_build(&["--tag", NAME, "--claude", version]).await;
        assert_eq!(refused.status.code(), Some(status), "{version}: {}", stderr(&refused));
        assert!(stderr(&refused).contains(says), "{version}: {}", stderr(&refused));
    }
    assert_eq!(image(NAME).await, None);
}

#[tokio::test]
async fn a_failed_step_ends_with_its_own_last_lines() {
    const NAME: &str = "claude-runner-test-failed-step";
    let step = "USER root\nRUN printf '#!/bin/sh\\necho the mirror is on fire >&2\\nexit 9\\n' > /usr/bin/apt-get";
    let base = TestImage::with_entry_point("failing-base", step).await;
    let failed = image_build(&["--tag", NAME, "--base-image", &base.name]).await;
    let said = stderr(&failed);
    let (_, error) = said.rsplit_once("error: ").unwrap();
    assert!(error.contains(NAME) && error.contains("code: 9") && error.contains("the mirror is on fire"), "{said}");
    assert_eq!(image(NAME).await, None);
    base.remove().await;
}

/// A server whose image has this program in place of Claude Code.
async fn server_with(case: &str, program: &str) -> (TestImage, TestServer) {
    let image = TestImage::with_agent(case, program, 0o755).await;
    let server = Setup::new().env("DOCKER_IMAGE", &image.name).env("WARM_SANDBOXES", "0").start().await;
    (image, server)
}

fn image_check(ready: &serde_json::Value) -> &serde_json::Value {
    ready["checks"].as_array().unwrap().iter().find(|check| check["name"] == "image").unwrap()
}

#[tokio::test]
async fn the_program_in_the_image_tells_its_version_and_not_a_label() {
    let (image, server) = server_with("too-old", "#!/bin/sh\necho '2.0.9 (Claude Code)'\n").await;
    let ready = server.get("/ready").await.expect(503);
    let detail = image_check(&ready)["detail"].as_str().unwrap();
    assert!(detail.contains("2.0.9") && detail.contains("too old") && detail.contains("image build"), "{detail}");
    assert_eq!(server.get("/health").await.ok()["claudeCode"], json!({"version": "2.0.9", "support": "too_old"}));
    let problem = server.task("s", "hello").await.problem(503, "engine_unavailable");
    assert!(problem["error"].as_str().unwrap().contains("2.0.9"), "{problem:#}");
    assert_eq!(doctor(&image.name).await["status"], "fail");
    server.finish().await;
    image.remove().await;

    let program = concat!(include_str!("../support/stand_in.sh"), "answer() { echo \"$result\"; }\nlisten\n");
    let (image, server) = server_with("newer", &program.replace("2.1.332", "9.8.7")).await;
    let ready = server.get("/ready").await.ok();
    let detail = image_check(&ready)["detail"].as_str().unwrap();
    assert!(detail.contains("9.8.7") && detail.contains("untested"), "{detail}");
    assert_eq!(server.get("/health").await.ok()["claudeCode"], json!({"version": "9.8.7", "support": "untested"}));
    assert_eq!(server.say("s", "hello").await, "fine");
    server.finish().await;
    image.remove().await;

    let (image, server) = server_with("no-version", "#!/bin/sh\necho 'no licence' >&2\nexit 3\n").await;
    let ready = server.get("/ready").await.expect(503);
    let detail = image_check(&ready)["detail"].as_str().unwrap();
    assert!(detail.contains("code 3") && detail.contains("no licence"), "{detail}");
    server.finish().await;
    image.remove().await;
}

/// Builds the image again. Returns its id.
async fn which(which: &str) -> (TestImage, String) {
    let image = TestImage::with_entry_point("replaced", &format!("USER root\nRUN echo {which} > /which")).await;
    let id = self::image(&image.name).await.unwrap().id;
    (image, id)
}

/// The same, and waits until the server has noticed it.
async fn which_while(server: &TestServer, name: &str) -> String {
    let (_, id) = which(name).await;
    server.logged(&id).await;
    id
}

#[tokio::test]
async fn the_next_task_gets_a_sandbox_of_the_new_image_and_a_running_one_finishes() {
    let (image, first) = which("first").await;
    let mut old = vec![first];
    let mut server = Setup::new().env("DOCKER_IMAGE", &image.name).env("WARM_SANDBOXES", "0").start().await;
    assert_eq!(server.say("s", "bash:cat /which; echo kept > file").await, "done: first");

    // The session is idle.
    old.push(which_while(&server, "second").await);
    assert_eq!(server.say("s", "bash:cat /which file").await, "done: second\nkept");
    assert!(server.say("s", "recall:").await.contains("echo kept"), "the conversation goes on");

    // A task runs, and another one waits behind it.
    let mut events = server.subscribe("s").await;
    let running = server.enqueue("s", "slow:60").await;
    events.until("text").await;
    let waiting = server.enqueue("s", "bash:cat /which").await;
    old.push(which_while(&server, "third").await);
    let ended = |task: String| {
        let server = &server;
        async move {
            loop {
                let record = server.get(&format!("/task/{task}")).await.ok();
                if record["finished"].is_string() {
                    return record;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    };
    let record = crate::bounds::within("the running task ends", ended(running)).await;
    assert_eq!(record["status"], "completed", "{record:#}");
    let record = crate::bounds::within("the waiting task ends", ended(waiting)).await;
    assert_eq!(record["response"], "done: third", "{record:#}");

    // The server is away while the image changes.
    server.kill().await;
    let (last, _) = which("fourth").await;
    server.start_again().await;
    assert_eq!(server.say("s", "bash:cat /which").await, "done: fourth");
    server.finish().await;
    for id in old {
        engine().remove_image(&id).await.unwrap();
    }
    last.remove().await;
}

#[tokio::test]
async fn the_setting_is_read_by_the_server_too() {
    let environment = BTreeMap::from([
        ("CLAUDE_VERSION".to_owned(), "1.0.0".to_owned()),
        ("PATH".to_owned(), std::env::var("PATH").unwrap()),
    ]);
    let directory = tempfile::tempdir().unwrap();
    let refused = crate::command::output(&["serve"], &environment, directory.path());
    assert!(!refused.success && refused.err.contains("CLAUDE_VERSION"), "{refused:?}");
    assert!(refused.err.contains("the oldest version that can be used"), "{refused:?}");

    let server = Setup::new().env("CLAUDE_VERSION", UNTESTED).start().await;
    let ready = server.get("/ready").await.ok();
    let detail = image_check(&ready)["detail"].as_str().unwrap();
    assert!(detail.contains(&agent_image()) && detail.contains(&format!("CLAUDE_VERSION is {UNTESTED}")), "{detail}");
    server.finish().await;
}
