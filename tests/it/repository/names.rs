//! The repository that a prompt names.

use mock_api::forge::Seed;
use serde_json::json;

use super::forge::{World, failed};

#[tokio::test]
async fn links_of_the_forge_name_a_repository_and_ordinary_words_do_not() {
    let world = World::start().await;
    for name in ["acme/test", "other/handbook"] {
        world.forge.create_repository(name, &Seed::new("", &[("a", "a")])).await.unwrap();
    }
    let forge = world.forge.url();
    for (prompt, repository) in [
        (format!("change nothing, see {forge}/acme/acme-web/issues/3."), "acme/acme-web"),
        (format!("change nothing ([pull request]({forge}/acme/acme-api/pull/7/files))"), "acme/acme-api"),
        ("change nothing for acme/handbook#12".to_owned(), "acme/handbook"),
        ("change nothing in the test repo".to_owned(), "acme/test"),
        ("change nothing in acme-web, and/or in src/main.rs".to_owned(), "acme/acme-web"),
    ] {
        let mut task = world.post(&prompt).await;
        let record = world.end_of(&mut task).await;
        failed(&record, "nothing_to_do", &[]);
        assert_eq!(record["repo"], repository, "{prompt}");
    }
    let asked = || world.server.model.requests().len();
    // A tie is a question to the author, whatever a model would say.
    for (prompt, names) in [
        ("Mend the links in the handbook repo", ["acme/handbook", "other/handbook"]),
        ("Compare acme/acme-api with acme/acme-web", ["acme/acme-api", "acme/acme-web"]),
    ] {
        let before = asked();
        let mut task = world.post(prompt).await;
        failed(&world.end_of(&mut task).await, "repo_ambiguous", &[names[0], names[1], "`repo`"]);
        assert_eq!(asked(), before, "the model was asked about {prompt:?}");
    }
    for (prompt, error_type, says) in [
        ("Make the failing test pass, which is unclear", "repo_ambiguous", &["candidates are acme/test"][..]),
        (
            "Fix the login in acme/acme-api, like acme/acme-web does, which is unclear",
            "repo_ambiguous",
            &["acme/acme-web"],
        ),
        // The model chooses a repository that is not in the list.
        ("Read https://github.com/acme/acme-web/issues/3, invented", "repo_not_found", &["candidates are"]),
        ("Read https://example.com/acme/acme-web, invented", "repo_not_found", &["candidates are"]),
    ] {
        let before = asked();
        let mut task = world.post(prompt).await;
        let record = world.end_of(&mut task).await;
        failed(&record, error_type, says);
        assert_eq!(record.get("repo").unwrap_or(&json!(null)), &json!(null), "{prompt}");
        assert!(asked() > before, "the model was not asked about {prompt:?}");
    }
    world.finish().await;
}
