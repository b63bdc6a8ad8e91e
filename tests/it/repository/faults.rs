//! A forge that fails.

use mock_api::forge::{Fault, Seed};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::forge::{World, failed};
use crate::bounds::within;

/// Makes the next calls of this path fail.
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

/// Makes the next calls of this path fail with this message, and with a pause in seconds if the forge asks for one.
fn refuse(world: &World, (method, path): (Method, &str), (status, words): (u16, &str), pause: Option<u32>, times: u32) {
    world.forge.fail(Fault {
        method,
        path: path.to_owned(),
        status: StatusCode::from_u16(status).unwrap(),
        message: words.to_owned(),
        retry_after: pause,
        times,
    });
}

const RULES: (u16, &str) =
    (422, "Repository rule violations found: Cannot create ref due to creations being restricted.");
const RIGHTS: (u16, &str) = (403, "Resource not accessible by personal access token");

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
    // Read-only calls are retried, so the error is repeated.
    order(&world, repository(), 502, 3);
    failed(&in_handbook(&world, "commit a").await, "clone_failed", &["502"]);
    order(&world, (Method::POST, "/git/refs"), 403, 1);
    failed(&in_handbook(&world, "commit a").await, "clone_failed", &["ordered 403"]);
    // The mirror's fetch fails, and the clone without a mirror too.
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
    // With a temporary failure, there is still exactly one pull request, drafted and completed.
    order(&world, (Method::POST, "/pulls"), 502, 1);
    order(&world, (Method::PATCH, "/pulls/"), 502, 1);
    order(&world, (Method::POST, "/graphql"), 502, 1);
    let record = in_handbook(&world, "commit a.txt").await;
    assert_eq!(record["status"], "completed", "{record:#}");
    let pull = world.pull("acme/handbook");
    assert_eq!((pull.draft, pull.title.as_str()), (false, "Add a.txt"));

    // With a permanent failure, the commits are pushed, and the task says which step failed.
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

#[tokio::test]
async fn what_the_forge_does_not_allow_before_the_work_has_its_own_sentence() {
    let world = World::start().await;
    let mut old = Seed::new("", &[("a", "a")]);
    old.archived = true;
    world.forge.create_repository("acme/old", &old).await.unwrap();
    let mut task = world.post_with("commit a", &json!({ "repo": "acme/old" })).await;
    failed(&world.end_of(&mut task).await, "push_rejected", &["acme/old is archived"]);

    let create = || (Method::POST, "/git/refs");
    for (answer, says) in [
        (RULES, "the forge protects this branch"),
        ((404, "Not Found"), "the credential has no right to change acme/handbook"),
        (RIGHTS, "the credential has no right to change acme/handbook"),
        ((403, "Repository was archived so is read-only."), "the repository is archived"),
    ] {
        refuse(&world, create(), answer, None, 1);
        failed(&in_handbook(&world, "commit a").await, "push_rejected", &[says]);
    }
    assert_eq!(world.branches("acme/handbook"), ["refs/heads/main"]);

    // The coordinator waits for a short pause.
    refuse(&world, create(), (403, "You have exceeded a secondary rate limit."), Some(1), 2);
    world.forge.rename_repository("acme/handbook", "acme/manual").unwrap();
    let record = in_handbook(&world, "commit a.txt").await;
    assert_eq!((&record["status"], &record["repo"]), (&json!("completed"), &json!("acme/manual")), "{record:#}");
    assert_eq!(world.pull("acme/manual").title, "Add a.txt");
    world.finish().await;
}

#[tokio::test]
async fn pushed_work_gets_its_pull_request_or_a_sentence_that_says_where_it_is() {
    let world = World::start().await;
    // The plan does not include drafts.
    let open = || (Method::POST, "/pulls");
    refuse(&world, open(), (422, "Draft pull requests are not supported in this repository."), None, 1);
    let record = in_handbook(&world, "commit a.txt").await;
    assert_eq!(record["status"], "completed", "{record:#}");
    assert!(!world.pull("acme/handbook").draft);

    // The forge asks for more pauses than one call waits for.
    refuse(&world, (Method::PATCH, "/pulls/"), (403, "You have exceeded a secondary rate limit."), Some(1), 4);
    let record = in_handbook(&world, "commit b.txt").await;
    assert_eq!(record["status"], "completed", "{record:#}");
    refuse(&world, (Method::POST, "git-receive-pack"), (429, "Too many requests"), Some(1), 2);
    let record = in_handbook(&world, "push c.txt in vain").await;
    assert_eq!((&record["status"], record["pr_url"].is_string()), (&json!("completed"), true), "{record:#}");

    // The pull request cannot be opened, and the work is pushed.
    refuse(&world, open(), (404, "Not Found"), None, 2);
    let record = in_handbook(&world, "commit d.txt").await;
    let branch = record["branch"].as_str().unwrap();
    failed(&record, "push_rejected", &["no right to change", &format!("what was pushed is on the branch {branch}")]);
    assert_eq!(world.commits("acme/handbook", branch), ["Add d.txt"]);

    // The pull request exists and stays a draft.
    refuse(&world, (Method::POST, "/graphql"), RIGHTS, None, 1);
    let record = in_handbook(&world, "commit e.txt").await;
    let url = record["pr_url"].as_str().unwrap_or_else(|| panic!("{record:#}"));
    failed(&record, "push_rejected", &[&format!("the pull request {url}"), "is open, but it could not be finished"]);

    // The credential loses access to the repository.
    let slowly = json!({ "repo": "acme/handbook" });
    let mut task = world.post_with("work slowly", &slowly).await;
    task.events.until_event("the pull request", |event| event["prUrl"].is_string()).await;
    order(&world, (Method::GET, "/repos/acme/handbook"), 404, 100);
    let record = world.end_of(&mut task).await;
    failed(&record, "push_rejected", &["what was pushed is on the branch", "the credential cannot see it"]);
    assert!(record["pr_url"].is_string(), "{record:#}");
    world.finish().await;
}

#[tokio::test]
async fn the_wait_for_a_rate_limit_ends_when_a_caller_wants_that() {
    let world = World::start().await;
    let mut task = world.post_with("work slowly", &json!({ "repo": "acme/handbook" })).await;
    task.events.until_event("the pull request", |event| event["prUrl"].is_string()).await;
    world.forge.set_rate_limit(0);
    // There are two pushes: the agent's own one, and the final one.
    let pushes = |world: &World| {
        world.forge.calls().iter().filter(|call| call.contains("POST /acme/handbook.git/git-receive-pack")).count()
    };
    let before = pushes(&world);
    within("the last push", async {
        while pushes(&world) < before + 2 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    let record = world.server.get(&format!("/task/{}", task.id)).await.ok();
    assert_eq!(record["status"], "running", "{record:#}");
    world.server.post_nothing(&format!("/task/{}/abort", task.id)).await.ok();
    let record = world.end_of(&mut task).await;
    failed(&record, "capacity_reached", &["rate limit", "what was pushed is on the branch"]);
    assert!(record["pr_url"].is_string(), "{record:#}");
    assert_eq!(world.commits("acme/handbook", record["branch"].as_str().unwrap()), ["One"]);
    world.finish().await;
}

#[tokio::test]
async fn a_repository_that_is_transferred_at_work_gets_its_pull_request_there() {
    let world = World::start().await;
    let mut task = world.post_with("work slowly", &json!({ "repo": "acme/handbook" })).await;
    task.events.until_event("the pull request", |event| event["prUrl"].is_string()).await;
    world.forge.rename_repository("acme/handbook", "newco/manual").unwrap();
    let record = world.end_of(&mut task).await;
    assert_eq!(record["status"], "completed", "{record:#}");
    assert_eq!(world.commits("newco/manual", record["branch"].as_str().unwrap()), ["Two", "One"]);
    let pull = world.pull("newco/manual");
    assert_eq!((pull.draft, pull.title.as_str()), (false, "One and two"));
    world.finish().await;
}
