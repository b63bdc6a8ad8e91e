//! `claude-runner restore` as an operator calls it, with and without a running server.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use crate::command::{Output, output};
use crate::server::{Process, Setup, TestServer};
use crate::support::orphans;

/// Takes a backup with the key, according to docs/guides/operating.md.
fn back_up(server: &TestServer) -> String {
    let (data, backup) = (server.directory().join("data"), server.directory().join("backup"));
    std::fs::create_dir(&backup).unwrap();
    rusqlite::Connection::open_with_flags(data.join("claude-runner.db"), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
        .unwrap()
        .execute("VACUUM INTO ?1", [backup.join("claude-runner.db").to_str().unwrap()])
        .unwrap();
    for name in ["instance", "secret.key"] {
        std::fs::copy(data.join(name), backup.join(name)).unwrap();
    }
    backup.display().to_string()
}

fn restore(server: &TestServer, arguments: &[&str]) -> Output {
    output(&[&["restore"], arguments].concat(), server.environment(), server.directory())
}

#[tokio::test]
async fn a_backup_is_put_back_when_the_server_was_stopped() {
    let mut server = TestServer::start().await;
    server.task_with("s", "bash:echo kept > kept.txt", &json!({ "env": { "A": "v4lue" } })).await.ok();
    let backup = back_up(&server);
    let epoch = server.get("/session/s").await.ok()["epoch"].take();
    let after = server.task("s", "say:after the backup").await.ok();
    let data = server.directory().join("data");
    let database = std::fs::read(data.join("claude-runner.db")).unwrap();

    let refused = restore(&server, &[&backup]);
    assert!(!refused.success && refused.err.contains("stop it first, then call restore again"), "{refused:?}");
    // A backup of a running server is refused for another directory too, because it would be the same installation.
    let elsewhere = server.directory().join("elsewhere");
    let refused = restore(&server, &[&backup, "--data-dir", elsewhere.to_str().unwrap()]);
    assert!(!refused.success && refused.err.contains("--as-new"), "{refused:?}");
    assert!(!elsewhere.exists());
    assert_eq!(std::fs::read(data.join("claude-runner.db")).unwrap(), database);
    assert_eq!(server.say("s", "bash:cat kept.txt; echo $A").await, "done: kept\nv4lue");

    server.stop().await;
    // Everything is lost except the engine's volumes.
    for name in ["claude-runner.db", "instance", "secret.key"] {
        std::fs::remove_file(data.join(name)).unwrap();
    }
    std::fs::write(data.join("claude-runner.db"), "no database").unwrap();
    assert!(restore(&server, &[&backup]).ok().contains("Restored 1 sessions and 1 tasks"));
    let replaced = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
    let replaced = replaced.into_iter().find(|path| path.is_dir() && path.display().to_string().contains("replaced-"));
    assert_eq!(std::fs::read_to_string(replaced.unwrap().join("claude-runner.db")).unwrap(), "no database");

    server.start_again().await;
    // Before the restore, another event had the number of the next one.
    assert_ne!(server.get("/session/s").await.ok()["epoch"], epoch, "cursors from after the backup still count");
    let path = format!("/task/{}", after["taskId"].as_str().unwrap());
    assert_eq!(server.get(&path).await.status, 404, "it is newer than the backup");
    assert_eq!(server.say("s", "bash:cat kept.txt; echo $A").await, "done: kept\nv4lue");
    server.finish().await;
}

#[tokio::test]
async fn a_backup_that_is_damaged_or_lacks_its_key_changes_nothing() {
    let mut server = TestServer::start().await;
    server.say("s", "say:hello").await;
    let backup = back_up(&server);
    server.stop().await;
    let data = server.directory().join("data");
    let before = std::fs::read(data.join("claude-runner.db")).unwrap();
    let backup = Path::new(&backup);
    let broken = |name: &str, content: &[u8]| {
        let path = server.directory().join(name);
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("claude-runner.db"), content).unwrap();
        path.display().to_string()
    };
    let mut cut = std::fs::read(backup.join("claude-runner.db")).unwrap();
    let half = cut.len() / 2;
    cut.truncate(half);
    for (name, content) in [("no-database", vec![b'x'; 10_000]), ("cut", cut), ("empty", Vec::new())] {
        let refused = restore(&server, &[&broken(name, &content)]);
        assert!(!refused.success && refused.err.contains("nothing was restored"), "{name}: {refused:?}");
    }
    std::fs::write(data.join("secret.key"), [7; 32]).unwrap();
    std::fs::remove_file(backup.join("secret.key")).unwrap();
    let refused = restore(&server, &[backup.to_str().unwrap()]);
    assert!(!refused.success && refused.err.contains("is not the one that sealed"), "{refused:?}");
    assert_eq!(std::fs::read(data.join("claude-runner.db")).unwrap(), before);
    assert!(!data.join("claude-runner.db.restoring").exists());
    let directories = std::fs::read_dir(&data).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert!(
        directories.map(|entry| entry.unwrap().file_name()).all(|name| !name.to_string_lossy().starts_with("replaced"))
    );

    // Without a database no volume has a session, but none is removed.
    let volumes = server.volumes().await;
    std::fs::remove_file(data.join("claude-runner.db")).unwrap();
    let pruned = output(&["prune"], server.environment(), server.directory());
    assert!(!pruned.success && pruned.err.contains("has no database"), "{pruned:?}");
    assert_eq!(server.volumes().await, volumes);
    assert_eq!(volumes.len(), 2);
    orphans::remove(orphans::labels(server.directory()), None);
    server.abandon_stopped();
}

#[tokio::test]
async fn a_new_installation_has_the_records_and_touches_nothing_of_the_original() {
    let server = TestServer::start().await;
    let done = server.task("s", "bash:echo kept > kept.txt").await.ok();
    let mut events = server.subscribe("s").await;
    let running = server.enqueue("s", "slow:40").await;
    events.until("text").await;
    let backup = back_up(&server);
    let (containers, volumes) = (server.containers().await, server.volumes().await);

    let base = server.directory().join("new");
    let data = base.join("data");
    let arguments = [backup.as_str(), "--as-new", "--data-dir", data.to_str().unwrap()];
    restore(&server, &arguments).ok();
    let again = restore(&server, &arguments);
    assert!(!again.success && again.err.contains("needs a DATA_DIR of its own"), "{again:?}");

    let mut environment: BTreeMap<String, String> = server.environment().clone();
    environment.insert("DATA_DIR".to_owned(), data.display().to_string());
    environment.insert("RUNTIME_DIR".to_owned(), base.join("run").display().to_string());
    let mut new = Process::spawn(&environment, server.directory());
    let address = new.address().await.unwrap_or_else(|| panic!("{}", new.log()));
    let http = reqwest::Client::new();
    let get = async |path: String| {
        let answer = http.get(format!("http://{address}{path}")).send().await.unwrap();
        answer.json::<serde_json::Value>().await.unwrap()
    };
    assert_eq!(get(format!("/task/{}", done["taskId"].as_str().unwrap())).await["status"], "completed");
    assert_eq!(get(format!("/task/{running}")).await["status"], "aborted");
    let message = json!({ "sessionId": "s", "message": "bash:ls" });
    let answer = http.post(format!("http://{address}/task")).json(&message).send().await.unwrap();
    let answer: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(answer["response"], "done: AGENTS.md\nnote.txt", "{answer:#}");
    assert_ne!(orphans::labels(&base), orphans::labels(server.directory()));

    let now = (server.containers().await, server.volumes().await);
    assert_eq!(now, (containers, volumes), "part of the original was removed");
    assert_eq!(events.until_end_of(&json!(running)).await["type"], "task_complete");
    assert_eq!(server.say("s", "bash:cat kept.txt").await, "done: kept");

    let deleted = http.delete(format!("http://{address}/session/s")).send().await.unwrap();
    assert!(deleted.status().is_success());
    new.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(new.ended().await.success());
    assert_eq!(server.say("s", "bash:cat kept.txt").await, "done: kept", "deleted in the copy");
    server.finish().await;
}

#[tokio::test]
async fn the_key_of_another_installation_is_not_lost() {
    let mut server = Setup::new().without_image().start().await;
    let env = json!({ "env": { "API_SECRET": "v4lue" } });
    server.task_with("s", "say:hello", &env).await.problem(503, "engine_unavailable");
    let backup = back_up(&server);
    server.stop().await;
    let directory = server.directory();
    let (key, new) = (directory.join("other.key"), directory.join("new"));
    std::fs::write(&key, [7; 32]).unwrap();
    let key_file = ["--secret-key-file", key.to_str().unwrap()];

    let arguments = [&[backup.as_str(), "--as-new", "--data-dir", new.to_str().unwrap()], &key_file[..]].concat();
    let refused = restore(&server, &arguments);
    assert!(!refused.success && refused.err.contains("another installation's"), "{refused:?}");
    assert_eq!(std::fs::read(&key).unwrap(), [7; 32]);
    assert!(!new.join("claude-runner.db").exists());

    restore(&server, &[&[backup.as_str()], &key_file[..]].concat()).ok();
    assert_ne!(std::fs::read(&key).unwrap(), [7; 32]);
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<_> = files.filter(|path| path.display().to_string().contains("other.key.replaced-")).collect();
    assert_eq!(kept.iter().map(|path| std::fs::read(path).unwrap()).collect::<Vec<_>>(), [[7; 32]]);
    server.abandon_stopped();
}
