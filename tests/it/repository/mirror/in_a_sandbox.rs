//! Clones of repository tasks, made from a copy of the mirror.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use mock_api::forge::{Seed, SeedEntry};
use serde_json::json;

use super::super::forge::World;
use super::world::noise;
use crate::server::Setup;

/// Returns the content of a task's clone; the first line is the object, or `none`.
async fn look(world: &World, object: &str) -> (String, String) {
    let prompt = format!("look for {object}");
    let mut task = world.post_with(&prompt, &json!({ "repo": "acme/big" })).await;
    let record = world.end_of(&mut task).await;
    assert_eq!(record["errorType"], "nothing_to_do", "{record:#}");
    let [found] = task.events.of_kind("tool_end")[..] else { panic!("{:?}", task.events.kinds()) };
    let found = found["result"].as_str().unwrap().replace(&task.id, "TASK");
    let (object, clone) = found.split_once('\n').unwrap();
    (object.to_owned(), clone.to_owned())
}

#[tokio::test]
async fn a_task_clones_from_the_mirror_and_from_the_forge_alike() {
    let world = World::start().await;
    let large = SeedEntry::File { path: "large".to_owned(), content: noise(200_000), executable: false };
    world.forge.create_repository("acme/big", &Seed::new("", &[("README.md", "# Big\n")]).with(large)).await.unwrap();
    let marker = "f0e9f5a0f8a0a3b5a1c0e5b4a0b0c0d0e0f00000";
    let (none, first) = look(&world, marker).await;
    assert_eq!(none, "none");

    // The mirror contains an object that the forge does not have.
    let forges: Vec<PathBuf> =
        fs::read_dir(world.server.directory().join("data/mirrors")).unwrap().map(|e| e.unwrap().path()).collect();
    let mirror = forges[0].join("acme/big.git");
    let pack = "object=$(echo only here | git hash-object -w --stdin) && echo $object | git pack-objects -q objects/pack/pack >/dev/null && echo $object";
    let made = Command::new("sh").args(["-ec", pack]).env("GIT_DIR", &mirror).current_dir(&mirror).output().unwrap();
    let marker = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    assert_eq!(marker.len(), 40, "{}", String::from_utf8_lossy(&made.stderr));
    assert_eq!(look(&world, &marker).await, ("only here".to_owned(), first.clone()));

    // One byte of a file is wrong, which no fetch notices.
    let packs = fs::read_dir(mirror.join("objects/pack")).unwrap().map(|entry| entry.unwrap().path());
    let largest = packs.max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let mut bytes = fs::read(&largest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::remove_file(&largest).unwrap();
    fs::write(&largest, bytes).unwrap();
    assert_eq!(look(&world, &marker).await, ("none".to_owned(), first.clone()), "from the forge");
    world.server.logged("cloned without the mirror, because it could not be cloned").await;
    assert!(!mirror.exists(), "a damaged mirror is kept");

    // This server has no mirrors.
    let without = World::with(Setup::new().env("PATH", "/no/such/place")).await;
    without.server.logged("has no git 2.32 or newer").await;
    without.finish().await;
    world.finish().await;
}
