//! Tasks that a caller aborts.

use serde_json::json;

use crate::server::TestServer;

/// An answer of two minutes. No test waits for its end.
const LONG: &str = "slow:2400";

#[tokio::test]
async fn aborting_a_session_ends_its_task_and_rejects_those_that_wait() {
    let server = TestServer::start().await;
    let mut events = server.subscribe("s").await;
    let meanwhile = async {
        events.until("text").await;
        let abort = async {
            for _ in 0..2 {
                events.until("task_queued").await;
            }
            let session = server.get("/session/s").await.ok();
            assert_eq!((&session["busy"], &session["queued"]), (&json!(true), &json!(2)));
            server.post_nothing("/task/s/abort").await.ok()
        };
        tokio::join!(server.task("s", "say:2"), server.task("s", "say:3"), abort)
    };
    let (first, (second, third, aborted)) = tokio::join!(server.task("s", LONG), meanwhile);
    assert_eq!(aborted, json!({ "sessionId": "s", "aborted": true }));
    for answer in [first, second, third] {
        let problem = answer.problem(409, "aborted");
        assert_eq!((&problem["status"], &problem["errorType"]), (&json!("aborted"), &json!("aborted")));
        let end = events.until("abort").await;
        assert_eq!(end["by"], "request");
        let task = server.get(&format!("/task/{}", problem["taskId"].as_str().unwrap())).await.ok();
        assert_eq!((&task["status"], &task["errorType"]), (&json!("aborted"), &json!("aborted")));
    }
    assert_eq!(server.containers().await, [], "the container is removed with the task");
    assert_eq!(server.post_nothing("/task/s/abort").await.ok(), json!({ "sessionId": "s", "aborted": false }));

    assert_eq!(server.say("s", "say:next").await, "next");
    server.finish().await;
}

#[tokio::test]
async fn one_task_is_aborted_by_its_id_and_a_turn_is_interrupted_in_its_container() {
    let server = TestServer::start().await;
    server.say("s", "say:remember me").await;
    let container = server.container().await;
    let mut events = server.subscribe("s").await;

    let running = server.enqueue("s", LONG).await;
    events.until("text").await;
    let (unwanted, wanted) = (server.enqueue("s", "say:unwanted").await, server.enqueue("s", "say:wanted").await);
    let aborted = server.post_nothing(&format!("/task/{unwanted}/abort")).await.ok();
    assert_eq!(aborted, json!({ "sessionId": "s", "taskId": unwanted, "aborted": true }));
    assert_eq!(events.until("abort").await["taskId"], json!(unwanted));

    let interrupted = server.post_nothing(&format!("/task/{running}/abort?mode=interrupt")).await.ok();
    assert_eq!(interrupted["aborted"], true);
    assert_eq!(events.until("abort").await["taskId"], json!(running));
    assert_eq!(events.until("task_complete").await["taskId"], json!(wanted), "those that wait go on");
    assert_eq!(server.container().await.id, container.id, "the container stays");
    assert!(server.say("s", "recall:").await.contains("remember me"));

    // A tool can be interrupted like a text.
    let running = server.enqueue("s", "bash:sleep 600").await;
    events.until("tool_start").await;
    assert_eq!(server.post_nothing("/task/s/abort?mode=interrupt").await.ok()["aborted"], true);
    assert_eq!(events.until_end_of(&json!(running)).await["type"], "abort");
    assert_eq!(server.say("s", "bash:echo still here").await, "done: still here");
    assert_eq!(server.container().await.id, container.id);

    // An ended task cannot be aborted, and its record does not change.
    assert_eq!(server.post_nothing(&format!("/task/{wanted}/abort")).await.ok()["aborted"], false);
    assert_eq!(server.get(&format!("/task/{wanted}")).await.ok()["status"], "completed");
    server.post_nothing("/task/s/abort?mode=gently").await.problem(400, "invalid_request");
    server.finish().await;
}

#[tokio::test]
async fn reset_and_delete_end_what_runs() {
    let server = TestServer::start().await;
    let mut events = server.subscribe("s").await;

    let reset = async {
        events.until("text").await;
        server.post_nothing("/session/s/reset").await.ok()
    };
    let (answer, reset) = tokio::join!(server.task("s", LONG), reset);
    assert_eq!(reset, json!({ "sessionId": "s", "reset": true }));
    assert_eq!(answer.problem(409, "aborted")["errorType"], "aborted");
    assert_eq!(events.until("abort").await["by"], "reset");
    events.until("session_reset").await;
    assert_eq!(server.volumes().await, [] as [String; 0]);

    let delete = async {
        events.until("text").await;
        let waiting = async {
            events.until("task_queued").await;
            server.delete("/session/s").await.ok()
        };
        tokio::join!(server.task("s", "say:never"), waiting)
    };
    let (answer, (waiting, deleted)) = tokio::join!(server.task("s", LONG), delete);
    assert_eq!(deleted, json!({ "deleted": "s" }));
    for answer in [answer, waiting] {
        assert_eq!(answer.problem(409, "deleted")["errorType"], "deleted");
    }
    assert_eq!(events.until_closed().await, 1000);
    assert_eq!(events.of_kind("abort").last().unwrap()["by"], "delete");
    server.assert_nothing_left().await;
    server.finish().await;
}

#[tokio::test]
async fn an_id_of_a_task_and_of_a_session_means_the_task() {
    let server = TestServer::start().await;
    let mut events = server.subscribe("s").await;
    let task = server.enqueue("s", LONG).await;
    events.until("text").await;
    // A session whose id is the id of a task.
    let mut others = server.subscribe(&task).await;
    let other = server.enqueue(&task, LONG).await;
    others.until("text").await;
    let aborted = server.post_nothing(&format!("/task/{task}/abort")).await.ok();
    assert_eq!(aborted, json!({ "sessionId": "s", "taskId": task, "aborted": true }));
    assert_eq!(events.until("abort").await["taskId"], json!(task));
    assert_eq!(server.get(&format!("/task/{other}")).await.ok()["status"], "running");
    // The task has ended, and its id still refers to it.
    let aborted = server.post_nothing(&format!("/task/{task}/abort")).await.ok();
    assert_eq!(aborted, json!({ "sessionId": "s", "taskId": task, "aborted": false }));
    assert_eq!(server.get(&format!("/task/{other}")).await.ok()["status"], "running");
    server.finish().await;
}
