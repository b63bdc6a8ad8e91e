//! The real git through the gateway, against the forge of mock-api.

mod world;

use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use mock_api::forge::{Fault, Seed, SeedEntry};

use self::world::{TOKEN, World};
use crate::Workflows;

const CLONE: &str = "git clone -q https://github.com/acme/api.git w && cd w && git switch -q -c claude/1";

#[tokio::test]
async fn a_branch_is_cloned_and_pushed_without_a_token() {
    let world = World::start(Workflows::Fixed).await;
    world.works(&format!("{CLONE}; echo 2 > a; git commit -qam 2; git push -q origin claude/1")).await;
    world.works("cd w; echo 3 > a; git commit -qam 3; git push -q origin claude/1 claude/1:claude/1-more").await;
    assert_eq!(world.references().await, "refs/heads/claude/1 refs/heads/claude/1-more refs/heads/main");
    // git sends a push of several megabytes in chunks, after a request that only asks for permission.
    world
        .works("cd w; head -c 4000000 /dev/urandom > big; git add big; git commit -qm big; git push -q origin claude/1")
        .await;
    world.works("git clone -q --depth 1 --filter=blob:none https://github.com/acme/api.git shallow").await;
    world.works("git clone -q https://github.com/acme/part.git part").await;
    let found = world.shell(&format!("grep -r {TOKEN} w part")).await;
    assert!(found.stdout.is_empty(), "the token is in a clone");
}

#[tokio::test]
async fn what_a_task_may_not_push_is_refused_with_a_reason() {
    let world = World::start(Workflows::Fixed).await;
    world.works(&format!("{CLONE}; echo 2 > a; git commit -qam 2; git tag v1; git push -q origin claude/1")).await;
    let before = world.references().await;
    for (push, reason) in [
        ("git push origin HEAD:main", "this task may push claude/1 only"),
        ("git push origin HEAD:refs/heads/claude/2", "this task may push claude/1 only"),
        ("git push origin v1", "only branches can be pushed"),
        ("git push origin :claude/1", "branches cannot be deleted"),
        ("git push origin claude/1:claude/1-x HEAD:main", "another ref of this push was refused"),
        ("git push https://github.com/acme/other.git HEAD:claude/1", "403"),
        ("git push https://github.com/acme/part.git HEAD:claude/1", "403"),
        ("git clone https://github.com/acme/other.git other", "403"),
        ("git commit -q --amend -m 2b; git push --force origin claude/1", "not a fast forward"),
        (
            "echo 'on: [push, fork]' > .github/workflows/ci.yml; git commit -qam w; git push origin claude/1",
            "workflows",
        ),
        ("git rm -qr .github; git commit -qm w; git push origin claude/1:claude/1-w", "workflows"),
    ] {
        let said = world.refused(&format!("cd w; git reset -q --hard origin/claude/1; {push}")).await;
        assert!(said.contains(reason), "{push}: {said}");
        assert_eq!(world.references().await, before, "{push}");
    }
    world.works("cd w; git reset -q --hard origin/claude/1; echo x > .github/CODEOWNERS; git commit -qam c; git push -q origin claude/1").await;
}

#[tokio::test]
async fn workflows_stay_as_they_are_however_they_are_changed() {
    let world = World::start(Workflows::Fixed).await;
    world.works(&format!("{CLONE}; echo 2 > a; git commit -qam 2; git push -q origin claude/1")).await;
    let before = world.references().await;
    let evil = "echo 'on: [push, fork]' > .github/workflows/ci.yml";
    for (change, reason) in [
        (evil, "it changes .github/workflows"),
        ("mkdir -p .GitHub/workflows; echo 'on: push' > .GitHub/workflows/a.yml", "it changes .github/workflows"),
        ("mkdir -p .github/Workflows; echo 'on: push' > .github/Workflows/a.yml", "it changes .github/workflows"),
        (
            "git mv .github/workflows .github/flows; git mv .github/flows .github/WORKFLOWS",
            "it changes .github/workflows",
        ),
        ("mv .github ci; ln -s ci .github", "the symbolic link .github cannot be read completely"),
        (
            "mv .github/workflows ci; ln -s ../ci .github/workflows",
            "the symbolic link .github/workflows cannot be read",
        ),
        ("ln -s a .GITHUB", "the symbolic link .GITHUB cannot be read completely"),
        ("rm -r .github; git clone -q . .github", "it changes .github/workflows"),
        ("rm -r .github; echo > .github", "it changes .github/workflows"),
        ("git mv .github/workflows/ci.yml .github/workflows/other.yml", "it changes .github/workflows"),
        ("chmod +x .github/workflows/ci.yml", "it changes .github/workflows"),
    ] {
        for branch in ["claude/1", "claude/1-new"] {
            let script = format!(
                "cd w; git reset -q --hard origin/claude/1; git clean -qffdx; {change}; git -c advice.addEmbeddedRepo=false \
                 add -A; git commit -qm change; git push origin HEAD:refs/heads/{branch}"
            );
            let said = world.refused(&script).await;
            assert!(said.contains(reason), "{change}: {said}");
            assert_eq!(world.references().await, before, "{change}");
        }
    }
    // One branch has no common history with the base, and one merge brings a change.
    for change in [
        format!("git checkout -q --orphan alone; {evil}; git add -A; git commit -qm alone"),
        format!(
            "git switch -q -c side; {evil}; git commit -qam side; git switch -q claude/1; echo > b; git add b; git commit -qm b; git merge -q side"
        ),
    ] {
        let script = format!(
            "cd w; git switch -q claude/1; git reset -q --hard origin/claude/1; git clean -qffdx; {change}; git push origin \
             HEAD:refs/heads/claude/1-new"
        );
        let said = world.refused(&script).await;
        assert!(said.contains("it changes .github/workflows"), "{change}: {said}");
        assert_eq!(world.references().await, before, "{change}");
    }
    // The forge truncates this tree.
    world.forge.set_tree_limit(2);
    let said = world.refused("cd w; git reset -q --hard origin/claude/1; git switch -q -C claude/1 origin/claude/1; echo 3 > a; git commit -qam 3; git push origin claude/1").await;
    assert!(said.contains("the directory / cannot be read completely"), "{said}");
    assert_eq!(world.references().await, before);
    world.forge.set_tree_limit(1000);
    world.works("cd w; git push -q origin claude/1").await;
}

#[tokio::test]
async fn the_first_workflow_is_seen_behind_as_many_files_as_there_may_be() {
    let world = World::with(Workflows::Fixed, &Seed::new("", &[("a", "1\n")])).await;
    world.works(&format!("{CLONE}; echo 2 > a; git commit -qam 2; git push -q origin claude/1")).await;
    let before = world.references().await;
    // A listing of the contents API has 1,000 entries, and ends before `workflows`.
    for files in [0, 1200] {
        let script = format!(
            "cd w; git reset -q --hard origin/claude/1; mkdir -p .github/workflows; for n in $(seq {files}); do echo > \
             .github/a$n; done; echo 'on: push' > .github/workflows/ci.yml; git add -A; git commit -qm w; git push \
             origin claude/1"
        );
        let said = world.refused(&script).await;
        assert!(said.contains("it changes .github/workflows"), "{files}: {said}");
        assert_eq!(world.references().await, before, "{files}");
    }
}

#[tokio::test]
async fn the_base_branchs_own_change_of_its_workflows_can_be_merged() {
    let world = World::start(Workflows::Fixed).await;
    world.works(CLONE).await;
    world
        .at_the_forge(
            "git clone -q . x; cd x; echo 'on: fork' > .github/workflows/ci.yml; git commit -qam w; git push -q origin main",
        )
        .await;
    world
        .works("cd w; echo 2 > a; git commit -qam 2; git pull -q --no-rebase --no-edit origin main; git push -q origin claude/1")
        .await;
}

#[tokio::test]
async fn a_branch_that_the_task_did_not_make_is_not_moved() {
    let world = World::start(Workflows::Fixed).await;
    world
        .at_the_forge("git branch claude/1-production main; git branch claude/1-old main; git tag claude/1-tag main")
        .await;
    world.works(&format!("{CLONE}; echo 2 > a; git commit -qam 2; git push -q origin claude/1")).await;
    let before = world.references_with_commits().await;
    for (push, reason) in [
        ("HEAD:claude/1-production", "this task did not make the branch claude/1-production"),
        ("--force HEAD:claude/1-production", "this task did not make the branch claude/1-production"),
        (":claude/1-production", "branches cannot be deleted"),
        ("HEAD:refs/tags/claude/1-v1", "only branches can be pushed"),
        ("--force HEAD:refs/tags/claude/1-tag", "only branches can be pushed"),
        ("HEAD:refs/notes/commits", "only branches can be pushed"),
        ("HEAD:refs/replace/1", "only branches can be pushed"),
        ("HEAD:refs/claude-runner/1", "only branches can be pushed"),
        ("HEAD:refs/heads/claude/1-second HEAD:claude/1-old", "another ref of this push was refused"),
        ("--mirror", "branches cannot be deleted here"),
    ] {
        let said = world.refused(&format!("cd w; git push origin {push}")).await;
        assert!(said.contains(reason), "{push}: {said}");
        assert_eq!(world.references_with_commits().await, before, "{push}");
    }
    // The branch appears between the advertisement and the push.
    let said = world
        .refused(
            "cd w; mkdir hooks; printf '#!/bin/sh\ngit --git-dir ../repositories/acme/api.git branch claude/1-late main\n' > hooks/pre-push; \
             chmod +x hooks/pre-push; git -c core.hooksPath=hooks push origin HEAD:claude/1-late",
        )
        .await;
    assert!(said.contains("Reference already exists"), "{said}");
    assert!(world.references_with_commits().await.contains(&format!("claude/1-late {}", world.main().await)));
    // The forge fails while the branch appears at the very commit. It is still not the task's.
    world.forge.fail(Fault {
        method: Method::POST,
        path: "/git/refs".to_owned(),
        status: StatusCode::BAD_GATEWAY,
        message: "Bad Gateway".to_owned(),
        retry_after: None,
        times: 1,
    });
    let said = world
        .refused(
            "cd w; printf '#!/bin/sh\ngit --git-dir ../repositories/acme/api.git branch claude/1-same claude/1\n' > hooks/pre-push; \
             git -c core.hooksPath=hooks push origin HEAD:claude/1-same",
        )
        .await;
    assert!(said.contains("this task did not make the branch claude/1-same"), "{said}");
    let said = world.refused("cd w; echo 4 > a; git commit -qam 4; git push origin HEAD:claude/1-same").await;
    assert!(said.contains("this task did not make the branch claude/1-same"), "{said}");
    // The gateway did not ask the forge to create that branch, so the failure meets the next creation.
    let said = world.refused("cd w; git push origin HEAD:claude/1-second").await;
    assert!(said.contains("502"), "{said}");
    // The task creates and moves its own branches.
    world.works("cd w; git push -q origin HEAD:claude/1-second; echo 3 > a; git commit -qam 3; git push -q origin HEAD:claude/1-second").await;
}

#[tokio::test]
async fn a_pointer_of_git_lfs_is_pushed_only_where_the_forge_has_its_file() {
    let world = World::start(Workflows::Fixed).await;
    let oid = |n: u32| format!("{n:064x}");
    let write = |n: u32| {
        format!("printf 'version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {n}\n' > p{n}; ", oid(n))
    };
    let all: String = (1..30).map(write).collect();
    world.works(&format!("{CLONE}; echo '* filter=lfs' > .gitattributes; git add -A; git commit -qm attributes")).await;
    let before = world.references().await;
    let said =
        world.refused(&format!("cd w; {all} git add -A; git commit -qm pointers; git push origin claude/1")).await;
    assert!(said.contains("it adds a pointer of Git LFS") && said.contains(&oid(1)), "{said}");
    // Its objects are already at the forge, so the next push need not send them. The push is still refused.
    let said = world.refused("cd w; echo 2 > a; git commit -qam 2; git push --no-verify origin claude/1").await;
    assert!(said.contains("it adds a pointer of Git LFS"), "{said}");
    assert_eq!(world.references().await, before);
    // The forge must have every file, and most pointers are deltas in the pack.
    (1..29).for_each(|n| world.forge.add_lfs_file("acme/api", &oid(n)));
    let said = world.refused("cd w; git push origin claude/1:claude/1-other").await;
    assert!(said.contains(&oid(29)), "{said}");
    world.forge.add_lfs_file("acme/api", &oid(29));
    world.works("cd w; git push -q origin claude/1").await;
    // A pointer may be moved. An intermediate pointer counts too.
    world.works("cd w; git mv p3 q3; git commit -qm moved; git push -q origin claude/1").await;
    let on_the_way = format!(
        "cd w; {} git add -A; git commit -qm in; git rm -q p77; git commit -qm out; git push origin claude/1",
        write(77)
    );
    assert!(world.refused(&on_the_way).await.contains(&oid(77)));
    let said = world.shell("curl -s -x \"$(git config http.proxy)\" http://127.0.0.1:8787/github/acme/api.git/info/lfs/objects/batch -d '{}'").await;
    assert!(String::from_utf8_lossy(&said.stdout).contains("neither downloaded nor uploaded"), "{said:?}");
}

#[tokio::test]
async fn pointers_that_the_base_branch_got_meanwhile_can_be_merged() {
    let world = World::start(Workflows::Fixed).await;
    world.works(&format!("{CLONE}; echo '* filter=lfs' > .gitattributes; git add -A; git commit -qm 2")).await;
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{:064x}\nsize 1", 7);
    world
        .works(&format!(
            "git clone -q repositories/acme/api.git base; cd base; printf '{pointer}' > p; git add p; git commit -qm p; \
             git push -q origin HEAD:main; cd ../w; git fetch -q; git merge -q -m merge origin/main; git push -q origin claude/1"
        ))
        .await;
}

#[tokio::test]
async fn a_submodule_is_set_only_to_a_commit_that_the_forge_has() {
    let elsewhere = "1234567890123456789012345678901234567890";
    let seed = Seed::new("", &[("a", "1\n")])
        .with(SeedEntry::Submodule { path: "x".to_owned(), commit: elsewhere.to_owned() });
    let world = World::with(Workflows::Changeable, &seed).await;
    // The submodule of the base stays, although nobody knows its repository.
    world.works(&format!("{CLONE}; echo 2 > a; git commit -qam 2; git push -q origin claude/1")).await;
    let before = world.references_with_commits().await;
    let set = |path: &str, commit: &str| {
        format!("git update-index --add --cacheinfo 160000,{commit},{path}; git commit -qm s")
    };
    let dangling = "a".repeat(40);
    for path in ["x", "deep/down/part"] {
        let said = world.refused(&format!("cd w; {}; git push origin claude/1", set(path, &dangling))).await;
        assert!(said.contains("it sets a submodule to the commit") && said.contains(&dangling), "{said}");
        // Its objects are at the forge now. The last push of a task does not call the hooks.
        let said = world.refused("cd w; git commit -q --allow-empty -m 3; git push --no-verify origin claude/1").await;
        assert!(said.contains("it sets a submodule to the commit"), "{said}");
        assert_eq!(world.references_with_commits().await, before);
        world.works("cd w; git reset -q --hard origin/claude/1").await;
    }
    world
        .works(&format!(
            "git clone -q https://github.com/acme/part.git part; cd w; {}; git push -q origin claude/1",
            set("deep/part", "$(git -C ../part rev-parse HEAD)")
        ))
        .await;
}

#[tokio::test]
async fn a_push_whose_git_was_killed_leaves_no_temporary_ref() {
    let world = World::start(Workflows::Fixed).await;
    // The forge's own hook runs when the objects have arrived under their temporary ref.
    world
        .works(&format!(
            "{CLONE}; echo 2 > a; git commit -qam 2; hook=../repositories/acme/api.git/hooks/post-receive; mkdir -p $(dirname $hook); \
             printf '#!/bin/sh\nkill -9 -$(cat %s)\n' $PWD/pid > $hook; chmod +x $hook; \
             setsid sh -c 'echo $$ > pid; exec git push -q origin claude/1' || true"
        ))
        .await;
    let expected = "refs/heads/claude/1 refs/heads/main";
    let removed = async { while world.references().await != expected {} };
    let removed = tokio::time::timeout(Duration::from_mins(1), removed).await;
    assert!(removed.is_ok(), "{}", world.references().await);
}

#[tokio::test]
async fn the_pushes_of_a_sandbox_are_bounded_also_without_their_git() {
    let world = World::start(Workflows::Fixed).await;
    world.works(&format!("{CLONE}; echo 2 > a; git commit -qam 2")).await;
    let others = Arc::clone(&world.sandbox.pushes).try_acquire_many_owned(8).unwrap();
    let said = world.refused("cd w; git push origin claude/1").await;
    assert!(said.contains("429"), "{said}");
    drop(others);
    world.works("cd w; git push -q origin claude/1").await;
}

#[tokio::test]
async fn the_forges_reasons_are_shown() {
    let world = World::start(Workflows::Fixed).await;
    world.works(&format!("{CLONE}; echo 2 > a; git commit -qam 2")).await;
    let order = |method: Method, path: &str, status: u16, message: &str| {
        let (status, path) = (StatusCode::from_u16(status).unwrap(), path.to_owned());
        world.forge.fail(Fault { method, path, status, message: message.to_owned(), retry_after: None, times: 1 });
    };
    for (method, path, status, message, reason) in [
        (
            Method::POST,
            "/git/refs",
            422,
            "Repository rule violations found: Cannot create ref",
            "the forge protects this branch",
        ),
        (Method::POST, "/git/refs", 404, "Not Found", "the credential has no right to change acme/api"),
        (
            Method::POST,
            "/git/refs",
            403,
            "Resource not accessible by personal access token",
            "the credential has no right",
        ),
        (
            Method::POST,
            "git-receive-pack",
            403,
            "Repository was archived so is read-only.",
            "the repository is archived",
        ),
        (
            Method::GET,
            "git-receive-pack",
            403,
            "Write access to repository not granted.",
            "the credential has no right",
        ),
        (
            Method::POST,
            "git-receive-pack",
            429,
            "You have exceeded a secondary rate limit.",
            "allows no calls for 60 s",
        ),
    ] {
        order(method, path, status, message);
        let said = world.refused("cd w; git push origin claude/1").await;
        assert!(said.contains(reason), "{message}: {said}");
    }
    assert_eq!(world.references().await, "refs/heads/main");

    // The repository was renamed in the meantime.
    world.forge.rename_repository("acme/api", "acme/renamed").unwrap();
    world.works("cd w; git fetch -q; git push -q origin claude/1").await;
    world.forge.archive_repository("acme/renamed");
    let said = world.refused("cd w; echo 3 > a; git commit -qam 3; git push origin claude/1").await;
    assert!(said.contains("the repository is archived"), "{said}");
}

#[tokio::test]
async fn workflows_can_be_changed_where_that_is_allowed() {
    let world = World::start(Workflows::Changeable).await;
    world
        .works(&format!("{CLONE}; echo > .github/workflows/ci.yml; git commit -qam w; git push -q origin claude/1"))
        .await;
}
