//! Coordinators that end, and the ones that come after them.

use serde_json::json;

use crate::server::{Process, TestServer};

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
    // Nothing of the first one was touched.
    assert_eq!(server.say("s", "say:still here").await, "still here");
    server.finish().await;
}
