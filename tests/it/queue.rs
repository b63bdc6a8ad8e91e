//! Tasks that wait for their turn: their texts wait in the store.

use std::pin::pin;

use serde_json::{Value, json};

use crate::bounds::within;
use crate::server::TestServer;

/// The length of a text, just within the bound of a body.
const LONG: usize = 3_900_000;
/// The number of such tasks that wait.
const WAITING: usize = 40;
/// The most that the server may grow by, in KiB. The texts of the tasks have 152,000.
const MOST: u64 = 80_000;

/// Runs a task that does not end by itself.
async fn occupy(server: &TestServer) -> String {
    let task = server.enqueue("s", "bash:sleep 300").await;
    let mut events = server.subscribe_since("s", 0).await;
    events.until("tool_start").await;
    task
}

async fn until_queued(server: &TestServer, count: usize) {
    let queued = async { while server.get("/session/s").await.ok()["queued"] != count {} };
    within(&format!("{count} tasks wait"), queued).await;
}

#[tokio::test]
async fn texts_of_waiting_tasks_take_no_memory_also_after_a_restart() {
    let mut server = TestServer::start().await;
    let running = occupy(&server).await;
    let before = server.kibibytes("VmRSS");
    let long = "m".repeat(LONG);
    let mut tasks = Vec::new();
    for number in 0..WAITING {
        let (message, context) = if number % 2 == 0 { (long.as_str(), "short") } else { ("short", long.as_str()) };
        let body = json!({ "sessionId": "s", "message": message, "context": context, "async": true });
        tasks.push(server.post("/task", &body).await.expect(202)["taskId"].as_str().unwrap().to_owned());
    }
    until_queued(&server, WAITING).await;
    let grown = server.kibibytes("VmRSS").saturating_sub(before);
    eprintln!("{WAITING} waiting tasks of {LONG} bytes: {grown} KiB more, of {before}");
    assert!(grown < MOST, "{WAITING} waiting tasks take {grown} KiB");

    server.kill().await;
    server.start_again().await;
    until_queued(&server, WAITING).await;
    let most = server.kibibytes("VmHWM");
    eprintln!("after a restart: {most} KiB");
    assert!(most < before + MOST, "a server that finds {WAITING} waiting tasks takes {most} KiB");

    // They are whole, and each of them ends.
    for (number, field) in [(WAITING - 2, "prompt"), (WAITING - 1, "context")] {
        let record = server.get(&format!("/task/{}", tasks[number])).await.ok();
        assert_eq!((&record["status"], record[field].as_str().unwrap().len()), (&json!("queued"), LONG));
    }
    assert_eq!(server.post_nothing("/task/s/abort").await.ok()["aborted"], true);
    for task in [&running, &tasks[0], &tasks[WAITING - 1]] {
        assert_eq!(server.get(&format!("/task/{task}")).await.ok()["status"], "aborted");
    }
    let most = server.kibibytes("VmHWM");
    assert!(most < before + MOST, "the end of {WAITING} waiting tasks takes {most} KiB");
    server.finish().await;
}

/// One caller may have eight bodies of this length in flight.
#[tokio::test]
async fn a_caller_that_waits_for_the_end_holds_no_room_for_bodies() {
    let server = TestServer::start().await;
    occupy(&server).await;
    let long = "m".repeat(LONG);
    let body = json!({ "sessionId": "s", "message": long });
    let mut waiting = Vec::new();
    for count in 1..=10 {
        let mut answer = Box::pin(server.post("/task", &body));
        tokio::select! {
            answer = &mut answer => panic!("task {count} did not wait: {answer:?}"),
            () = pin!(until_queued(&server, count)) => {}
        }
        waiting.push(answer);
    }
    server.post_nothing("/task/s/abort").await.ok();
    for answer in waiting {
        answer.await.expect(409);
    }
    server.finish().await;
}

#[tokio::test]
async fn a_waiting_task_is_shown_with_its_texts_and_given_to_the_agent_with_them() {
    let mut server = TestServer::start().await;
    occupy(&server).await;
    let context = "c".repeat(100_000);
    let body = json!({
        "sessionId": "s", "message": "say:one", "context": context, "metadata": { "ticket": 7 }, "async": true,
    });
    let waits = server.post("/task", &body).await.expect(202)["taskId"].as_str().unwrap().to_owned();
    let mut feed = crate::watch::Feed::of_all(&server).await;
    let ended = server.enqueue("s", "say:two").await;
    server.post_nothing(&format!("/task/{ended}/abort")).await.ok();
    let aborted = feed.until(|line| line["task"]["id"] == *ended && line["task"]["status"] == "aborted").await;
    assert_eq!(aborted.last().unwrap()["task"]["prompt"], "say:two");

    server.kill().await;
    server.start_again().await;
    let mut feed = crate::watch::Feed::of_all(&server).await;
    let mut events = server.subscribe_since("s", 0).await;
    let running = server.get("/tasks?status=running").await.ok()[0]["id"].as_str().unwrap().to_owned();
    server.post_nothing(&format!("/task/{running}/abort")).await.ok();
    let end = events.until_end_of(&json!(waits)).await;
    assert_eq!((&end["type"], &end["response"]), (&json!("task_complete"), &json!("one")));
    let asked = server.model.requests().iter().any(|request| request.prompt.contains(&context));
    assert!(asked, "the model did not get the task's context");
    let seen = feed.until(|line| line["task"]["id"] == *waits && line["task"]["status"] == "completed").await;
    let of_it: Vec<&Value> = seen.iter().map(|line| &line["task"]).filter(|task| task["id"] == *waits).collect();
    for task in of_it {
        let shown = (&task["prompt"], &task["metadata"], &task["truncated"], task["context"].as_str().unwrap().len());
        assert_eq!(shown, (&json!("say:one"), &json!({ "ticket": 7 }), &json!(true), 2000), "{task}");
    }
    server.finish().await;
}

#[tokio::test]
async fn a_task_whose_record_is_damaged_while_it_waits_fails_alone() {
    let server = TestServer::start().await;
    let running = occupy(&server).await;
    let [damaged, whole] = [server.enqueue("s", "say:one").await, server.enqueue("s", "say:two").await];
    let database = rusqlite::Connection::open(server.directory().join("data/claude-runner.db")).unwrap();
    let changed = database.execute("UPDATE tasks SET request = '{' WHERE message = 'say:one'", []).unwrap();
    assert_eq!(changed, 1);
    let mut events = server.subscribe("s").await;
    server.post_nothing(&format!("/task/{running}/abort")).await.ok();
    let failed = events.until_end_of(&json!(damaged)).await;
    assert_eq!((&failed["type"], &failed["errorType"]), (&json!("task_failed"), &json!("exit_code")));
    assert!(failed["error"].as_str().unwrap().starts_with("the task's message could not be read: "), "{failed}");
    assert_eq!(events.until_end_of(&json!(whole)).await["response"], "two");
    server.finish().await;
}
