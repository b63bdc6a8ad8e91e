//! Agents and containers that end in the middle of a task.

use engine::Engine as _;
use serde_json::json;

use crate::server::TestServer;

#[tokio::test]
async fn whatever_ends_under_a_task_fails_it_and_the_next_one_resumes() {
    let server = TestServer::start().await;
    server.say("s", "say:remember me").await;

    let problem = server.task("s", "bash:kill -KILL $PPID; sleep 60").await.problem(502, "exit_code");
    assert!(problem["error"].as_str().unwrap().contains("signal 9"), "{problem:#}");
    let next = server.task("s", "recall:").await.ok();
    assert_eq!(next["resumed"], true);
    assert!(next["response"].as_str().unwrap().contains("remember me"), "{next:#}");

    let mut events = server.subscribe("s").await;
    for remove in [false, true] {
        let task = server.enqueue("s", "slow:200").await;
        events.until_event("text of this task", |event| event["type"] == "text" && event["taskId"] == *task).await;
        let container = server.container().await.id;
        if remove {
            server.engine.remove_container(&container).await.unwrap();
        } else {
            server.kill_container(&container).await;
        }
        let end = events.until_end_of(&json!(task)).await;
        assert_eq!((&end["type"], &end["errorType"]), (&json!("task_failed"), &json!("container_lost")), "{end:#}");
        let next = server.task("s", "recall:").await.ok();
        assert!(next["response"].as_str().unwrap().contains("remember me"), "{next:#}");
    }

    // Only the next task notices the end of an idle container, and gets a new one.
    server.kill_container(&server.container().await.id).await;
    assert!(server.say("s", "recall:").await.contains("remember me"));
    server.finish().await;
}

#[tokio::test]
async fn a_command_that_runs_out_of_memory_or_processes_ends_alone() {
    let server = crate::server::Setup::new().env("SANDBOX_MEMORY", "512m").env("SANDBOX_PIDS", "128").start().await;
    let hog = server.say("s", "bash:echo 1000 > /proc/self/oom_score_adj; tail /dev/zero; echo ended with $?").await;
    assert!(hog.contains("ended with 137"), "{hog}");
    // The shell reports this for its first tries. Its last error depends on when a child ended.
    let forks = server.say("s", "bash:(for i in $(seq 300); do sleep 1 & done; wait) 2>&1 | grep -o -m 1 'Resource temporarily unavailable'").await;
    assert!(forks.contains("Resource temporarily unavailable"), "{forks}");
    assert_eq!(server.say("s", "say:still here").await, "still here");
    server.finish().await;
}
