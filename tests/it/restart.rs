//! Coordinators that end, and their successors.

use serde_json::json;

use crate::server::{Process, TestServer};
use crate::stream::text_of;

#[tokio::test]
async fn a_session_goes_on_after_the_server_was_stopped() {
    let mut server = TestServer::start().await;
    let answer = server.task_with("s", "bash:echo kept > kept.txt", &json!({ "env": { "A": "1" } })).await.ok();
    let before = server.get("/session/s").await.ok();
    server.stop().await;
    assert_eq!(server.containers().await, [], "a server that was stopped leaves no container");

    server.start_again().await;
    let after = server.get("/session/s").await.ok();
    for field in ["created", "turns", "sdkSessionId", "seq"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    let task = server.get(&format!("/task/{}", answer["taskId"].as_str().unwrap())).await.ok();
    assert_eq!(task["response"], answer["response"]);

    let resumed = server.task("s", "recall:").await.ok();
    assert_eq!(resumed["resumed"], true);
    assert!(resumed["response"].as_str().unwrap().contains("kept.txt"), "{resumed:#}");
    assert_eq!(server.say("s", "bash:cat kept.txt; echo $A").await, "done: kept\n1");
    let mut events = server.subscribe_since("s", 0).await;
    for _ in 0..3 {
        events.until("task_complete").await;
    }
    events.assert_numbered_from(1);
    server.finish().await;
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() {
    let server = TestServer::start().await;
    let mut second = Process::spawn(server.environment(), server.directory());
    assert_eq!(second.address().await, None);
    assert!(!second.ended().await.success());
    assert!(second.log().contains("DATA_DIR"), "{}", second.log());
    // The first server's data is unchanged.
    assert_eq!(server.say("s", "say:still here").await, "still here");
    server.finish().await;
}

#[tokio::test]
async fn a_task_goes_on_when_the_server_is_killed_and_started_again() {
    let mut server = TestServer::start().await;
    server.say("s", "say:before").await;
    let container = server.container().await.id;
    let mut events = server.subscribe("s").await;
    let first = events.connected["seq"].as_u64().unwrap() + 1;
    let (task, next) = (server.enqueue("s", "slow:40").await, server.enqueue("s", "recall:").await);
    for _ in 0..5 {
        events.until("text").await;
    }
    let requests = server.model.request_count();
    server.kill().await;
    assert_eq!(server.containers().await.len(), 1, "the agent continues without a server");

    server.start_again().await;
    let seen = events.events.last().unwrap()["seq"].as_u64().unwrap();
    let mut after = server.subscribe_since("s", seen).await;
    let end = after.until_end_of(&json!(task)).await;
    assert_eq!(end["type"], "task_complete", "{end:#}");
    let own = |event: &&serde_json::Value| event["taskId"] == json!(task);
    let own: Vec<_> = events.events.iter().chain(&after.events).filter(own).cloned().collect();
    let words: Vec<String> = (0..40).map(|word| format!("w{word}")).collect();
    assert_eq!(text_of(&own).0.trim_end(), words.join(" "));
    assert!(server.model.request_count() <= requests + 1, "the request that was cut is made once more, and no other");

    let end = after.until_end_of(&json!(next)).await;
    assert!(end["response"].as_str().unwrap().contains("say:before"), "{end:#}");
    assert_eq!(server.container().await.id, container);
    after.assert_numbered_from(seen + 1);
    events.assert_numbered_from(first);
    server.finish().await;
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_lets_its_tasks_finish() {
    let mut server = TestServer::start().await;
    let mut events = server.subscribe("s").await;
    // Ten seconds of words, in which a loaded machine answers two requests.
    let told = async {
        events.until("text").await;
        server.terminate();
        server.logged("received SIGTERM").await;
        let refused = server.task("s", "say:too late").await.problem(503, "shutting_down");
        assert_eq!(server.get("/ready").await.expect(503)["ready"], false);
        refused
    };
    let (answer, _) = tokio::join!(server.task("s", "slow:200"), told);
    assert!(answer.ok()["response"].as_str().unwrap().contains("w199"));
    assert_eq!(events.until_closed().await, 1001);
    assert_eq!(events.kinds().last(), Some(&"task_complete"));
    server.ended().await;
    assert_eq!(server.containers().await, []);

    server.start_again().await;
    assert_eq!(server.get("/session/s").await.ok()["turns"], 1);
    server.finish().await;
}
