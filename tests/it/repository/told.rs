//! Tests the events and metrics of a repository task.

use serde_json::json;

use super::forge::{World, failed};
use crate::metrics::scrape;
use crate::server::Setup;
use crate::webhook::receiver::{Receiver, SECRET};

#[tokio::test]
async fn the_end_of_a_repository_task_is_told_and_counted_and_again_when_it_is_tried_again() {
    let mut receiver = Receiver::start().await;
    let setup = Setup::new().env("WEBHOOK_ALLOW", receiver.origin()).env("WEBHOOK_SECRET", SECRET);
    let world = World::with(setup).await;
    let body = json!({ "repo": "acme/nowhere", "webhook": receiver.url() });
    let mut task = world.post_with("fix it", &body).await;
    let record = world.end_of(&mut task).await;
    failed(&record, "repo_not_found", &[]);
    let first = receiver.next().await;
    let told = first.verified(SECRET);
    assert_eq!(told, json!({ "type": "task.failed", "timestamp": record["finished"], "data": record }));
    assert_eq!(told["data"]["kind"], "repository");

    let again = world.server.post_nothing(&format!("/task/{}/retry", task.id)).await.expect(202);
    let second = receiver.next().await;
    assert_eq!(second.verified(SECRET)["data"]["taskId"], again["taskId"]);
    assert_ne!(first.header("webhook-id"), second.header("webhook-id"));

    let (metrics, _) = scrape(&world.server).await;
    let sum = |name: &str, labels: &[(&str, &str)]| format!("{:.0}", metrics.sum(name, labels));
    let kind = ("kind", "repository");
    assert_eq!(sum("claude_runner_tasks_total", &[kind, ("outcome", "repo_not_found")]), "2");
    assert_eq!(sum("claude_runner_task_queue_seconds_count", &[kind]), "2");
    assert!(metrics.sum("claude_runner_github_rate_limit_remaining", &[]) > 0.0, "{metrics:?}");
    world.finish().await;
}
