//! SANDBOX_DISK: a watchdog that limits the size of a session's files.

use serde_json::json;

use crate::server::Setup;

#[tokio::test]
async fn a_session_that_takes_more_than_its_disk_is_ended_and_may_clean_up() {
    let server = Setup::new().env("SANDBOX_DISK", "64m").start().await;
    server.say("other", "say:beside it").await;
    // The limit includes directories that the server cannot read.
    for (session, hide) in [("s", "true"), ("t", "chmod 000 hidden")] {
        let fill = format!("bash:mkdir -p hidden; head -c 72M /dev/zero > hidden/large; {hide}; sleep 60");
        let problem = server.task_with(session, &fill, &json!({ "timeoutMs": 30_000 })).await.problem(502, "exit_code");
        let error = problem["error"].as_str().unwrap();
        assert!(error.contains("SANDBOX_DISK") && error.contains("64 MiB"), "{problem:#}");
        // The files stay, and the next task can remove them. A sparse file of 3 GiB and a symbolic link to `/` do not count.
        let clean = "bash:truncate -s 3G hole && ln -s / everything && mkfifo fifo && sleep 3; \
                     ls hidden; rm -r hidden; echo; echo cleaned";
        let cleaned = server.say(session, clean).await;
        assert_eq!(cleaned, "done: large\n\ncleaned");
    }
    assert!(server.say("other", "recall:").await.contains("beside it"), "another session paid for it");
    server.finish().await;
}
