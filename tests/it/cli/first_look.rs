//! `claude-runner try`, and the settings that a beginner misspells.

use std::net::TcpListener;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{on_terminal, run_with};
use crate::bounds::within;
use crate::server::agent_image;

/// A directory for temporary files, and the variables for a first look. Its path is short because a socket's path may have at most
/// 107 bytes.
fn place(port: u16) -> (TempDir, Vec<(String, String)>) {
    let directory = tempfile::Builder::new().prefix("crt-").tempdir_in("/tmp").unwrap();
    let mut variables = vec![
        ("TMPDIR".to_owned(), directory.path().display().to_string()),
        ("DOCKER_IMAGE".to_owned(), agent_image()),
        ("PORT".to_owned(), port.to_string()),
    ];
    variables.extend(std::env::var("DOCKER_HOST").map(|host| ("DOCKER_HOST".to_owned(), host)));
    (directory, variables)
}

fn assert_empty(directory: &TempDir) {
    let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn a_first_look_needs_only_the_program_and_leaves_nothing() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let (directory, variables) = place(held.local_addr().unwrap().port());
    let ran = run_with(directory.path(), &["try", "Upgrade bob@acme.test to Pro"], &variables).await.ok();
    assert!(ran.err.contains("the scripted model answers, not Claude"), "{ran:#?}");
    assert!(ran.err.contains("is taken, so the server gets a free one"), "{ran:#?}");
    assert!(ran.err.contains("Bash tools/acme-cli.sh upgrade bob@acme.test Pro"), "{ran:#?}");
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(answer["response"], "bob@acme.test is now on the plan Pro with 1,000 calls a month; it was Free.");
    assert_empty(&directory);

    // A failed task is the command's status.
    let ran = run_with(directory.path(), &["try", "--once", "status:400"], &variables).await;
    assert_eq!(ran.code, 1, "{ran:#?}");
    assert_empty(&directory);
}

#[tokio::test]
async fn a_first_look_ends_with_ctrl_c() {
    let (directory, variables) = place(0);
    let mut command = on_terminal(directory.path(), "exec \"$CLAUDE_RUNNER\" try");
    let mut child = command.envs(variables).stdin(std::process::Stdio::piped()).spawn().unwrap();
    let (mut keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = String::new();
    let page = async {
        let mut piece = [0; 4096];
        while !shown.contains("Ctrl-C ends everything") {
            let bytes = screen.read(&mut piece).await.unwrap();
            assert!(bytes > 0, "it ended:\n{shown}");
            shown.push_str(&String::from_utf8_lossy(&piece[..bytes]));
        }
    };
    within("the page is offered", page).await;
    assert!(shown.contains("258 are left"), "{shown}");
    keyboard.write_all(b"\x03").await.unwrap();
    let rest = within("it ends", screen.read_to_string(&mut shown)).await;
    rest.unwrap();
    let status = within("it ends", child.wait()).await.unwrap();
    assert!(status.success(), "{status}:\n{shown}");
    assert_empty(&directory);
}

#[tokio::test]
async fn a_misspelt_setting_in_the_env_file_is_pointed_out() {
    let directory = tempfile::tempdir().unwrap();
    let env_file = directory.path().join(".env");
    std::fs::write(&env_file, "ANTHROPIC_APIKEY=sk-ant-secret\nDATABASE_URL=x\nMODEL=gpt-4\n").unwrap();
    let ran = run_with(directory.path(), &["serve"], &[]).await;
    assert_eq!(ran.code, 64, "{ran:#?}");
    let warning = "warning: ANTHROPIC_APIKEY in .env is not a setting and is ignored; did you mean ANTHROPIC_API_KEY?";
    assert!(ran.err.starts_with(warning), "{ran:#?}");
    assert!(!ran.err.contains("DATABASE_URL") && !ran.err.contains("sk-ant-secret"), "{ran:#?}");
    // A command that does not use the settings does not repeat it.
    let ran = run_with(directory.path(), &["tasks", "--url", "http://127.0.0.1:9"], &[]).await;
    assert!(!ran.err.contains("ANTHROPIC_APIKEY"), "{ran:#?}");

    std::fs::write(&env_file, "PORT=1\nWEBHOOK_SECRET=\"whsec_hidden and open\n").unwrap();
    let ran = run_with(directory.path(), &["tasks"], &[]).await;
    assert_eq!(ran.code, 64, "{ran:#?}");
    assert!(ran.err.contains("line 2 (WEBHOOK_SECRET) cannot be read"), "{ran:#?}");
    assert!(!ran.err.contains("hidden"), "{ran:#?}");
}
