//! More sessions than sandboxes: the sessions take turns, and each reports its state.

use futures::future::join_all;
use serde_json::json;

use crate::server::Setup;

#[tokio::test]
async fn idle_sandboxes_make_room_and_sessions_take_turns() {
    let server = Setup::new().env("MAX_SANDBOXES", "1").start().await;
    server.say("a", "say:remember a").await;
    let first = server.container().await.id;
    // The session is idle, and another session needs a sandbox.
    let mut events = server.subscribe("b").await;
    assert_eq!(server.say("b", "say:remember b").await, "remember b");
    assert_ne!(server.container().await.id, first);
    events.until("task_complete").await;
    let queued = events.of_kind("task_queued");
    assert_eq!(queued[0]["reason"], json!(null), "{queued:#?}");
    assert_eq!((&queued[1]["position"], &queued[1]["reason"]), (&json!(0), &json!("capacity")), "{queued:#?}");

    // Each session continues its own conversation.
    let answers = join_all(["a", "b", "c"].map(|session| server.task(session, "recall:"))).await;
    for (answer, remembered) in answers.into_iter().zip(["remember a", "remember b", ""]) {
        let answer = answer.ok();
        assert!(answer["response"].as_str().unwrap().contains(remembered), "{answer:#}");
    }
    let health = server.get("/health").await.ok();
    assert_eq!((&health["sandboxes"]["live"], &health["sandboxes"]["max"]), (&json!(1), &json!(1)));
    server.finish().await;
}

#[tokio::test]
async fn who_waits_too_long_is_told_and_can_be_aborted_before() {
    let server = Setup::new().env("MAX_SANDBOXES", "1").env("CAPACITY_TIMEOUT_MS", "1500").start().await;
    let mut events = server.subscribe("busy").await;
    let running = server.enqueue("busy", "slow:2400").await;
    events.until("text").await;

    let problem = server.task("patient", "say:too late").await.problem(503, "capacity_reached");
    assert!(problem["error"].as_str().unwrap().contains("CAPACITY_TIMEOUT_MS"), "{problem:#}");
    assert_eq!(problem["retryable"], true);

    let mut waiting = server.subscribe("aborted").await;
    let task = server.enqueue("aborted", "say:never").await;
    let is_told = |event: &serde_json::Value| event["type"] == "task_queued" && event["reason"] == "capacity";
    waiting.until_event("it waits", is_told).await;
    assert_eq!(server.post_nothing(&format!("/task/{task}/abort")).await.ok()["aborted"], true);
    assert_eq!(waiting.until_end_of(&json!(task)).await["type"], "abort");

    server.post_nothing(&format!("/task/{running}/abort")).await.ok();
    assert_eq!(server.say("patient", "say:now").await, "now");
    server.finish().await;
}

#[tokio::test]
async fn a_session_with_many_tasks_lets_others_go_first() {
    let server = Setup::new().env("MAX_SANDBOXES", "1").start().await;
    let mut events = server.subscribe("greedy").await;
    // Each task takes long enough that the other session's waiting time passes before all are done.
    let mut tasks = Vec::new();
    for _ in 0..4 {
        tasks.push(server.enqueue("greedy", "bash:sleep 4").await);
    }
    events.until("task_start").await;
    assert_eq!(server.say("modest", "say:in between").await, "in between");
    let last = server.get(&format!("/task/{}", tasks[3])).await.ok();
    assert_eq!(last["status"], "queued", "it was served only when all else was done");
    server.post_nothing("/task/greedy/abort").await.ok();
    server.finish().await;
}
