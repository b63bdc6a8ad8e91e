//! Repository tasks that are aborted, and servers that are killed during one.

use serde_json::{Value, json};

use super::forge::{Task, World};
use crate::bounds::within;

async fn in_handbook(world: &World, prompt: &str) -> Task {
    world.post_with(prompt, &json!({ "repo": "acme/handbook" })).await
}

/// Waits until the model got this many requests.
async fn asked(world: &World, times: u64) {
    let asked = async {
        while world.server.model.request_count() < times {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    within("the model is asked", asked).await;
}

async fn abort(world: &World, task: &mut Task) -> Value {
    let answer = world.server.post_nothing(&format!("/task/{}/abort", task.id)).await.ok();
    assert_eq!(answer["aborted"], true, "{answer:#}");
    let record = world.end_of(task).await;
    assert_eq!((&record["status"], &record["errorType"]), (&json!("aborted"), &json!("aborted")), "{record:#}");
    record
}

#[tokio::test]
async fn an_abort_ends_each_stage() {
    let world = World::start().await;
    let mut choosing = world.post("a slow choice").await;
    asked(&world, 1).await;
    abort(&world, &mut choosing).await;

    let mut cloning = in_handbook(&world, "commit a.txt").await;
    cloning.events.until_event("the repository", |event| event["repo"] == "acme/handbook").await;
    abort(&world, &mut cloning).await;
    assert_eq!(world.branches("acme/handbook"), ["refs/heads/main"], "the branch was not removed");

    let mut working = in_handbook(&world, "work slowly").await;
    working.events.until_event("the pull request", |event| event["prUrl"].is_string()).await;
    working.events.until("tool_end").await;
    let record = abort(&world, &mut working).await;
    assert_eq!(
        world.commits("acme/handbook", record["branch"].as_str().unwrap()),
        ["Two", "One"],
        "what was committed"
    );
    let pull = world.pull("acme/handbook");
    assert!(pull.draft && pull.open && pull.body.contains("aborted"), "{pull:?}");
    world.finish().await;
}

#[tokio::test]
async fn git_that_waits_for_ever_holds_up_no_deletion() {
    let world = World::start().await;
    let task = in_handbook(&world, "let git wait").await;
    let session = format!("/session/{}", task.id);
    // The agent has ended, and the end of the task pushes.
    let pushing = async { while world.server.get(&session).await.ok()["state"] != "stopping" {} };
    within("the work is handed in", pushing).await;
    let deleted = within("the deletion", world.server.delete(&session)).await.ok();
    assert_eq!(deleted["deleted"], json!(task.id));
    world.finish().await;
}

#[tokio::test]
async fn a_server_that_is_killed_while_a_repository_is_prepared_prepares_it_again() {
    let mut world = World::start().await;
    let mut choosing = world.post("a slow choice; commit a.txt").await;
    asked(&world, 1).await;
    let mut cloning = in_handbook(&world, "commit b.txt").await;
    cloning.events.until_event("the repository", |event| event["repo"] == "acme/handbook").await;
    world.server.kill().await;

    world.server.start_again().await;
    for task in [&mut choosing, &mut cloning] {
        *task = world.follow(&task.id).await;
    }
    let record = world.end_of(&mut cloning).await;
    assert_eq!(record["status"], "completed", "{record:#}");
    // The script has no further steps, so the agent has nothing to do.
    let record = world.end_of(&mut choosing).await;
    assert_eq!((&record["repo"], record["finished"].is_string()), (&json!("acme/handbook"), true), "{record:#}");
    assert_eq!(world.pull("acme/handbook").title, "Add b.txt");
    cloning.events.assert_numbered_from(1);
    world.finish().await;
}

#[tokio::test]
async fn a_server_that_is_killed_after_that_hands_the_work_in_once() {
    let mut world = World::start().await;
    let mut working = in_handbook(&world, "work slowly").await;
    working.events.until_event("the pull request", |event| event["prUrl"].is_string()).await;
    world.server.kill().await;
    world.server.start_again().await;
    working = world.follow(&working.id).await;
    let record = world.end_of(&mut working).await;
    assert_eq!(record["status"], "completed", "{record:#}");
    assert_eq!(world.commits("acme/handbook", record["branch"].as_str().unwrap()), ["Two", "One"]);
    let pull = world.pull("acme/handbook");
    assert_eq!((pull.draft, pull.title.as_str()), (false, "One and two"));

    // The server is killed during the delivery, while the forge still refuses the final update.
    super::faults::order(&world, (reqwest::Method::PATCH, "/pulls/"), 502, 2);
    let mut ending = in_handbook(&world, "commit c.txt").await;
    world.called(|call| call.starts_with("PATCH") && call.ends_with("502")).await;
    let record = world.server.get(&format!("/task/{}", ending.id)).await.ok();
    assert_eq!((&record["status"], &record["error"]), (&json!("running"), &Value::Null), "{record:#}");
    world.server.kill().await;
    world.server.start_again().await;
    ending = world.follow(&ending.id).await;
    let record = world.end_of(&mut ending).await;
    assert_eq!(record["status"], "completed", "{record:#}");
    assert!(record["cost"].as_f64().unwrap() > 0.0 && record["summary"].is_string(), "{record:#}");
    let pulls = world.forge.pulls("acme/handbook");
    assert_eq!((pulls.len(), pulls[1].draft, pulls[1].title.as_str()), (2, false, "Add c.txt"));
    world.finish().await;
}
