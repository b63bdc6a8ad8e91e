use bytes::Bytes;
use sandbox_link::frame::{SignalTarget, UpFrame};

use crate::support::{connected, exited, killed, program, until_gone};

#[tokio::test]
async fn lines_go_in_and_out() {
    let (_sandbox, link, mut output) = connected();
    link.start(program(&["cat"])).await.unwrap();
    link.stdin(Bytes::from_static(b"{\"one\":1}")).await.unwrap();
    link.stdin(Bytes::from_static(b"")).await.unwrap();
    link.stdin(Bytes::from_static(b"two")).await.unwrap();
    link.close_stdin().await.unwrap();
    output.started().await;
    let (lines, exit) = output.lines_until_exit(&link).await;
    assert_eq!((lines, exit), (vec!["{\"one\":1}".to_owned(), String::new(), "two".to_owned()], exited(0)));
}

#[tokio::test]
async fn programs_run_one_after_another_and_say_how_they_ended() {
    let (_sandbox, link, mut output) = connected();
    link.start(program(&["sh", "-c", "echo unterminated | tr -d '\\n'; exit 7"])).await.unwrap();
    output.started().await;
    assert_eq!(output.lines_until_exit(&link).await, (vec!["unterminated".to_owned()], exited(7)));

    link.start(program(&["sleep", "1000"])).await.unwrap();
    output.started().await;
    link.signal(15, SignalTarget::Program).await.unwrap();
    assert_eq!(output.next().await, UpFrame::Exited(killed(15)));

    link.start(program(&["sh", "-c", "sleep 1000; true"])).await.unwrap();
    output.started().await;
    link.signal(9, SignalTarget::Everything).await.unwrap();
    assert_eq!(output.next().await, UpFrame::Exited(killed(9)));
}

#[tokio::test]
async fn only_the_given_environment_and_directory() {
    let (_sandbox, link, mut output) = connected();
    let mut start = program(&["sh", "-c", "pwd; env | grep -v -e ^_= -e ^PWD= -e ^SHLVL= -e ^OLDPWD="]);
    start.directory = "/usr".to_owned();
    start.environment.push(("TOKEN".to_owned(), "a value".to_owned()));
    link.start(start).await.unwrap();
    output.started().await;
    let (mut lines, exit) = output.lines_until_exit(&link).await;
    lines.sort();
    assert_eq!((lines, exit), (["/usr", "PATH=/usr/bin:/bin", "TOKEN=a value"].map(String::from).to_vec(), exited(0)));
}

#[tokio::test]
async fn what_cannot_start_says_so() {
    let (_sandbox, link, mut output) = connected();
    let mut elsewhere = program(&["cat"]);
    elsewhere.directory = "/not/there".to_owned();
    link.start(program(&["not-a-program"])).await.unwrap();
    link.start(elsewhere).await.unwrap();
    link.start(program(&["cat"])).await.unwrap();
    link.start(program(&["cat"])).await.unwrap();
    let mut messages = Vec::new();
    for _ in 0..4 {
        messages.push(match output.next().await {
            UpFrame::StartFailed { message } => message,
            other => format!("{other:?}").split(' ').next().unwrap().to_owned(),
        });
    }
    assert_eq!(
        messages,
        [
            "could not start not-a-program: No such file or directory (os error 2)",
            "could not start cat: no directory /not/there",
            "Started",
            "another program is running",
        ]
    );
    link.close_stdin().await.unwrap();
    assert_eq!(output.next().await, UpFrame::Exited(exited(0)));
}

#[tokio::test]
async fn stderr_comes_apart() {
    let (_sandbox, link, mut output) = connected();
    link.start(program(&["sh", "-c", "echo oh >&2"])).await.unwrap();
    output.started().await;
    assert_eq!(output.next().await, UpFrame::Stderr { bytes: Bytes::from_static(b"oh\n") });
    assert_eq!(output.next().await, UpFrame::Exited(exited(0)));
}

#[tokio::test]
async fn what_a_program_leaves_behind_is_killed() {
    let (_sandbox, link, mut output) = connected();
    link.start(program(&["sh", "-c", "sleep 1000 & echo $!"])).await.unwrap();
    output.started().await;
    let (lines, exit) = output.lines_until_exit(&link).await;
    assert_eq!(exit, exited(0));
    until_gone(lines[0].parse().unwrap()).await;
}

#[tokio::test]
async fn the_stream_cannot_be_opened_by_another_process() {
    let (_sandbox, link, mut output) = connected();
    let attempt = "for fd in 0 1 2; do (echo forged > /proc/$$/fd/$fd) 2>/dev/null || echo refused; done";
    link.start(program(&["sh", "-c", attempt])).await.unwrap();
    output.started().await;
    assert_eq!(output.lines_until_exit(&link).await, (vec!["refused".to_owned(); 3], exited(0)));
}

#[tokio::test]
async fn a_signal_overtakes_stdin_that_is_not_read() {
    let (_sandbox, link, mut output) = connected();
    link.start(program(&["sleep", "1000"])).await.unwrap();
    output.started().await;
    // This is more than the window and all buffers hold, so a second line cannot even be numbered.
    link.stdin(Bytes::from(vec![b'x'; 8 * 1024 * 1024])).await.unwrap();
    link.stdin(Bytes::from_static(b"waits")).await.unwrap();
    link.signal(9, SignalTarget::Program).await.unwrap();
    assert_eq!(output.next().await, UpFrame::Exited(killed(9)));
    // Input for the first program is not given to the next one.
    link.start(program(&["cat"])).await.unwrap();
    output.started().await;
    link.stdin(Bytes::from_static(b"fresh")).await.unwrap();
    assert_eq!(output.line().await, b"fresh");
}
