//! Tricks with files in the workspace that attack the coordinator and the engine while they start on it again, resume, reset and
//! delete it. Nothing outside the volumes is read or written, and nothing hangs.

use std::path::Path;

use engine::Engine as _;

use super::inside::probe;
use super::report::{Attempt, report};
use crate::server::{Setup, TestServer};

/// Each trick creates something in the workspace or in the home. A trick that the kernel refuses exits with a status other than 0.
const TRICKS: [(&str, &str); 19] = [
    ("a link to the root", "ln -s / root"),
    ("a link in the place of the file of the template", "ln -sf /etc/passwd note.txt"),
    ("a link out of the volume by ..", "ln -s ../../../../../../../../var/lib/docker up"),
    ("a link that is its own target", "ln -s loop loop"),
    ("links in a circle", "ln -s b a && ln -s a b"),
    (
        "a link in the place of the directory of the CLI",
        "mv ~/.claude ~/.moved && ln -s /proc/1 ~/.claude-link && mv ~/.moved ~/.claude",
    ),
    ("a directory where the template has a file", "rm -f AGENTS.md && mkdir -p AGENTS.md/x"),
    ("hard links, many of one file", "echo x > one && for i in $(seq 500); do ln one hard$i; done"),
    ("a hard link to the CLI", "ln /usr/local/bin/claude stolen"),
    ("a hard link to the file of the first process", "ln /sbin/sandbox-init stolen"),
    ("FIFOs", "mkfifo fifo ~/fifo && mkfifo .claude-fifo"),
    ("a socket", "./probe link > /dev/null; true"),
    ("a character device", "mknod device c 1 1"),
    ("a block device", "mknod disk b 8 0"),
    ("a sparse file of 3 GiB", "truncate -s 3G hole"),
    ("a file of more than may be", "truncate -s 1P huge"),
    ("a tree of 300 levels", "d=$(printf 'd/%.0s' $(seq 300)); mkdir -p $d && touch $d/end"),
    (
        "odd names",
        "touch -- -rf '--' $'new\\nline' $'\\xff\\xfe' '*' ' ' '$(touch owned)' '..name' \"$(printf 'n%.0s' $(seq 255))\" $'\\e[31m' 'a\\b'",
    ),
    ("a directory that nobody may enter", "mkdir closed && touch closed/in && chmod 000 closed"),
];

/// Tricks that the kernel must refuse.
const REFUSED: [&str; 5] = [
    "a hard link to the CLI",
    "a hard link to the file of the first process",
    "a character device",
    "a block device",
    "a file of more than may be",
];

/// Waits until Claude Code has recorded its call of the script, which happens while the script runs. If the directory were moved
/// away before, the CLI would create another one and split the conversation.
const TRANSCRIBED: &str = r#"until grep -qs '"command":"bash tricks.sh"' ~/.claude/projects/*/*.jsonl; do sleep 0.01; done
"#;

/// Returns a script of all tricks, each followed by a line with its name, its last output and its status.
fn script() -> String {
    let play = |(trick, command): &(&str, &str)| {
        format!(
            "said=$( ( {command} ) 2>&1 ); status=$?; printf '%s\\t%s\\t%s\\n' '{}' \"${{said##*$'\\n'}}\" $status\n",
            trick.replace('\'', "")
        )
    };
    TRANSCRIBED.to_owned() + &TRICKS.iter().map(play).collect::<String>()
}

async fn play(server: &TestServer, session: &str, attempts: &mut Vec<Attempt>) {
    let said = server.say(session, "bash:bash tricks.sh").await;
    let lines: Vec<_> = said.trim_start_matches("done: ").lines().collect();
    assert_eq!(lines.len(), TRICKS.len(), "{said}");
    for ((trick, _), line) in TRICKS.iter().zip(lines) {
        let [_, got, status] = *line.split('\t').collect::<Vec<_>>() else { panic!("{line}") };
        let (made, refused) = (status == "0", REFUSED.contains(trick));
        assert!(made || refused, "{trick} was not even made: {line}");
        attempts.push(Attempt {
            class: "workspace".to_owned(),
            attempt: (*trick).to_owned(),
            got: if made { "it was made".to_owned() } else { got.to_owned() },
            succeeded: made && refused,
        });
    }
}

fn survived(attempts: &mut Vec<Attempt>, against: &str, unharmed: bool) {
    attempts.push(Attempt {
        class: "workspace".to_owned(),
        attempt: format!("all of it against {against}"),
        got: if unharmed { "nothing outside was touched" } else { "something outside was touched" }.to_owned(),
        succeeded: !unharmed,
    });
}

#[tokio::test]
async fn tricks_with_files_reach_nothing_outside_and_hang_nothing() {
    let server = Setup::new().template_file("probe", probe(), 0o755).template_file("tricks.sh", script(), 0o644);
    let server = server.start().await;
    // Two things must not change: a host file beside the server's data, and another session's workspace.
    let canary = server.directory().join("canary");
    std::fs::write(&canary, "unharmed").unwrap();
    server.say("other", "bash:echo unharmed > canary; echo").await;
    let mut attempts = Vec::new();
    play(&server, "s", &mut attempts).await;
    server
        .say(
            "s",
            &format!("bash:ln -s {} host; ln -s {} data; echo linked", canary.display(), server.directory().display()),
        )
        .await;

    // Another container on the same volumes continues the conversation.
    for container in server.containers().await {
        server.engine.remove_container(&container.id).await.unwrap();
    }
    let resumed = server.say("s", "recall:").await;
    assert!(resumed.contains("bash tricks.sh"), "{resumed}");
    survived(&mut attempts, "resume", unharmed(&server, &canary).await);

    // The reset restores the template, whose files have the names of the tricks.
    server.post_nothing("/session/s/reset").await.ok();
    let fresh = server.say("s", "bash:ls -A | sort | tr '\\n' ' '; cat note.txt; ls -A ~ | tr '\\n' ' '").await;
    assert!(fresh.starts_with("done: AGENTS.md note.txt probe tricks.sh from the template"), "{fresh}");
    assert!(!fresh.contains("fifo") && !fresh.contains("hole"), "{fresh}");
    survived(&mut attempts, "reset", unharmed(&server, &canary).await);

    play(&server, "s", &mut attempts).await;
    server.delete("/session/s").await.ok();
    survived(&mut attempts, "delete", unharmed(&server, &canary).await);
    assert_eq!(server.volumes().await.len(), 2, "only those of the other session are left");

    report("workspace", &attempts);
    server.finish().await;
}

async fn unharmed(server: &TestServer, canary: &Path) -> bool {
    let host =
        std::fs::read_to_string(canary).unwrap() == "unharmed" && server.directory().join("data/instance").exists();
    host && server.say("other", "bash:cat canary; ls -A | sort | tr '\\n' ' '").await
        == "done: unharmed\nAGENTS.md canary note.txt probe tricks.sh"
}
