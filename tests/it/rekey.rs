//! `claude-runner rekey` as an operator calls it.

use serde_json::json;

use crate::server::{Process, TestServer};

/// Runs `rekey`. Returns true if it succeeded, and its stderr.
async fn rekey(server: &TestServer) -> (bool, String) {
    let program = [env!("CARGO_BIN_EXE_claude-runner"), "rekey"].map(str::to_owned);
    let mut process = Process::run(&program, server.environment(), server.directory());
    (process.ended().await.success(), process.log())
}

#[tokio::test]
async fn a_new_key_opens_everything_and_running_sandboxes_are_taken_over() {
    let mut server = TestServer::start().await;
    let env = json!({ "env": { "API_SECRET": "v4lue" } });
    server.task_with("s", "say:hello", &env).await.ok();
    let container = server.container().await.id;
    let (done, said) = rekey(&server).await;
    assert!(!done && said.contains("stop the server first") && said.contains("is in use by a server"), "{said}");

    let key = server.directory().join("data/secret.key");
    let before = std::fs::read(&key).unwrap();
    server.kill().await;
    let (done, said) = rekey(&server).await;
    assert!(done, "{said}");
    for step in ["made a new key", "sealed 2 values", "wiped", "in the old one's place"] {
        assert!(said.contains(step), "{step}: {said}");
    }
    let after = std::fs::read(&key).unwrap();
    assert_ne!(after, before);

    server.start_again().await;
    assert_eq!(server.say("s", "bash:echo $API_SECRET").await, "done: v4lue");
    assert_eq!(server.container().await.id, container, "the link's secret opens");

    // The new files are used with the old key.
    server.stop().await;
    std::fs::write(&key, before).unwrap();
    let mut refused = Process::spawn(server.environment(), server.directory());
    assert!(!refused.ended().await.success());
    assert!(refused.log().contains("is not the one that sealed the database"), "{}", refused.log());
    std::fs::write(&key, after).unwrap();
    server.start_again().await;
    server.finish().await;
}
