use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sandbox_link::frame::{Exit, UpFrame};

use crate::support::{Init, Sandbox, connected, program, until_gone};

#[tokio::test]
async fn left_alone_it_ends_with_its_agent() {
    let sandbox = Sandbox::start(&[]);
    let (link, mut output) = sandbox.bind(None, Duration::from_millis(300));
    link.start(program(&["sleep", "1000"])).await.unwrap();
    let agent = output.started().await;
    link.close().await;
    let (status, stderr) = sandbox.init.ended().await;
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
    until_gone(agent).await;
}

#[tokio::test]
async fn never_welcomed_it_says_why() {
    let (status, stderr) = Sandbox::start(&[("ORPHAN_TTL_MS", "100")]).init.ended().await;
    assert_eq!(status.code(), Some(1));
    assert!(
        stderr.starts_with("sandbox-init: no coordinator answered within 100 ms; the last attempt failed: could not"),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_wrong_setting_is_named() {
    for (name, value) in
        [("LINK", "/run/link"), ("LINK", "tcp://nowhere:1"), ("GATEWAY_PORT", "many"), ("ORPHAN_TTL_MS", "-1")]
    {
        let (status, stderr) = Init::start(&[(name, value)]).ended().await;
        assert_eq!(status.code(), Some(1));
        assert!(stderr.contains(name) && stderr.contains(value.trim_start_matches("tcp://")), "{stderr}");
    }
}

#[tokio::test]
async fn told_to_stop_it_lets_the_agent_finish() {
    let (sandbox, link, mut output) = connected();
    // The shell prints when it is ready, so that the signal cannot arrive before the trap is set.
    let script = "trap 'echo finishing; exit 3' TERM; echo ready; while :; do sleep 0.01; done";
    link.start(program(&["sh", "-c", script])).await.unwrap();
    output.started().await;
    assert_eq!(output.line().await, b"ready");
    kill(Pid::from_raw(sandbox.init.pid().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(output.line().await, b"finishing");
    // The exit reports no cause of the program's own, whatever its status.
    assert_eq!(output.next().await, UpFrame::Exited(Exit { code: None, signal: None, oom_kills: 0 }));
    link.acknowledge(output.last);
    let (status, _) = sandbox.init.ended().await;
    assert_eq!(status.code(), Some(0));
}

#[test]
fn the_version_is_told() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_sandbox-init")).arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, format!("sandbox-init {} (protocol 2)\n", env!("CARGO_PKG_VERSION")));
}
