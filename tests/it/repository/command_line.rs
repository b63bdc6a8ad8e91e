//! Repository tasks from the command line.

use serde_json::{Value, json};

use super::forge::World;

#[tokio::test]
async fn a_prompt_on_the_command_line_ends_with_the_address_of_its_pull_request() {
    let world = World::start().await;
    let ran = world.server.run(&["task", "--repo", "acme/acme-api", "Fix the token refresh bug, please"]).await;
    let url = format!("{}/acme/acme-api/pull/{}", world.forge.url(), world.pull("acme/acme-api").number);
    assert_eq!((ran.code, ran.out.lines().next_back()), (0, Some(url.as_str())), "{ran:#?}");
    assert!(ran.out.contains("needsRefresh") && !ran.out.contains('{'), "a summary and no JSON: {ran:#?}");
    assert!(ran.err.contains("    stage  worker acme/acme-api on claude/"), "{ran:#?}");
    let listed = world.server.run(&["tasks", "--json"]).await;
    let first: Value = serde_json::from_str(&listed.out).unwrap();
    let listed = world.server.run(&["tasks"]).await;
    assert!(listed.out.contains("  acme/acme-api  "), "{listed:#?}");

    // The retry uses its own branch.
    let ran = world.server.run(&["retry", first["taskId"].as_str().unwrap()]).await;
    let last = world.forge.pulls("acme/acme-api").pop().unwrap();
    assert_ne!(json!(last.head), first["branch"]);
    let url = format!("{}/acme/acme-api/pull/{}", world.forge.url(), last.number);
    assert_eq!((ran.code, ran.out.lines().next_back()), (0, Some(url.as_str())), "{ran:#?}");
    assert!(ran.err.contains(&format!("    stage  worker acme/acme-api on {}", last.head)), "{ran:#?}");

    // A failed command prints the reason and exits with its own status.
    let ran = world.server.run(&["task", "--repo", "acme/nowhere", "Fix it"]).await;
    assert!(ran.code == 1 && ran.out.is_empty() && ran.err.contains("repo_not_found  "), "{ran:#?}");
    world.finish().await;
}
