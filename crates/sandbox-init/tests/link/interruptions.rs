use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use futures::{SinkExt, StreamExt};
use link::ResumeState;
use sandbox_link::frame::{Down, Hello, LinkSecret, Up, UpFrame};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{UnixListener, UnixStream};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::task::TaskTracker;

use crate::support::{Init, ORPHAN_TTL, bind, connected, exited, patiently, program};

fn numbers(from: usize, to: usize) -> Vec<String> {
    (from..=to).map(|number| number.to_string()).collect()
}

/// Forwards connections and cuts each after `budget` bytes from the sandbox, at any point of a message.
async fn cutting_proxy(listener: UnixListener, upstream: PathBuf, budget: u64, cuts: tokio::sync::watch::Sender<u32>) {
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let Ok(mut server) = UnixStream::connect(&upstream).await else { continue };
        let (client_read, mut client_write) = client.split();
        let (mut server_read, mut server_write) = server.split();
        let mut bounded = client_read.take(budget);
        tokio::select! {
            _ = copy(&mut bounded, &mut server_write) => {}
            _ = copy(&mut server_read, &mut client_write) => {}
        }
        cuts.send_modify(|cuts| *cuts += 1);
    }
}

#[tokio::test]
async fn cut_connections_lose_and_double_nothing() {
    const LINES: usize = 50_000;
    let temporary = tempfile::tempdir().unwrap();
    let front = tempfile::tempdir().unwrap();
    let (link, mut output) = bind(temporary.path(), None, ORPHAN_TTL);
    let listener = UnixListener::bind(front.path().join("agent.sock")).unwrap();
    let tracker = TaskTracker::new();
    let (cuts_sender, cuts) = tokio::sync::watch::channel(0);
    // The budget is more than one batch, so that every connection makes progress.
    let upstream = link.directory().unwrap().join("agent.sock");
    tracker.spawn(cutting_proxy(listener, upstream, 150_000, cuts_sender));
    let _init = Init::start(&[("LINK", &format!("unix:{}", front.path().display()))]);

    link.start(program(&["seq", &LINES.to_string()])).await.unwrap();
    output.started().await;
    assert_eq!(output.lines_until_exit(&link).await, (numbers(1, LINES), exited(0)));

    // The other direction: each line comes back once.
    link.start(program(&["cat"])).await.unwrap();
    output.started().await;
    for number in 1..=LINES {
        link.stdin(Bytes::from(number.to_string())).await.unwrap();
        if number % 100 == 0 {
            for expected in number - 99..=number {
                assert_eq!(output.line().await, expected.to_string().as_bytes());
            }
            link.acknowledge(output.last);
        }
    }
    link.close_stdin().await.unwrap();
    assert_eq!(output.next().await, UpFrame::Exited(exited(0)));
    let cuts = *cuts.borrow();
    assert!(cuts >= 5, "only {cuts} cuts");
}

#[tokio::test]
async fn a_new_coordinator_goes_on_where_the_old_one_was() {
    const LINES: usize = 200_000;
    let (sandbox, link, mut output) = connected();
    link.start(program(&["sh", "-c", &format!("seq {LINES}; cat")])).await.unwrap();
    output.started().await;
    let mut lines = Vec::new();
    while lines.len() < 1000 {
        lines.push(String::from_utf8(output.line().await).unwrap());
    }
    // Everything up to here is durable. The old coordinator then takes more output, which is lost with it.
    let resume = ResumeState { secret: link.secret().clone(), last_received: output.last };
    link.acknowledge(output.last);
    for _ in 0..5000 {
        output.line().await;
    }
    link.close().await;
    drop(output);

    let last = resume.last_received;
    let (link, output) = sandbox.bind(Some(resume), ORPHAN_TTL);
    let mut output = output.after(last);
    // Commands continue after those of the old coordinator.
    link.stdin(Bytes::from_static(b"after the restart")).await.unwrap();
    link.close_stdin().await.unwrap();
    let (rest, exit) = output.lines_until_exit(&link).await;
    lines.extend(rest);
    let mut expected = numbers(1, LINES);
    expected.push("after the restart".to_owned());
    assert_eq!((lines == expected, exit), (true, exited(0)));
}

#[tokio::test]
async fn a_coordinator_that_forgot_what_it_acknowledged_ends_the_link() {
    let (sandbox, link, mut output) = connected();
    link.start(program(&["cat"])).await.unwrap();
    output.started().await;
    link.stdin(Bytes::from_static(b"one")).await.unwrap();
    assert_eq!(output.line().await, b"one");
    link.acknowledge(output.last);
    // The answer shows that the acknowledgement was processed, because it was sent first.
    link.stdin(Bytes::from_static(b"two")).await.unwrap();
    assert_eq!(output.line().await, b"two");
    let secret = link.secret().clone();
    link.close().await;

    let (_link, mut output) = sandbox.bind(Some(ResumeState { secret, last_received: 0 }), ORPHAN_TTL);
    assert!(output.is_over().await);
}

/// Connects to the socket and returns the answers.
async fn knock(socket: &Path, secret: Option<&str>) -> Vec<Down> {
    let stream = UnixStream::connect(socket).await.unwrap();
    let (mut socket, _) = client_async("ws://coordinator/agent", stream).await.unwrap();
    let mut hello = BytesMut::new();
    let secret = secret.map(|text| LinkSecret::new(text.to_owned()));
    Up::Hello(Hello { version: sandbox_link::PROTOCOL_VERSION, secret, last_received: 0, running: false })
        .encode(&mut hello);
    socket.send(Message::Binary(hello.freeze())).await.unwrap();
    let mut answers = Vec::new();
    while let Some(Ok(Message::Binary(answer))) = patiently(socket.next()).await {
        answers.extend(Down::decode(answer).unwrap());
    }
    answers
}

#[tokio::test]
async fn strangers_are_refused_and_disturb_nobody() {
    let (_sandbox, link, mut output) = connected();
    link.start(program(&["cat"])).await.unwrap();
    output.started().await;
    let socket = link.directory().unwrap().join("agent.sock");
    let refused = |reason: &str| vec![Down::Refused { reason: reason.to_owned() }];
    assert_eq!(knock(&socket, None).await, refused("the secret of this link was already issued"));
    assert_eq!(knock(&socket, Some("guessed")).await, refused("this is not the secret of this link"));
    // The input is not even HTTP.
    let mut stream = UnixStream::connect(&socket).await.unwrap();
    stream.write_all(b"garbage\r\n\r\n").await.unwrap();
    let _ = patiently(stream.read_to_end(&mut Vec::new())).await;

    assert!(*link.connected().borrow());
    link.stdin(Bytes::from_static(b"still here")).await.unwrap();
    assert_eq!(output.line().await, b"still here");
}
