//! The program on a real terminal, which `script` creates.

use super::{Ran, given, on_terminal};
use crate::server::TestServer;

impl TestServer {
    /// Runs the program on a terminal of 80 columns.
    async fn on_terminal(&self, setup: &str, arguments: &str) -> Ran {
        let line = format!("stty rows 24 cols 80; {setup} exec \"$CLAUDE_RUNNER\" {arguments}");
        let mut command = on_terminal(self.directory(), &line);
        command.env("CLAUDE_RUNNER_URL", self.url("/"));
        given(command, "").await
    }
}

#[tokio::test]
async fn a_terminal_gets_colours_and_a_spinner_and_nothing_that_steers_it() {
    let server = TestServer::start().await;
    let hostile = "bash:printf '\\033]0;owned\\007'; echo; echo \"$(printf '\\033')[2J\"";
    let shown =
        server.on_terminal("", &format!("task --session s '{}'", hostile.replace('\'', "'\\''"))).await.ok().out;
    assert!(shown.contains("\u{1b}[36m     tool\u{1b}[39m"), "{shown:?}");
    assert!(shown.contains("⠁") || shown.contains("⠋"), "a spinner: {shown:?}");
    assert!(!shown.contains("\u{1b}]0;") && !shown.contains('\u{7}') && !shown.contains("\u{1b}[2J"), "{shown:?}");
    assert_eq!(shown.matches("]0;owned").count(), 3, "as a result, and as the answer, which is read once: {shown:?}");

    // JSON may contain control characters of the second set unescaped.
    server.say("s", "bash:printf '\\302\\233'2J").await;
    let tasks = server.get("/tasks?limit=1").await.ok();
    let task = tasks[0]["taskId"].as_str().unwrap();
    for arguments in ["export s", &format!("logs --raw {task}"), &format!("logs --json {task}"), "tasks --json"] {
        let shown = server.on_terminal("", arguments).await.ok().out;
        assert!(!shown.contains('\u{9b}') && shown.contains("2J"), "{arguments}: {shown:?}");
        assert!(arguments.starts_with("tasks") || shown.contains("\\u009b2J"), "{arguments}: {shown:?}");
    }

    let shown = server.on_terminal("export NO_COLOR=1;", "task --session s say:plain").await.ok().out;
    assert!(!shown.contains("\u{1b}[36m") && shown.contains("    agent  "), "{shown:?}");

    let shown = server.on_terminal("", "tasks").await.ok().out;
    assert!(shown.lines().count() == 4 && shown.lines().all(|line| line.trim_end().chars().count() <= 80), "{shown}");
    assert!(shown.contains('…'), "{shown}");
    server.finish().await;
}

#[tokio::test]
async fn init_asks_on_a_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let command = on_terminal(directory.path(), "exec \"$CLAUDE_RUNNER\" init billing");
    let ran = given(command, "Billing\nanswers questions about invoices\nperhaps\nt\n\n").await.ok();
    assert_eq!(ran.out.matches("How does it answer? json or text").count(), 2, "asked again: {ran:#?}");
    let made = std::fs::read_to_string(directory.path().join("billing/AGENTS.md")).unwrap();
    assert!(
        made.starts_with("# Billing\n\nYou are Billing, the agent that answers questions about invoices."),
        "{made}"
    );
    assert!(!directory.path().join("billing/OUTPUT.schema.json").exists(), "it answers in text");
    assert!(directory.path().join("billing/tools/api.sh").exists());
}
