//! `init` creates templates that work.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::run;
use crate::server::{Setup, TestServer};

#[tokio::test]
async fn a_new_template_works_as_it_was_made() {
    let made = tempfile::tempdir().unwrap();
    let agent = made.path().join("agent");
    let server = Setup::new().env("AGENT_DIR", agent.display().to_string());
    let text = ["init", "--name", "Billing", "--does", "looks up invoices.", "--answer", "text", "--tools", "yes"];
    let ran = run(made.path(), &text).await.ok();
    assert!(ran.out == "./agent\n" && ran.err.contains("AGENT_DIR=./agent claude-runner serve"), "{ran:#?}");
    let server: TestServer = server.start().await;
    let help = server.say("a", "bash:tools/api.sh help | head -n 1; cat AGENTS.md | head -n 3").await;
    assert_eq!(
        help.lines().next_back().map(|line| line.starts_with("You are Billing, the agent that looks up invoices. You")),
        Some(true),
        "{help}"
    );
    assert!(help.starts_with("done: Usage: tools/api.sh COMMAND"), "{help}");

    // A second template replaces the first one. It answers in JSON and is used without a restart.
    std::fs::rename(&agent, made.path().join("before")).unwrap();
    run(made.path(), &["init", "--yes"]).await.ok();
    let answer = json!({ "response": "yes", "status": "done", "confidence": 1 });
    let output = server.task("b", &format!("json:{answer}")).await.ok();
    assert_eq!(output["output"], answer);
    server.finish().await;
}

#[tokio::test]
async fn nothing_is_overwritten_and_a_copy_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let from = concat!(env!("CARGO_MANIFEST_DIR"), "/../../agent");
    run(directory.path(), &["init", "copy", "--from", from]).await.ok();
    for name in ["AGENTS.md", "OUTPUT.md", "OUTPUT.schema.json", "tools/acme-cli.sh"] {
        let [original, copy] =
            [std::path::Path::new(from), &directory.path().join("copy")].map(|place| std::fs::read(place.join(name)));
        assert_eq!(original.unwrap(), copy.unwrap(), "{name}");
    }
    let mode = directory.path().join("copy/tools/acme-cli.sh").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o111, 0o111);

    for (arguments, says) in [
        (&["init", "copy", "--yes"][..], "not empty"),
        (&["init", "new"], "there is no terminal to ask on"),
        (&["init", "new", "--from", "nowhere"], "AGENTS.md"),
        (&["init", "copy/AGENTS.md", "--yes"], "cannot be made a template"),
    ] {
        let ran = run(directory.path(), arguments).await;
        assert!(ran.code == 64 && ran.out.is_empty() && ran.err.contains(says), "{arguments:?}: {ran:#?}");
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "what failed left something");
}
