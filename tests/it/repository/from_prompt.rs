//! The normal course of a repository task.

use serde_json::json;

use super::forge::{TOKEN, World};

#[tokio::test]
async fn a_prompt_becomes_a_pull_request() {
    let world = World::start().await;
    let mut task = world.post("Fix the token refresh bug, please").await;
    task.events.until_event("the pull request", |event| event["type"] == "stage" && event["prUrl"].is_string()).await;
    let pull = world.pull("acme/acme-api");
    assert!(pull.draft, "the first push opens a draft");
    assert_eq!(pull.title, "Fix the token refresh bug, please");

    let record = world.end_of(&mut task).await;
    let branch = format!("claude/{}", task.id);
    assert_eq!(record["status"], "completed", "{record:#}");
    for (field, value) in [("kind", "repository"), ("repo", "acme/acme-api"), ("branch", &branch), ("stage", "worker")]
    {
        assert_eq!(record[field], value, "{field}");
    }
    let pull = world.pull("acme/acme-api");
    assert_eq!(record["pr_url"], json!(format!("{}/acme/acme-api/pull/{}", world.forge.url(), pull.number)));
    assert!(record["summary"].as_str().unwrap().contains("needsRefresh"), "{record:#}");
    assert!(record["cost"].as_f64().unwrap() > 0.0);
    assert_eq!(world.commits("acme/acme-api", &branch), ["Say so in the README", "Refresh tokens before they end"]);
    assert_eq!((pull.draft, pull.head.as_str(), pull.base.as_str()), (false, branch.as_str(), "main"));
    assert_eq!(pull.title, "Refresh tokens before they end");
    for text in ["needsRefresh", "`npm test`: passed", &task.id, "$0."] {
        assert!(pull.body.contains(text), "{text}: {}", pull.body);
    }
    let logs = world.server.request(reqwest::Method::GET, &format!("/task/{}/logs", task.id)).send().await.unwrap();
    let logs = logs.text().await.unwrap();
    let (first, second) = logs.split_once("\n=== WORKER PHASE ===\n").unwrap();
    assert!(
        first.starts_with("=== ORCHESTRATOR PHASE ===\n") && first.contains("Tokens belong to the HTTP API"),
        "{logs}"
    );
    assert!(second.contains("git push") && !logs.contains(TOKEN));
    task.events.assert_numbered_from(1);

    let told = |text: &str| {
        world.server.model.requests().iter().any(|request| String::from_utf8_lossy(&request.body).contains(text))
    };
    assert!(told("Plain JavaScript, no dependencies."), "the repository's CLAUDE.md was not read");
    assert!(told("You are in a clone of a repository"), "the worker did not get its rules");

    // A message to its session continues in the same clone, branch and conversation.
    let answer = world.server.task(&task.id, "commit later.txt").await.ok();
    assert_eq!((&answer["status"], &answer["resumed"]), (&json!("completed"), &json!(true)), "{answer:#}");
    assert_eq!(world.commits("acme/acme-api", &branch)[0], "Add later.txt");
    let pull = world.pull("acme/acme-api");
    assert_eq!((pull.title.as_str(), pull.draft), ("Add later.txt", false));
    let answer = world.server.task(&task.id, "look around").await.ok();
    let found = answer["output"]["summary"].as_str().unwrap();
    assert!(found.contains("end of the look") && found.contains("Add later.txt"), "{found}");
    assert!(!found.contains("ghp_"), "the token is in the sandbox: {found}");
    world.finish().await;
}
