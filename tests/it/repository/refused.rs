//! Work that must not reach the forge in any way, and branches of others.

use mock_api::forge::{Seed, SeedEntry};
use serde_json::json;

use super::forge::{World, failed};

/// Creates a repository whose `attack.sh` the agent runs.
async fn repository(world: &World, name: &str, attack: &str) {
    let seed = Seed::new("", &[("attack.sh", attack)]);
    world.forge.create_repository(name, &seed).await.unwrap();
}

/// The agent reports success, whatever git answered.
const POINTER: &str = r"
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 12\n' 1 > big.bin
git add . && git commit -qm 'A pointer' && git push origin HEAD; git push --no-verify origin HEAD
exit 0
";

const UNPUSHED_POINTER: &str = r"
printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 12\n' 1 > big.bin
git add . && git commit -qm 'A pointer'
exit 0
";

/// The contents API's listing of `.github` is cut off before `workflows`.
const CUT_LISTING: &str = r"
mkdir -p .github/workflows; for n in $(seq 1200); do echo > .github/a$n; done; echo 'on: push' > .github/workflows/ci.yml
git add . && git commit -qm 'A workflow' && git push origin HEAD; git push origin HEAD:$(git branch --show-current)-more
exit 0
";

#[tokio::test]
async fn the_last_push_takes_nothing_that_the_agent_could_not_push() {
    let world = World::start().await;
    for (name, attack, reason) in [
        ("acme/pointer", POINTER, "it adds a pointer of Git LFS"),
        ("acme/unpushed", UNPUSHED_POINTER, "it adds a pointer of Git LFS"),
        ("acme/cut", CUT_LISTING, "it changes .github/workflows"),
    ] {
        repository(&world, name, attack).await;
        let mut task = world.post_with("run the script", &json!({ "repo": name })).await;
        let record = world.end_of(&mut task).await;
        failed(&record, "push_rejected", &["commits could not be pushed", reason]);
        let own = format!("refs/heads/claude/{}", task.id);
        assert_eq!(world.branches(name), [own.as_str(), "refs/heads/main"], "{name}");
        assert_eq!(world.commits(name, &own), [""; 0], "{name}");
        assert_eq!(world.forge.pulls(name), [], "{name}");
    }
    world.forge.add_lfs_file("acme/pointer", &format!("{:064}", 1));
    let mut task = world.post_with("run the script", &json!({ "repo": "acme/pointer" })).await;
    let record = world.end_of(&mut task).await;
    assert_eq!(record["status"], "completed", "{record:#}");
    world.finish().await;
}

const BRANCHES: &str = r"
echo $(date +%N) > mine.txt; git add . && git commit -qm Mine && git push -q origin HEAD
echo '--- existing'; git push origin HEAD:deploy-production
echo '--- forced'; git push --force origin HEAD:deploy-production
echo '--- deleted'; git push origin :deploy-production
echo '--- tag'; git push origin HEAD:refs/tags/deploy-1
echo '--- notes'; git push origin HEAD:refs/notes/commits
echo '--- new'; git push origin HEAD:deploy-new && echo pushed
exit 0
";

#[tokio::test]
async fn only_the_branches_of_a_task_are_moved() {
    let mut world = World::start().await;
    repository(&world, "acme/site", BRANCHES).await;
    world.git("acme/site", &["branch", "deploy", "main"]);
    world.git("acme/site", &["branch", "deploy-production", "main"]);
    let mut task = world.post_with("run the script", &json!({ "repo": "acme/site", "branch": "deploy" })).await;
    let record = world.end_of(&mut task).await;
    let check = |said: &str| {
        for (attack, answer) in [
            ("existing", "this task did not make the branch deploy-production"),
            ("forced", "this task did not make the branch deploy-production"),
            ("deleted", "branches cannot be deleted"),
            ("tag", "only branches can be pushed"),
            ("notes", "only branches can be pushed"),
            ("new", "pushed"),
        ] {
            let part = said.split(&format!("--- {attack}\n")).nth(1).unwrap_or_else(|| panic!("{attack}: {said}"));
            assert!(part.split("\n--- ").next().unwrap().contains(answer), "{attack}: {said}");
        }
    };
    check(record["summary"].as_str().unwrap_or_else(|| panic!("{record:#}")));
    let all = ["refs/heads/deploy", "refs/heads/deploy-new", "refs/heads/deploy-production", "refs/heads/main"];
    assert_eq!(world.branches("acme/site"), all);

    // The session remembers the branch that it created, even on the next server.
    world.server.kill().await;
    world.server.start_again().await;
    let answer = world.server.task(&task.id, "run the script").await.ok();
    check(answer["output"]["summary"].as_str().unwrap_or_else(|| panic!("{answer:#}")));
    assert_eq!(world.branches("acme/site"), all);
    assert_eq!(world.commits("acme/site", "deploy-new"), ["Mine", "Mine"]);
    assert_eq!(
        world.git("acme/site", &["rev-parse", "deploy-production"]),
        world.git("acme/site", &["rev-parse", "main"])
    );

    // A branch already has the name of the task's own branch.
    let mut task = world.post("a slow choice").await;
    let own = format!("claude/{}", task.id);
    world.git("acme/handbook", &["branch", &own, "main"]);
    let record = world.end_of(&mut task).await;
    failed(&record, "clone_failed", &["which this task did not make"]);
    assert_eq!(world.branches("acme/handbook"), [format!("refs/heads/{own}"), "refs/heads/main".to_owned()]);
    world.finish().await;
}

#[tokio::test]
async fn submodules_are_cloned_by_any_of_their_addresses_and_the_others_are_named() {
    let world = World::start().await;
    let part = world.forge.create_repository("acme/part", &Seed::new("", &[("part.txt", "a part\n")])).await.unwrap();
    let nested =
        Seed::new("", &[("part.txt", "a part\n"), (".gitmodules", "[submodule \"x\"]\n\tpath = x\n\turl = ../part\n")]);
    let nested = world.forge.create_repository("acme/nested", &nested).await.unwrap();
    let url = world.forge.url();
    let cloned = [
        ("scp", "git@127.0.0.1:acme/part.git".to_owned()),
        ("ssh", "ssh://git@127.0.0.1:22/acme/part".to_owned()),
        ("slash", format!("{url}/acme/part.git/")),
        ("plain", format!("{url}/acme/part")),
        ("relative", "../part.git/".to_owned()),
    ];
    let left_out = [
        ("foreign", "git@127.0.0.1:other/part.git", "it belongs to other"),
        ("elsewhere", "https://forge.example/acme/part.git", "not a repository of this forge"),
        ("missing", "git@127.0.0.1:acme/missing.git", "git could not fetch acme/missing"),
    ];
    let section = |name: &str, url: &str| format!("[submodule \"{name}\"]\n\tpath = {name}\n\turl = {url}\n");
    let mut modules: String = cloned.iter().map(|(name, url)| section(name, url)).collect();
    modules.extend(left_out.iter().map(|(name, url, _)| section(name, url)));
    modules += &section("nested", "git@127.0.0.1:acme/nested");
    let script = "ls scp ssh slash plain relative foreign elsewhere missing nested nowhere; git submodule status; git push -q origin HEAD; exit 0";
    let mut seed = Seed::new(
        "",
        &[("attack.sh", script), (".gitmodules", &modules), (".gitattributes", "*.bin filter=lfs\n"), ("a.bin", "a\n")],
    );
    for (name, commit) in
        cloned.iter().map(|(name, _)| (*name, &part)).chain(left_out.iter().map(|(name, ..)| (*name, &part)))
    {
        seed = seed.with(SeedEntry::Submodule { path: name.to_owned(), commit: commit.clone() });
    }
    let seed = seed
        .with(SeedEntry::Submodule { path: "nested".to_owned(), commit: nested })
        .with(SeedEntry::Submodule { path: "nowhere".to_owned(), commit: part });
    world.forge.create_repository("acme/whole", &seed).await.unwrap();

    let mut task = world.post_with("run the script", &json!({ "repo": "acme/whole" })).await;
    let event = task.events.until_event("what is left out", |event| event["notCloned"].is_array()).await;
    let told: Vec<&str> = event["notCloned"].as_array().unwrap().iter().map(|told| told.as_str().unwrap()).collect();
    let record = world.end_of(&mut task).await;
    let answer = world.server.get(&format!("/task/{}", task.id)).await.ok();
    let said = answer["summary"].as_str().unwrap_or_else(|| panic!("{record:#}"));
    for (name, _) in &cloned {
        assert!(said.contains(&format!("{name}:\npart.txt\n")), "{name}: {said}");
    }
    let logs = world.server.request(reqwest::Method::GET, &format!("/task/{}/logs", task.id)).send().await.unwrap();
    let logs = logs.text().await.unwrap();
    let mut expected: Vec<(&str, &str)> = left_out.iter().map(|(name, _, reason)| (*name, *reason)).collect();
    expected.extend([
        ("nested", "The submodules of the submodule nested are not cloned"),
        ("nowhere", ".gitmodules has no address"),
        ("Git LFS", "the content of 1 files"),
    ]);
    for (name, reason) in &expected {
        let found = told.iter().filter(|told| told.contains(name) && told.contains(reason)).count();
        assert_eq!(found, 1, "{name}, {reason}: {told:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    assert!(told.iter().all(|told| logs.contains(told)), "{logs}");
    let calls = world.forge.calls();
    assert!(!calls.iter().any(|call| call.contains("/other/")), "{calls:?}");
    world.finish().await;
}
