//! A backup as docs/guides/operating.md has it made: taken from a server that runs, put back under one that does not.

use crate::bounds::within;
use crate::server::TestServer;

#[tokio::test]
async fn a_backup_of_a_running_server_can_be_put_back() {
    let mut server = TestServer::start().await;
    let before = server.task("s", "bash:echo kept > kept.txt").await.ok();
    let volumes_of_first = server.volumes().await.len();
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
        // A server that was stopped has left none.
        assert!(!data.join(name).exists(), "{name}");
    }
    std::fs::copy(&backup, data.join("claude-runner.db")).unwrap();
    server.start_again().await;

    let path = |task: &serde_json::Value| format!("/task/{}", task["taskId"].as_str().unwrap());
    assert_eq!(server.get(&path(&before)).await.ok()["status"], "completed");
    assert_eq!(server.get(&path(&after)).await.status, 404, "it came after the backup");
    assert_eq!(server.say("s", "bash:cat kept.txt").await, "done: kept", "the files are in the engine's volumes");
    // Sessions that the store does not know any more go, with their files.
    within("the sweep", async { while server.volumes().await.len() > volumes_of_first {} }).await;
    server.finish().await;
}
