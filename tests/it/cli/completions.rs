//! Tests the completions and manual pages that are generated from the commands' descriptions.

use super::run;

#[tokio::test]
async fn completions_and_manual_pages_know_the_commands() {
    let directory = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = run(directory.path(), &["completions", shell]).await.ok().out;
        assert!(script.contains("doctor") && script.contains("max-cost"), "{shell}");
    }
    let page = run(directory.path(), &["man"]).await.ok().out;
    assert!(page.contains(".TH claude-runner 1") && page.contains("CLAUDE_RUNNER_URL"), "{page}");
    run(directory.path(), &["man", "--output", "pages"]).await.ok();
    for name in ["claude-runner.1", "claude-runner-task.1", "claude-runner-sessions-show.1"] {
        assert!(directory.path().join("pages").join(name).exists(), "{name}");
    }
    // Every command has a description and examples.
    let help = run(directory.path(), &["task", "--help"]).await.ok().out;
    assert!(help.contains("claude-runner task --session user-123") && help.contains("Server:"), "{help}");
    assert_eq!(run(directory.path(), &["tsk"]).await.code, 64);
}
