//! A backup according to docs/guides/operating.md, taken from a running server and restored while the server is stopped. Copies of
//! a data directory never destroy volumes of the original.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::Engine as _;
use sandbox::{EngineLease, EnginePlace, Instance, LeaseHolder};

use crate::bounds::within;
use crate::command::output;
use crate::server::{Process, TestServer};
use crate::support::orphans;

#[tokio::test]
async fn a_backup_of_a_running_server_can_be_put_back() {
    let mut server = TestServer::start().await;
    let before = server.task("s", "bash:echo kept > kept.txt").await.ok();
    let known: BTreeSet<String> = server.volumes().await.into_iter().collect();
    let data = server.directory().join("data");
    let backup = server.directory().join("backup.db");
    rusqlite::Connection::open_with_flags(data.join("claude-runner.db"), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
        .unwrap()
        .execute("VACUUM INTO ?1", [backup.to_str().unwrap()])
        .unwrap();
    let after = server.task("s", "say:after the backup").await.ok();
    server.task("later", "say:a session of its own").await.ok();

    server.stop().await;
    for name in ["claude-runner.db-wal", "claude-runner.db-shm"] {
        // A stopped server leaves no such file.
        assert!(!data.join(name).exists(), "{name}");
    }
    std::fs::copy(&backup, data.join("claude-runner.db")).unwrap();
    server.start_again().await;

    let path = |task: &serde_json::Value| format!("/task/{}", task["taskId"].as_str().unwrap());
    assert_eq!(server.get(&path(&before)).await.ok()["status"], "completed");
    assert_eq!(server.get(&path(&after)).await.status, 404, "it is newer than the backup");
    assert_eq!(server.say("s", "bash:cat kept.txt").await, "done: kept", "the files are in the engine's volumes");

    // Files of sessions that the backup does not know are kept and listed. Only an operator removes them.
    server.logged("no session has this volume").await;
    let unknown: BTreeSet<String> = server.volumes().await.into_iter().filter(|name| !known.contains(name)).collect();
    assert_eq!(unknown.len(), 2);
    let doctor = output(&["doctor", "--json"], server.environment(), server.directory()).out;
    let listed = output(&["prune", "--dry-run"], server.environment(), server.directory()).ok();
    for name in &unknown {
        assert!(doctor.contains(name.as_str()) && listed.contains(name.as_str()), "{name}: {doctor}\n{listed}");
    }
    assert_eq!(server.volumes().await.len(), 4, "they were only listed");
    output(&["prune"], server.environment(), server.directory()).ok();
    assert_eq!(server.volumes().await.into_iter().collect::<BTreeSet<_>>(), known);
    assert_eq!(server.say("s", "bash:cat kept.txt").await, "done: kept");
    server.finish().await;
}

#[tokio::test]
async fn volumes_without_a_session_stay_for_their_grace_and_no_longer() {
    let mut server = TestServer::start().await;
    server.say("s", "say:hello").await;
    server.stop().await;
    let volumes = server.volumes().await;
    // This is the state after restoring an old backup.
    let database = rusqlite::Connection::open(server.directory().join("data/claude-runner.db")).unwrap();
    database.execute_batch("DELETE FROM tasks; DELETE FROM sessions").unwrap();
    drop(database);
    server.start_again().await;
    server.logged("no session has this volume").await;
    assert_eq!(server.volumes().await, volumes);
    server.stop().await;

    // Eight days pass.
    let database = rusqlite::Connection::open(server.directory().join("data/claude-runner.db")).unwrap();
    database.execute_batch("UPDATE orphan_volumes SET seen = seen - 8 * 86400 * 1000000000").unwrap();
    drop(database);
    server.start_again().await;
    within("the grace is over", async { while !server.volumes().await.is_empty() {} }).await;
    server.finish().await;
}

#[tokio::test]
async fn a_copy_beside_the_live_server_does_not_start() {
    let server = TestServer::start().await;
    server.say("s", "bash:echo kept > kept.txt").await;
    let (containers, volumes) = (server.containers().await, server.volumes().await);
    let mut environment = server.environment().clone();
    for name in ["DATA_DIR", "RUNTIME_DIR"] {
        environment.insert(name.to_owned(), server.directory().join(format!("copy-{name}")).display().to_string());
    }
    copy(&server.directory().join("data"), Path::new(&environment["DATA_DIR"]));
    // The copy is tried with its own RUNTIME_DIR and with the original's.
    for runtime_dir in [environment["RUNTIME_DIR"].clone(), server.environment()["RUNTIME_DIR"].clone()] {
        environment.insert("RUNTIME_DIR".to_owned(), runtime_dir);
        let mut copy = Process::spawn(&environment, server.directory());
        assert!(!copy.ended().await.success());
        assert!(copy.log().contains("another server of this installation runs"), "{}", copy.log());
        assert!(copy.log().contains("--as-new"), "{}", copy.log());
    }

    let pruned = output(&["prune"], &environment, server.directory());
    assert!(!pruned.success && pruned.err.contains("a server of this installation runs"), "{pruned:?}");

    // A copy without its database knows no session.
    let copied = Path::new(&environment["DATA_DIR"]);
    for name in ["claude-runner.db", "claude-runner.db-wal", "claude-runner.db-shm"] {
        let _ = std::fs::remove_file(copied.join(name));
    }
    let mut empty = Process::spawn(&environment, server.directory());
    assert!(!empty.ended().await.success());
    assert!(
        empty.log().contains("there is no database") && empty.log().contains("claude-runner restore"),
        "{}",
        empty.log()
    );
    assert!(!copied.join("claude-runner.db").exists());
    assert_eq!((server.containers().await, server.volumes().await), (containers, volumes));
    assert_eq!(server.say("s", "bash:cat kept.txt").await, "done: kept");
    server.finish().await;
}

#[tokio::test]
async fn a_server_elsewhere_keeps_the_engine() {
    let mut server = TestServer::start().await;
    server.say("s", "bash:echo kept > kept.txt").await;
    let data = server.directory().join("data");
    let backup = server.directory().join("backup");
    let lease = orphans::lease_labels(&orphans::labels(server.directory()));
    let engine = Arc::new(orphans::engine(None));
    assert_eq!(engine.list_volumes(&lease).await.unwrap().len(), 1, "the server has no lease");
    server.stop().await;
    assert_eq!(engine.list_volumes(&lease).await.unwrap(), [], "the lease was not released");
    copy(&data, &backup);
    let volumes = server.volumes().await;

    // The server of a copy on another machine. Each acquisition renews its lease.
    let elsewhere = tempfile::tempdir().unwrap();
    let holder = LeaseHolder::of(elsewhere.path(), EnginePlace::Here).unwrap();
    let instance = Instance::of(&data).unwrap();
    let renewed = async {
        loop {
            EngineLease::acquire(Arc::clone(&engine), instance.clone(), holder.clone()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let (environment, directory) = (server.environment().clone(), server.directory().to_owned());
    let refused = async {
        let mut process = Process::spawn(&environment, &directory);
        assert!(!process.ended().await.success());
        assert!(process.log().contains("another server of this installation uses this engine"), "{}", process.log());
        let commands = tokio::task::spawn_blocking(move || {
            [&["prune"][..], &["prune", "--all"], &["restore", backup.to_str().unwrap()]]
                .map(|arguments| output(arguments, &environment, &directory))
        });
        for refused in commands.await.unwrap() {
            assert!(!refused.success && refused.err.contains("uses this engine"), "{refused:?}");
        }
    };
    tokio::select! {
        () = refused => {}
        () = renewed => unreachable!(),
    }
    assert_eq!(server.volumes().await, volumes);
    orphans::remove(lease, None);
    server.start_again().await;
    assert_eq!(server.say("s", "bash:cat kept.txt").await, "done: kept");
    server.finish().await;
}

/// Copies the files of a directory.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
