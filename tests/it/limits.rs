//! Limits of a task.

use serde_json::json;

use crate::server::{Setup, TestServer};

#[tokio::test]
async fn a_task_ends_at_its_limits_and_the_session_goes_on() {
    let server = TestServer::start().await;
    server.say("s", "say:before").await;
    let container = server.container().await;

    let before = server.model.request_count();
    let problem = server.task_with("s", "loop:", &json!({ "maxTurns": 3 })).await.problem(502, "max_turns");
    assert_eq!(problem["errorType"], "max_turns");
    assert_eq!(problem["tools"], json!(["Bash", "Bash", "Bash"]));
    assert!(problem["cost"].as_f64().unwrap() > 0.0, "a failed task reports its usage too");
    assert!((3..=4).contains(&(server.model.request_count() - before)));
    // The maximum number of turns suffices if the last one is the answer.
    assert_eq!(
        server.task_with("s", "multi:echo 1 && then echo 2", &json!({ "maxTurns": 3 })).await.ok()["response"],
        "done: 2"
    );

    let problem = server.task_with("s", "slow:100", &json!({ "timeoutMs": 700 })).await.problem(504, "timeout");
    assert_eq!(problem["errorType"], "timeout");
    let problem = server.task_with("s", "bash:sleep 600", &json!({ "timeoutMs": 700 })).await.problem(504, "timeout");
    assert_eq!(problem["tools"], json!(["Bash"]));

    // A request of the scripted model costs 0.00375 dollars.
    let before = server.model.request_count();
    let problem = server.task_with("s", "loop:", &json!({ "maxCostUsd": 0.01 })).await.problem(502, "budget_exceeded");
    assert_eq!(problem["errorType"], "budget_exceeded");
    let requests = server.model.request_count() - before;
    assert!((2..=3).contains(&requests), "{requests} requests");
    assert!((0.005..=0.0115).contains(&problem["cost"].as_f64().unwrap()), "{problem:#}");

    assert!(server.say("s", "recall:").await.contains("say:before"));
    assert_eq!(server.container().await.id, container.id, "no limit cost the container");
    server.finish().await;
}

#[tokio::test]
async fn silence_is_no_stall_while_the_model_thinks_or_a_tool_runs() {
    let server = Setup::new().env("STALL_TIMEOUT_MS", "1500").start().await;
    // The agent is silent for longer than the limit while a request is open and while a tool runs.
    assert_eq!(server.say("s", "wait:2500").await, "waited 2500 ms");
    assert_eq!(server.say("s", "bash:sleep 2.5; echo slept").await, "done: slept");

    // Only the task's own timeout detects an agent that was stopped while a tool runs.
    let stopped = server.task_with("s", "bash:kill -STOP $PPID", &json!({ "timeoutMs": 1000 })).await;
    assert_eq!(stopped.problem(504, "timeout")["errorType"], "timeout");
    assert_eq!(server.say("s", "say:next").await, "next");
    server.finish().await;
}
