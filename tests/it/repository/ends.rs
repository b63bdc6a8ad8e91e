//! Repository tasks that end without a pull request or in another way.

use serde_json::{Value, json};

use super::forge::{Task, World, failed};
use crate::server::Setup;
use crate::support::environment;

/// Posts a task for the handbook repository, with its own branch.
async fn in_handbook(world: &World, prompt: &str) -> Task {
    world.post_with(prompt, &json!({ "repo": "acme/handbook" })).await
}

#[tokio::test]
async fn what_a_worker_leaves_decides_the_pull_request() {
    let world = World::start().await;
    let prompts = ["break off", "be blocked", "change nothing", "leave new.txt unpushed"];
    let posted = futures::future::join_all(prompts.map(|prompt| in_handbook(&world, prompt))).await;
    let [mut broken, mut blocked, mut idle, mut unpushed] = <[Task; 4]>::try_from(posted).ok().unwrap();
    let pull_of = |record: &Value| {
        let pulls = world.forge.pulls("acme/handbook");
        pulls.into_iter().find(|pull| pull.head == record["branch"].as_str().unwrap()).expect("no pull request")
    };

    let record = world.end_of(&mut broken).await;
    failed(&record, "exit_code", &["the model has had enough"]);
    let pull = pull_of(&record);
    assert!(pull.draft && pull.body.contains("## Blockers") && pull.body.contains("had enough"), "{}", pull.body);
    let branch = record["branch"].as_str().unwrap();
    assert_eq!(world.commits("acme/handbook", branch), ["A little more", "Half of it"], "all of it is pushed");

    let record = world.end_of(&mut blocked).await;
    failed(&record, "exit_code", &["needs a decision"]);
    let pull = pull_of(&record);
    assert!(pull.draft && pull.title == "A part" && pull.body.contains("needs a decision"), "{pull:?}");

    let record = world.end_of(&mut unpushed).await;
    assert_eq!(record["status"], "completed", "{record:#}");
    let pull = pull_of(&record);
    assert!(!pull.draft && pull.body.contains("`make 'test'`: failed"), "{pull:?}");

    let record = world.end_of(&mut idle).await;
    failed(&record, "nothing_to_do", &["nothing was changed", "right already"]);
    assert_eq!(record["pr_url"], Value::Null);
    assert_eq!(world.forge.pulls("acme/handbook").len(), 3);
    let own = format!("refs/heads/claude/{}", idle.id);
    assert!(!world.branches("acme/handbook").contains(&own), "its branch is gone");

    // The retry uses its own branch.
    let again = world.server.post_nothing(&format!("/task/{}/retry", idle.id)).await.expect(202);
    assert_ne!(again["id"], json!(idle.id));
    let mut again = world.follow(again["id"].as_str().unwrap()).await;
    failed(&world.end_of(&mut again).await, "nothing_to_do", &[]);
    world.finish().await;
}

#[tokio::test]
async fn what_cannot_be_found_is_told_with_the_candidates() {
    let world = World::start().await;
    let elsewhere = format!("See {}/somebody/else/issues/3 and fix it", world.forge.url());
    for (prompt, more, error_type, says) in [
        ("do something unclear", json!({}), "repo_ambiguous", &["acme/acme-api, acme/acme-web, acme/handbook"][..]),
        ("something invented", json!({}), "repo_not_found", &["candidates are", "acme/handbook"]),
        ("commit a", json!({ "repo": "acme/nothing" }), "repo_not_found", &["acme/nothing"]),
        (elsewhere.as_str(), json!({}), "repo_not_found", &["somebody/else"]),
        ("commit a", json!({ "repo": "acme/handbook", "base": "old" }), "clone_failed", &["no branch old"]),
        ("commit a", json!({ "repo": "acme/handbook", "branch": "main" }), "clone_failed", &["branch: main"]),
    ] {
        let mut task = world.post_with(prompt, &more).await;
        failed(&world.end_of(&mut task).await, error_type, says);
    }
    assert_eq!(world.forge.pulls("acme/handbook"), []);
    assert_eq!(world.branches("acme/handbook"), ["refs/heads/main"]);

    for (body, says) in [
        (json!({ "prompt": "" }), "prompt required"),
        (json!({ "prompt": "  " }), "prompt required"),
        (json!({ "repo": "acme/handbook" }), "prompt required"),
        (json!({ "prompt": 5 }), "prompt: "),
        (json!({ "prompt": "a", "repo": "acme" }), "repo: "),
        (json!({ "prompt": "a", "base": "-f" }), "base: "),
        (json!({ "prompt": "a", "branch": "a..b" }), "branch: "),
        (json!({ "sessionId": "s", "message": "a", "repo": "acme/handbook" }), "repo, base and branch"),
        (json!({ "prompt": "a", "message": "a" }), "message: "),
        (json!({ "prompt": "a", "webhook": "http://a" }), "webhook: "),
    ] {
        let problem = world.server.post("/task", &body).await.problem(400, "invalid_request");
        assert!(problem["error"].as_str().unwrap().starts_with(says), "{body}: {problem:#}");
    }
    world.server.post_nothing("/task/0000000000000000/retry").await.problem(404, "task_not_found");
    world.finish().await;
}

#[tokio::test]
async fn tasks_on_one_branch_wait_for_each_other() {
    let world = World::start().await;
    let on_branch = json!({ "repo": "acme/handbook", "branch": "shared" });
    let mut first = world.post_with("work slowly", &on_branch).await;
    first.events.until_event("its stage", |event| event["type"] == "stage" && event["stage"] == "worker").await;
    let mut second = world.post_with("commit second.txt", &on_branch).await;
    second.events.until_event("the wait", |event| event["reason"] == "branch").await;
    assert_eq!(world.server.get(&format!("/task/{}", first.id)).await.ok()["status"], "running");
    for task in [&mut first, &mut second] {
        let record = world.end_of(task).await;
        assert_eq!((&record["status"], &record["branch"]), (&json!("completed"), &json!("shared")), "{record:#}");
    }
    assert_eq!(world.commits("acme/handbook", "shared"), ["Add second.txt", "Two", "One"]);
    assert_eq!(world.pull("acme/handbook").title, "Add second.txt", "one pull request for both");
    world.finish().await;
}

#[tokio::test]
async fn the_operator_sets_prompts_and_what_may_be_changed() {
    let server = Setup::new().without_image().start().await;
    let body = json!({ "prompt": "fix it", "repo": "acme/handbook" });
    let problem = server.post("/task", &body).await.problem(503, "no_forge");
    assert!(problem["error"].as_str().unwrap().contains("GITHUB_TOKEN"), "{problem:#}");
    server.finish().await;

    let prompts = environment::directory("crq-");
    std::fs::write(prompts.path().join("worker.md"), "Be brief and brave.\n").unwrap();
    let setup = Setup::new()
        .env("PROMPT_DIR", prompts.path().display().to_string())
        .env("ALLOW_WORKFLOW_CHANGES", "true")
        .env("ORCHESTRATOR_TIMEOUT_MS", "20000");
    let world = World::with(setup).await;
    let mut task = in_handbook(&world, "commit .github/workflows/ci.yml").await;
    let record = world.end_of(&mut task).await;
    assert_eq!(record["status"], "completed", "{record:#}");
    let bodies = world.server.model.requests();
    assert!(bodies.iter().any(|request| String::from_utf8_lossy(&request.body).contains("Be brief and brave.")));

    // The same request with the same key refers to the same task and session.
    let request = || world.server.request(reqwest::Method::POST, "/task").header("idempotency-key", "once").json(&body);
    let first = world.server.send(request()).await.expect(202);
    assert_eq!(world.server.send(request()).await.expect(202), first);
    let mut task = world.follow(first["id"].as_str().unwrap()).await;
    world.end_of(&mut task).await;
    world.finish().await;
}

#[tokio::test]
async fn a_repository_that_is_not_ready_in_time_is_not_waited_for() {
    let world = World::with(Setup::new().env("ORCHESTRATOR_TIMEOUT_MS", "300")).await;
    let mut task = world.post("a slow choice").await;
    failed(&world.end_of(&mut task).await, "timeout", &["ORCHESTRATOR_TIMEOUT_MS"]);
    world.finish().await;
}
