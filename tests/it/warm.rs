//! Warm sandboxes: given to new sessions, replaced, and never left behind.

use std::collections::BTreeSet;

use coordinator::config::docker_host;
use engine::Engine as _;
use engine_docker::DockerEngine;
use serde_json::json;

use crate::agent_image::TestImage;
use crate::bounds::within;
use crate::server::{Setup, TestServer};

fn setup() -> Setup {
    // The limit is small, so that a loaded machine has enough memory for a sandbox that is not in use yet.
    Setup::new().env("WARM_SANDBOXES", "1").env("SANDBOX_MEMORY", "512m")
}

impl TestServer {
    /// Waits until this many sandboxes are warm.
    pub(crate) async fn warm(&self, count: u64) {
        let ready = async {
            while self.get("/health").await.ok()["sandboxes"]["warm"] != count {
                tokio::task::yield_now().await;
            }
        };
        within("warm sandboxes are ready", ready).await;
    }

    /// Waits until the only sandbox is a warm one other than `before`, and returns its container's id.
    pub(crate) async fn another_warm(&self, before: &str) -> String {
        let another = async {
            loop {
                if let [container] = self.containers().await.as_slice()
                    && container.id.as_str() != before
                    && self.get("/health").await.ok()["sandboxes"]["warm"] == 1
                {
                    return container.id.to_string();
                }
            }
        };
        within("another warm sandbox is ready", another).await
    }
}

#[tokio::test]
async fn a_new_session_takes_a_warm_sandbox_with_its_own_env_and_model() {
    let server = setup().start().await;
    server.warm(1).await;
    let warm = server.container().await;
    assert_eq!(server.get("/sessions").await.ok(), json!([]), "it is no session");
    let health = server.get("/health").await.ok();
    assert_eq!((&health["sessions"], &health["sandboxes"]["live"]), (&json!(0), &json!(1)));

    let asked = json!({ "env": { "WHO": "me" }, "model": "claude-haiku-4-5" });
    let mut events = server.subscribe("s").await;
    let answer = server.task_with("s", "bash:cat note.txt; echo $WHO > who.txt; cat who.txt", &asked).await.ok();
    assert_eq!(answer["response"], "done: from the template\nme");
    assert_eq!(answer["resumed"], false);
    assert_eq!(server.model.requests().last().unwrap().model, "claude-haiku-4-5");
    assert!(server.containers().await.iter().any(|container| container.id == warm.id), "it was not used");
    // A subscriber that connected before the session existed gets all its events.
    events.until("task_complete").await;
    events.assert_numbered_from(1);

    // The next sandbox contains nothing of it. A session that finds no warm sandbox starts cold instead of waiting.
    server.warm(1).await;
    let (other, third) =
        tokio::join!(server.say("t", "bash:ls; echo \"<$WHO>\""), server.say("u", "bash:ls; echo \"<$WHO>\""));
    for seen in [other, third] {
        assert!(seen.contains("<>") && !seen.contains("who.txt"), "{seen}");
    }
    // The task's files survive the container.
    server.post_nothing("/task/s/abort").await.ok();
    server.kill_container(&warm.id).await;
    assert!(server.say("s", "bash:cat who.txt").await.contains("me"));
    assert!(server.say("s", "recall:").await.contains("who.txt"));
    server.finish().await;
}

#[tokio::test]
async fn a_changed_template_or_image_and_a_dead_container_are_replaced() {
    let image = TestImage::with_entry_point("warm", "USER root\nRUN echo first > /which").await;
    let old_id = image_id(&image.name).await;
    let server = setup().env("DOCKER_IMAGE", image.name.as_str()).start().await;
    server.warm(1).await;
    let first = server.container().await;

    // The kernel or an operator ends the container.
    server.kill_container(&first.id).await;
    let second = server.another_warm(first.id.as_str()).await;

    // A task right after the change gets the new template, though the warm sandbox still has the old one.
    std::fs::rename(server.directory().join("agent/note.txt"), server.directory().join("agent/new.txt")).unwrap();
    assert_eq!(server.say("s", "bash:ls; cat /which").await, "done: AGENTS.md\nnew.txt\nfirst");
    server.delete("/session/s").await.ok();
    let third = server.another_warm(&second).await;

    let image = TestImage::with_entry_point("warm", "USER root\nRUN echo second > /which").await;
    assert!(server.say("s", "bash:cat /which").await.contains("second"));
    server.delete("/session/s").await.ok();
    server.another_warm(&third).await;
    server.finish().await;
    DockerEngine::new(docker_host().unwrap()).remove_image(&old_id).await.unwrap();
    image.remove().await;
}

async fn image_id(name: &str) -> String {
    DockerEngine::new(docker_host().unwrap()).image(name).await.unwrap().unwrap().id
}

#[tokio::test]
async fn a_killed_server_leaves_none_and_a_stopped_one_removes_it() {
    let mut server = setup().start().await;
    server.warm(1).await;
    let warm = server.container().await;
    server.kill().await;
    assert_eq!(server.containers().await.len(), 1);
    server.start_again().await;
    let replaced = server.another_warm(warm.id.as_str()).await;
    let volumes = || async { server.volumes().await.len() };
    within("the volumes of before are swept", async { while volumes().await != 2 {} }).await;

    // The server is killed during the first task: the sandbox then belongs to the session, which continues in it.
    let mut events = server.subscribe("s").await;
    let task = server.enqueue("s", "slow:40").await;
    events.until("text").await;
    let seen = events.events.last().unwrap()["seq"].as_u64().unwrap();
    server.kill().await;
    server.start_again().await;
    let mut after = server.subscribe_since("s", seen).await;
    let end = after.until_end_of(&json!(task)).await;
    assert_eq!(end["type"], "task_complete", "{end:#}");
    let here: BTreeSet<String> = server.containers().await.iter().map(|container| container.id.to_string()).collect();
    assert!(here.contains(&replaced), "the session lost its sandbox");

    server.delete("/session/s").await.ok();
    server.warm(1).await;
    server.stop().await;
    server.assert_nothing_left().await;
    server.start_again().await;
    server.finish().await;
}

#[tokio::test]
async fn a_resting_session_is_made_ready_when_somebody_looks() {
    let server = setup().env("IDLE_TIMEOUT_MS", "500").start().await;
    server.say("s", "say:remember me").await;
    within("it rests", async { while server.get("/session/s").await.ok()["state"] != "cold" {} }).await;
    let events = server.subscribe("s").await;
    within("it is ready", async { while server.get("/session/s").await.ok()["state"] == "cold" {} }).await;
    assert!(server.say("s", "recall:").await.contains("remember me"));
    drop(events);
    server.finish().await;
}

#[tokio::test]
async fn a_new_session_without_money_keeps_no_warm_sandbox() {
    // One request of the scripted model costs this much.
    let server = setup().env("MAX_TOTAL_COST_USD", "0.00375").start().await;
    server.warm(1).await;
    assert_eq!(server.say("s", "say:the last of it").await, "the last of it");
    server.warm(1).await;
    server.task_with("t", "say:more", &json!({})).await.problem(502, "budget_exceeded");
    assert_eq!(server.get("/session/t").await.ok()["state"], "cold");
    assert_eq!(server.model.request_count(), 1, "the model was asked without money");
    server.finish().await;
}
