//! Damaged rows of the store, and a store that the last server did not close. No container needed.

use serde_json::{Value, json};

use crate::command::output;
use crate::server::{Setup, TestServer};

/// Returns the ids of a list.
async fn listed(server: &TestServer, path: &str, field: &str) -> Vec<String> {
    let list = server.get(path).await.ok();
    let mut ids: Vec<String> =
        list.as_array().unwrap().iter().map(|item| item[field].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn a_damaged_row_is_the_trouble_of_its_session_alone() {
    let mut server = Setup::new().without_image().start().await;
    let env = json!({ "env": { "API_SECRET": "v4lue" } });
    for session in ["sealed", "record", "whole"] {
        server.task_with(session, "say:hello", &env).await.problem(503, "engine_unavailable");
    }
    server.stop().await;
    let database = rusqlite::Connection::open(server.directory().join("data/claude-runner.db")).unwrap();
    // The start handles sessions with unended tasks.
    database
        .execute_batch(
            "UPDATE session_env SET value = zeroblob(60)
                 WHERE session = (SELECT number FROM sessions WHERE id = 'sealed');
             UPDATE tasks SET status = 'queued', finished = NULL WHERE session_id IN ('sealed', 'record');
             UPDATE tasks SET request = '{' WHERE session_id = 'record';",
        )
        .unwrap();
    drop(database);
    let doctor = output(&["doctor", "--json"], server.environment(), server.directory()).out;
    assert!(doctor.contains("session sealed: ") && doctor.contains("of session record: "), "{doctor}");

    server.start_again().await;
    // A list of sessions opens no sealed value.
    assert_eq!(listed(&server, "/sessions", "sessionId").await, ["record", "sealed", "whole"]);
    assert_eq!(listed(&server, "/tasks", "sessionId").await, ["sealed", "whole"]);
    assert_eq!(listed(&server, "/tasks?q=hello", "sessionId").await, ["sealed", "whole"]);
    let task = server.enqueue("record", "say:again").await;
    assert_eq!(server.get(&format!("/task/{task}")).await.ok()["prompt"], "say:again");
    let ready = server.get("/ready").await.expect(503);
    let checks: Vec<&Value> = ready["checks"].as_array().unwrap().iter().collect();
    let store = checks.into_iter().find(|check| check["name"] == "store").unwrap();
    assert_eq!(store["ok"], true, "{store}");
    let detail = store["detail"].as_str().unwrap();
    assert!(detail.contains("session sealed: ") && detail.contains("of session record: "), "{detail}");
    assert!(server.log().contains("a row of the store is damaged"), "{}", server.log());

    // A session that cannot be read can be deleted.
    server.delete("/session/sealed").await.ok();
    server.get("/session/sealed").await.problem(404, "session_not_found");
    let left = server.get("/tasks?sessionId=sealed").await.ok();
    assert_eq!(left[0]["status"], "aborted", "{left}");
    server.delete("/session/record").await.ok();
    server.get("/session/record").await.problem(404, "session_not_found");
    server.abandon().await;
}

#[tokio::test]
async fn a_store_that_was_not_closed_is_checked_beside_the_work() {
    let mut server = Setup::new().without_image().start().await;
    server.task("s", "say:hello").await.problem(503, "engine_unavailable");
    server.stop().await;
    server.start_again().await;
    server.get("/sessions").await.ok();
    assert!(!server.log().contains("it is being checked"), "{}", server.log());
    server.kill().await;
    server.start_again().await;
    server.logged("the store is whole").await;
    server.finish().await;
}
