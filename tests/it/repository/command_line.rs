//! From a terminal.

use super::forge::World;

#[tokio::test]
async fn a_prompt_on_the_command_line_ends_with_the_address_of_its_pull_request() {
    let world = World::start().await;
    let ran = world.server.run(&["task", "--repo", "acme/acme-api", "Fix the token refresh bug, please"]).await;
    let url = format!("{}/acme/acme-api/pull/{}", world.forge.url(), world.pull("acme/acme-api").number);
    assert_eq!((ran.code, ran.out.lines().next_back()), (0, Some(url.as_str())), "{ran:#?}");
    assert!(ran.out.contains("needsRefresh") && !ran.out.contains('{'), "a summary and no JSON: {ran:#?}");
    assert!(ran.err.contains("    stage  worker acme/acme-api on claude/"), "{ran:#?}");
    let listed = world.server.run(&["tasks"]).await;
    assert!(listed.out.contains("  acme/acme-api  "), "{listed:#?}");
    world.finish().await;
}
