//! Mirrors with the real git, against the forge of mock-api.

mod in_a_sandbox;
mod world;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use mock_api::forge::{Seed, SeedEntry};
use reqwest::StatusCode;
use sessions::repository::MirrorError;
use tokio::join;

use world::{LARGE, TOKEN, World, noise};

const FETCH: &str = "service=git-upload-pack";

#[tokio::test(flavor = "multi_thread")]
async fn a_second_fetch_brings_only_what_is_new() {
    let world = World::start(LARGE).await;
    world.repository("acme/api", 2_000_000).await;
    let first = world.update("acme/api").await.unwrap();
    assert!(first.bytes() > 2_000_000, "{}", first.bytes());
    drop(first);
    let packs = world.packs("acme/api");
    assert_eq!(packs.len(), 1, "{packs:?}");

    world.change(
        "acme/api",
        "git switch -q -c more; echo 2 > a; git commit -qam 2; git tag v1; git push -q origin more v1",
    );
    world.update("acme/api").await.unwrap();
    let after = world.packs("acme/api");
    assert_eq!(after.len(), 2, "{after:?}");
    let new: Vec<_> = after.iter().filter(|pack| !packs.contains(pack)).collect();
    assert!(new.len() == 1 && new[0].1 < 10_000, "{after:?}");
    assert_eq!(world.refs_of_a_clone("acme/api").await, world.refs("acme/api"));

    // Refs that the forge deleted are deleted here too, as is a name that blocks another.
    world.change("acme/api", "git push -q origin :more :v1; git push -q origin HEAD:refs/heads/more/again");
    assert_eq!(world.refs_of_a_clone("acme/api").await, world.refs("acme/api"));

    // Many small fetches do not leave many packs.
    for number in 0..10 {
        world.change("acme/api", &format!("echo {number} > n; git add n; git commit -qm n; git push -q origin main"));
        world.update("acme/api").await.unwrap();
    }
    assert!(world.packs("acme/api").len() < 10, "{:?}", world.packs("acme/api"));
    assert_eq!(world.refs_of_a_clone("acme/api").await, world.refs("acme/api"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_mirror_is_made_anew() {
    let world = World::start(LARGE).await;
    world.repository("acme/api", 50_000).await;
    let pack = |ending: &str| {
        let (name, _) = world.packs("acme/api").remove(0);
        world.place("acme/api").join("objects/pack").join(name.replace(".pack", ending))
    };
    for damage in
        ["a short pack", "no pack", "no index", "refs to nowhere", "a lock of a fetch that was killed", "no HEAD"]
    {
        world.update("acme/api").await.unwrap();
        let place = world.place("acme/api");
        match damage {
            "a short pack" => fs::OpenOptions::new().write(true).open(pack(".pack")).unwrap().set_len(100).unwrap(),
            "no pack" => fs::remove_file(pack(".pack")).unwrap(),
            "no index" => fs::remove_file(pack(".idx")).unwrap(),
            "refs to nowhere" => {
                fs::write(place.join("packed-refs"), format!("{} refs/heads/main\n", "1".repeat(40))).unwrap();
            }
            "no HEAD" => fs::remove_file(place.join("HEAD")).unwrap(),
            _ => fs::write(place.join("packed-refs.lock"), "").unwrap(),
        }
        assert_eq!(world.refs_of_a_clone("acme/api").await, world.refs("acme/api"), "{damage}");
    }
    // A failed clone also discards the mirror.
    world.mirrors.discard(&"acme/api".parse().unwrap()).await.unwrap();
    assert!(!world.place("acme/api").exists());
    assert_eq!(world.refs_of_a_clone("acme/api").await, world.refs("acme/api"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_given_what_the_forge_does_not_give_now() {
    let world = World::start(LARGE).await;
    world.repository("acme/api", 1000).await;
    world.update("acme/api").await.unwrap();
    for status in [StatusCode::UNAUTHORIZED, StatusCode::NOT_FOUND, StatusCode::BAD_GATEWAY] {
        world.fail(status, 2);
        let refused = world.update("acme/api").await.map(|copy| copy.bytes()).unwrap_err();
        assert!(matches!(&refused, MirrorError::Git { command, .. } if command == "fetch"), "{refused:?}");
        assert!(world.place("acme/api").exists(), "the mirror went with a {status}");
    }
    world.fail(StatusCode::BAD_GATEWAY, 1);
    world.update("acme/api").await.unwrap();
    let missing = world.update("acme/none").await.map(|copy| copy.bytes()).unwrap_err();
    assert!(matches!(missing, MirrorError::Git { .. }), "{missing:?}");
    assert_eq!(fs::read_dir(world.place("acme/none").parent().unwrap()).unwrap().count(), 1, "half a mirror is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_in_a_repository_or_on_the_disk_makes_git_do_something_else() {
    let world = World::start(LARGE).await;
    let witness = world.directory().join("witness");
    let program = format!("#!/bin/sh\ntouch {}\n", witness.display());
    let modules =
        "[submodule \"a\"]\n\tpath = a\n\turl = file:///etc\n[submodule \"b\"]\n\tpath = b\n\turl = --upload-pack=x\n";
    let seed = Seed::new(
        "",
        &[(".gitmodules", modules), ("config", "[core]\n\thooksPath = hooks\n"), (".gitattributes", "* filter=x\n")],
    )
    .with(SeedEntry::program("hooks/reference-transaction", &program))
    .with(SeedEntry::Symlink { path: "objects".to_owned(), target: "/etc".to_owned() })
    .with(SeedEntry::Submodule { path: "a".to_owned(), commit: "1".repeat(40) });
    world.forge.create_repository("acme/api", &seed).await.unwrap();
    world.update("acme/api").await.unwrap();

    let place = world.place("acme/api");
    let config = "[core]\n\tbare = true\n\thooksPath = hooks\n\tsshCommand = false\n\tfsmonitor = hooks/reference-transaction\n\
                  [url \"http://127.0.0.1:9/\"]\n\tinsteadOf = http://127.0.0.1\n\
                  [credential]\n\thelper = !touch witness\n[include]\n\tpath = /no/such/file\n";
    fs::write(place.join("config"), config).unwrap();
    fs::create_dir(place.join("hooks")).unwrap();
    for hook in ["reference-transaction", "post-update", "pre-auto-gc"] {
        fs::write(place.join("hooks").join(hook), &program).unwrap();
        fs::set_permissions(place.join("hooks").join(hook), PermissionsExt::from_mode(0o755)).unwrap();
    }
    let odd = "git push -q origin HEAD:refs/heads/-x HEAD:refs/heads/--upload-pack=x 'HEAD:refs/heads/a;b'";
    world.change("acme/api", odd);
    let names = world.names_in_the_copy("acme/api").await;
    assert!(!witness.exists(), "a hook ran");
    assert!(place.join("hooks").exists(), "it was not brought up to date, but made anew");
    let is_known = |name: &&String| {
        ["", "HEAD", "config", "packed-refs", "refs/", "objects/", "objects/info/", "objects/pack/"]
            .contains(&name.as_str())
            || name.starts_with("objects/pack/pack-")
    };
    let unknown: Vec<_> = names.iter().filter(|name| !is_known(name)).collect();
    assert!(unknown.is_empty() && names.len() > 9, "{unknown:?} {names:?}");
    assert_eq!(world.refs_of_a_clone("acme/api").await, world.refs("acme/api"));

    // The token is in no file and on no command line. git gets only the intended part of the coordinator's environment.
    let told = world.told();
    assert!(told.contains("fetch --quiet") && told.contains("GIT_CONFIG_VALUE_"), "{told}");
    let arguments: String = told.lines().filter(|line| line.starts_with("arguments: ")).collect();
    assert!(!arguments.contains(TOKEN) && !arguments.contains("Basic"), "{arguments}");
    assert!(!told.contains("CARGO_MANIFEST_DIR"), "{told}");
    let memory: Vec<_> = told.lines().filter_map(|line| line.strip_prefix("memory: ")).collect();
    assert!(memory.contains(&"4194304"), "{memory:?}");
    let mut grep = std::process::Command::new("grep");
    let secret = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("x-access-token:{TOKEN}"));
    assert!(told.contains(&secret), "it was given");
    grep.args(["-rl", "-e", TOKEN, "-e", &secret]).arg(world.directory().join("mirrors"));
    assert_eq!(grep.status().unwrap().code(), Some(1), "the token is on the disk");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_come_at_once_share_a_fetch() {
    let world = World::start(LARGE).await;
    for name in ["acme/api", "acme/web"] {
        world.repository(name, 1000).await;
    }
    let (one, two, other, again) =
        join!(world.update("acme/api"), world.update("ACME/Api"), world.update("acme/web"), world.update("acme/api"));
    let copies = [one.unwrap(), two.unwrap(), other.unwrap(), again.unwrap()];
    assert_eq!((world.calls("/acme/api.git", FETCH), world.calls("/acme/web.git", FETCH)), (1, 1));
    // A copy in use is not changed: a later caller waits for it.
    let later = world.update("acme/api");
    tokio::pin!(later);
    assert!(futures::poll!(&mut later).is_pending());
    drop(copies);
    later.await.unwrap();
    assert_eq!(world.calls("/acme/api.git", FETCH), 2);

    // A caller that gives up does not stop the fetch.
    {
        let abandoned = world.update("acme/api");
        tokio::pin!(abandoned);
        assert!(futures::poll!(&mut abandoned).is_pending());
    }
    world.update("acme/api").await.unwrap();
    assert_eq!(world.calls("/acme/api.git", FETCH), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn mirrors_take_no_more_than_they_may() {
    let world = World::start(800_000).await;
    for name in ["acme/a", "acme/b", "acme/c"] {
        world.repository(name, 300_000).await;
    }
    for name in ["acme/a", "acme/b", "acme/a", "acme/c"] {
        world.update(name).await.unwrap();
    }
    let there = || ["acme/a", "acme/b", "acme/c"].map(|name| world.place(name).exists());
    assert_eq!(there(), [true, false, true], "the least recently used one is removed");
    let copy = world.update("acme/a").await.unwrap();
    world.update("acme/c").await.unwrap();
    world.update("acme/b").await.unwrap();
    assert_eq!(there(), [true, true, false], "a mirror in use is kept");
    drop(copy);

    world.repository("acme/large", 900_000).await;
    for _ in 0..2 {
        let refused = world.update("acme/large").await.map(|copy| copy.bytes()).unwrap_err();
        assert!(matches!(refused, MirrorError::TooLarge), "{refused:?}");
    }
    assert!(!world.place("acme/large").exists());
    assert_eq!(world.calls("/acme/large.git", FETCH), 1, "it was tried once");
    // The size that the forge reports is enough to refuse it.
    world.repository("acme/huge", 1000).await;
    let refused = world.mirrors.update(&"acme/huge".parse().unwrap(), 900_000).await.map(|copy| copy.bytes());
    assert!(matches!(refused, Err(MirrorError::TooLarge)));
    assert_eq!(world.calls("/acme/huge.git", FETCH), 0);

    // Another server did not finish this fetch.
    let half = world.place("acme/a").with_extension("new");
    fs::create_dir_all(half.join("objects")).unwrap();
    fs::write(half.join("objects/pack"), noise(10)).unwrap();
    let world = world.start_again().await;
    assert!(!half.exists() && world.place("acme/b").exists());
}
