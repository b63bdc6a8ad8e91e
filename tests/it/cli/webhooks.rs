//! `webhooks`, and `task --webhook`.

use serde_json::{Value, json};

use crate::bounds::within;
use crate::server::{Setup, TestServer};
use crate::webhook::receiver::{Receiver, Reply, SECRET};

/// Returns the command's view of a task's delivery, once that has this status.
async fn settled(server: &TestServer, task: &str, status: &str) -> Value {
    let settled = async {
        loop {
            let listed = server.run(&["webhooks", "--task", task, "--status", status, "--json"]).await.ok().lines();
            if let [delivery] = listed.as_slice() {
                return delivery.clone();
            }
        }
    };
    within("the delivery ends", settled).await
}

#[tokio::test]
async fn deliveries_are_listed_and_one_is_made_once_more() {
    let mut receiver = Receiver::start().await;
    let server = Setup::new()
        .without_image()
        .env("WEBHOOK_ALLOW", receiver.origin())
        .env("WEBHOOK_SECRET", SECRET)
        .env("WEBHOOK_ATTEMPTS", "1")
        .start()
        .await;
    let none = server.run(&["webhooks"]).await.ok();
    assert!(none.out.is_empty() && none.err.contains("claude-runner task --webhook URL"), "{none:#?}");

    // The image is missing, so the tasks fail. The receiver rejects the first delivery.
    receiver.reply([Reply::Status(503)]);
    let url = receiver.url();
    let ran = server.run(&["task", "--session", "s", "--webhook", &url, "--detach", "say:x"]).await.ok();
    let task = ran.out.trim();
    let first = receiver.next().await.verified(SECRET);
    assert_eq!((&first["type"], &first["data"]["taskId"]), (&json!("task.failed"), &json!(task)));
    let delivery = settled(&server, task, "failed").await;
    let id = delivery["id"].as_str().unwrap();
    assert_eq!(server.get("/webhooks").await.ok(), json!([delivery]));

    let shown = server.run(&["webhooks"]).await.ok().out;
    assert!(shown.starts_with("WEBHOOK ") && shown.contains(id) && shown.contains(task), "{shown}");
    assert!(shown.contains("failed") && shown.contains("503 "), "{shown}");
    let none = server.run(&["webhooks", "--status", "delivered"]).await.ok();
    assert!(none.out.is_empty() && none.err == "there are no such deliveries\n", "{none:#?}");

    let ran = server.run(&["webhooks", "replay", id]).await.ok();
    assert!(ran.out.is_empty() && ran.err.contains(&format!("webhooks --task {task}")), "{ran:#?}");
    assert_eq!(receiver.next().await.verified(SECRET), first);
    let delivery = settled(&server, task, "delivered").await;
    assert_eq!(delivery["attempts"][1]["status"], 204, "{delivery:#}");
    let ran = server.run(&["webhooks", "replay", id, "--json"]).await.ok();
    assert_eq!(ran.lines(), [json!({ "id": id, "taskId": task, "status": "pending" })]);
    server.finish().await;
}
