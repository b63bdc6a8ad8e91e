//! Lists, logs and exports.

use serde_json::{Value, json};

use crate::server::TestServer;

#[tokio::test]
async fn what_a_server_has_is_listed_shown_written_down_and_removed() {
    let server = TestServer::start().await;
    server.say("one", "say:the first").await;
    let task =
        server.task("one", "bash:echo '```'; echo kept > kept.txt").await.ok()["taskId"].as_str().unwrap().to_owned();
    server.say("two", "say:with a rather long message that no terminal has room for").await;

    let all = server.run(&["tasks", "--json"]).await.ok().lines();
    assert_eq!(Value::from(all.clone()), server.get("/tasks").await.ok());
    assert_eq!(server.run(&["tasks", "--all", "--session", "one", "--json"]).await.ok().lines(), all[1..]);
    assert_eq!(server.run(&["tasks", "--search", "rather long", "--json"]).await.ok().lines(), all[..1]);
    let some = server.run(&["tasks", "--limit", "2", "--status", "completed"]).await.ok();
    assert!(some.out.lines().count() == 3 && some.out.starts_with("TASK "), "{some:#?}");
    assert!(some.out.contains(&task) && some.err.contains("--all"), "{some:#?}");

    let show = server.run(&["tasks", "show", &task]).await.ok().out;
    assert!(show.contains("status   completed") && show.contains("\ndone: ```"), "{show}");
    let logs = server.run(&["logs", "-f", &task]).await.ok().out;
    assert!(logs.contains("     tool  Bash echo '```'") && logs.contains("   result  ```"), "{logs}");
    let raw = server.run(&["logs", "--raw", &task]).await.ok();
    assert!(raw.lines().iter().any(|line| line["type"] == "assistant"), "Claude Code's own lines: {raw:#?}");

    let sessions = server.run(&["sessions"]).await.ok();
    assert!(sessions.out.starts_with("SESSION ") && sessions.out.lines().count() == 3, "{sessions:#?}");
    assert_eq!(server.run(&["sessions", "--limit", "1", "--json"]).await.ok().lines().len(), 1);
    let show = server.run(&["sessions", "show", "one"]).await.ok().out;
    assert!(show.contains(&task) && show.contains("credential   operator"), "{show}");
    let show = server.run(&["sessions", "show", "one", "--json"]).await.ok().lines();
    assert_eq!(show, [server.get("/session/one").await.ok()]);

    let events = server.run(&["export", "one"]).await.ok().lines();
    let numbers: Vec<u64> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert_eq!(server.run(&["export", &task]).await.ok().out, server.run(&["logs", "--json", &task]).await.ok().out);
    let file = server.directory().join("one.md");
    let to_file = ["export", "one", "--format", "markdown", "-o", "one.md"];
    server.run(&to_file).await.ok();
    let transcript = std::fs::read_to_string(&file).unwrap();
    assert!(transcript.starts_with("# Session one\n\n## Task "), "{transcript}");
    assert!(
        transcript.contains("> say:the first\n\nthe first\n") && transcript.contains("````\n```\n````"),
        "{transcript}"
    );
    std::fs::write(&file, "mine").unwrap();
    assert_eq!(server.run(&to_file).await.code, 64, "it would have written over a file");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    server.run(&[&to_file[..], &["--force"]].concat()).await.ok();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), transcript);

    assert_eq!(
        server.run(&["sessions", "reset", "one", "--json"]).await.ok().lines(),
        [json!({ "sessionId": "one", "reset": true })]
    );
    assert_eq!(
        server.say("one", "bash:ls kept.txt 2>&1 || true").await,
        "done: ls: cannot access 'kept.txt': No such file or directory"
    );
    server.run(&["sessions", "delete", "one", "two"]).await.ok();
    assert_eq!(server.get("/sessions").await.ok(), json!([]));
    let none = server.run(&["sessions"]).await.ok();
    assert!(
        none.out.is_empty() && none.err.contains("claude-runner task"),
        "an empty list explains what to do: {none:#?}"
    );
    server.finish().await;
}
