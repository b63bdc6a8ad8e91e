//! The agent searches everything that it can read for secrets of others: the operator's credential, another session's `env`, files
//! and conversation, the engine, the host.

use mock_api::scripted_model::DEFAULT_KEY;
use serde_json::json;

use super::report::{Attempt, report};
use crate::server::{Setup, TestServer};

const OTHERS_VALUE: &str = "v4lue-of-another-session";
const OTHERS_WORD: &str = "w0rd-that-another-session-said";
const OTHERS_FILE: &str = "c0ntent-of-another-session";

/// Returns a pattern that matches the text but not itself, so that no command finds its own words.
fn pattern(text: &str) -> String {
    let (first, rest) = text.split_at(1);
    format!("[{first}]{rest}")
}

/// The places to search, each with a command that contains `PATTERN` and prints its findings.
const PLACES: [(&str, &str); 9] = [
    ("its files", "timeout 20 grep -rslaE -D skip PATTERN /workspace /home /tmp /run /var /etc /opt /srv /mnt /root"),
    ("devices and shared memory", "timeout 5 grep -rslaE -D skip PATTERN /dev/shm /dev/mqueue"),
    ("environments", "cat /proc/*/environ /proc/*/task/*/environ | grep -aE PATTERN"),
    ("arguments", "cat /proc/*/cmdline /proc/*/comm | grep -aE PATTERN"),
    ("file descriptors", "for f in /proc/[0-9]*/fd/*; do [ -f \"$f\" ] && grep -aE PATTERN \"$f\"; done"),
    ("other processes by their roots", "grep -slaE PATTERN /proc/[0-9]*/root/workspace/* /proc/[0-9]*/cwd/*"),
    ("the kernel", "cat /proc/keys /proc/cmdline /proc/mounts /proc/net/unix /proc/self/mountinfo | grep -aE PATTERN"),
    (
        "the gateway",
        "(for p in / /v1/models /v1/messages /health /agent /sessions /metrics; do curl -s -i -m 1 http://127.0.0.1:8787$p & done; wait) |  grep -aE PATTERN",
    ),
    (
        "the sockets",
        "(for s in agent gateway; do for p in / /agent /sessions; do curl -s -i -m 1 --unix-socket /run/link/$s.sock http://x$p & done; done; wait) |  grep -aE PATTERN",
    ),
];

/// Ways to the host or to another sandbox, each with a command that prints only if it succeeds.
const WAYS: [(&str, &str); 16] = [
    (
        "an engine's socket",
        "find / -xdev \\( -name 'docker*.sock' -o -name 'containerd*.sock' -o -name 'podman*.sock' \\) 2>/dev/null",
    ),
    ("other links' directories", "ls -d /run/link/../*/agent.sock | grep -v '^/run/link/[.][.]/link/'"),
    ("the engine's directory", "ls /var/lib/docker /proc/1/root/var/lib/docker"),
    ("the first process's root", "ls /proc/1/root/"),
    ("disks", "ls /dev | grep -E '^(sd|vd|nvme|dm-|loop|mem|kmsg|kvm|fuse)'"),
    ("memory of the kernel", "head -c 1 /proc/kcore | wc -c | grep -v '^0'"),
    ("addresses of the kernel", "grep -vm1 '^0000000000000000' /proc/kallsyms"),
    ("the kernel's log", "dmesg 2>/dev/null | head -n 1"),
    ("sysctls", "for f in /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe; do (echo x > $f) && echo $f; done"),
    ("magic keys", "(echo h > /proc/sysrq-trigger) && echo pressed"),
    ("cgroups", "find /sys/fs/cgroup -writable 2>/dev/null | head -n 1"),
    ("a release agent", "for f in /sys/fs/cgroup/*/release_agent; do (echo x > $f) && echo $f; done"),
    (
        "the root file system",
        "for d in / /etc /usr/local/bin /sbin /etc/claude-code /proc /sys; do touch $d/x && echo $d; done",
    ),
    ("other users by su", "echo | timeout 5 su -c id root | grep uid=0"),
    (
        "programs that change the user",
        "for f in $(find / -xdev -perm /6000 -type f 2>/dev/null); do timeout 2 $f --version < /dev/null > /dev/null & done; wait; grep -E '^Uid:' /proc/self/status | grep -v 10001",
    ),
    ("other containers' processes", "ls -d /proc/[0-9]* | wc -l | awk '$1 > 40'"),
];

async fn search(server: &TestServer, command: &str) -> String {
    let said = server.say("s", &format!("bash:({command}) 2>/dev/null | head -c 2000; true")).await;
    let found = said.trim_start_matches("done: ").trim().to_owned();
    if found.starts_with("(Bash completed with no output)") { String::new() } else { found }
}

#[tokio::test]
async fn what_is_not_its_own_is_nowhere_to_be_found() {
    let server = Setup::new().start().await;
    let env = json!({ "env": { "OTHERS": OTHERS_VALUE } });
    server
        .task_with("other", &format!("bash:echo {OTHERS_FILE} > secret; sleep 0.1; echo {OTHERS_WORD}"), &env)
        .await
        .ok();
    // The other task runs during the search.
    let running = server.enqueue("other", "bash:sleep 600").await;
    // As a control, the same search finds the agent's own text.
    let own = "its-0wn-words";
    server.say("s", &format!("bash:echo {own} > file; echo")).await;
    let control = search(&server, &PLACES[0].1.replace("PATTERN", &format!("'{}'", pattern(own)))).await;
    assert!(control.contains("/workspace/file"), "the search does not find the control: {control}");

    let secrets = [DEFAULT_KEY, OTHERS_VALUE, OTHERS_WORD, OTHERS_FILE].map(pattern).join("|");
    let mut attempts = Vec::new();
    for (place, command) in PLACES {
        let found = search(&server, &command.replace("PATTERN", &format!("'{secrets}'"))).await;
        attempts.push(attempt("secrets", &format!("a search of {place}"), found));
    }
    for (way, command) in WAYS {
        attempts.push(attempt("way out", way, search(&server, command).await));
    }
    report("secrets", &attempts);

    server.post_nothing(&format!("/task/{running}/abort")).await.ok();
    server.finish().await;
}

fn attempt(class: &str, attempt: &str, found: String) -> Attempt {
    let succeeded = !found.is_empty();
    let got = if succeeded { found } else { "nothing".to_owned() };
    Attempt { class: class.to_owned(), attempt: attempt.to_owned(), got, succeeded }
}
