//! A forge that fails.

use mock_api::forge::Fault;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::forge::{World, failed};

/// The next calls of this path fail.
pub(super) fn order(world: &World, (method, path): (Method, &str), status: u16, times: u32) {
    world.forge.fail(Fault {
        method,
        path: path.to_owned(),
        status: StatusCode::from_u16(status).unwrap(),
        message: format!("ordered {status}"),
        retry_after: None,
        times,
    });
}

async fn in_handbook(world: &World, prompt: &str) -> Value {
    let mut task = world.post_with(prompt, &json!({ "repo": "acme/handbook" })).await;
    world.end_of(&mut task).await
}

#[tokio::test]
async fn a_forge_that_fails_before_the_work_ends_the_task_with_the_reason() {
    let world = World::start().await;
    let repository = || (Method::GET, "/repos/acme/handbook");
    for (status, error_type) in
        [(401, "auth_expired"), (403, "clone_failed"), (404, "repo_not_found"), (422, "clone_failed")]
    {
        order(&world, repository(), status, 1);
        failed(&in_handbook(&world, "commit a").await, error_type, &[]);
    }
    // Calls that only ask are made again.
    order(&world, repository(), 502, 3);
    failed(&in_handbook(&world, "commit a").await, "clone_failed", &["502"]);
    order(&world, (Method::POST, "/git/refs"), 403, 1);
    failed(&in_handbook(&world, "commit a").await, "clone_failed", &["ordered 403"]);
    // The mirror's fetch, and the clone without one.
    order(&world, (Method::GET, "service=git-upload-pack"), 502, 2);
    failed(&in_handbook(&world, "commit a").await, "clone_failed", &["could not be cloned", "502"]);
    assert_eq!(world.branches("acme/handbook"), ["refs/heads/main"]);
    world.forge.set_rate_limit(0);
    failed(&in_handbook(&world, "commit a").await, "capacity_reached", &["rate limit"]);
    world.finish().await;
}

#[tokio::test]
async fn a_forge_that_fails_behind_the_work_loses_none_of_it() {
    let world = World::start().await;
    // In passing: neither the draft nor its end is missing, and there is one.
    order(&world, (Method::POST, "/pulls"), 502, 1);
    order(&world, (Method::PATCH, "/pulls/"), 502, 1);
    order(&world, (Method::POST, "/graphql"), 502, 1);
    let record = in_handbook(&world, "commit a.txt").await;
    assert_eq!(record["status"], "completed", "{record:#}");
    let pull = world.pull("acme/handbook");
    assert_eq!((pull.draft, pull.title.as_str()), (false, "Add a.txt"));

    // For good: the commits are there, and the task says what is not.
    for status in [403, 422] {
        order(&world, (Method::POST, "/pulls"), status, 2);
        let record = in_handbook(&world, "commit b.txt").await;
        failed(&record, "push_rejected", &["pull request", &format!("ordered {status}")]);
        assert_eq!(world.commits("acme/handbook", record["branch"].as_str().unwrap()), ["Add b.txt"]);
    }
    assert_eq!(world.forge.pulls("acme/handbook").len(), 1);

    order(&world, (Method::POST, "git-receive-pack"), 403, 2);
    let record = in_handbook(&world, "push c.txt in vain").await;
    failed(&record, "push_rejected", &["could not be pushed"]);
    assert_eq!(record["pr_url"], Value::Null);
    world.finish().await;
}
