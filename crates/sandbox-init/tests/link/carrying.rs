use std::fmt::Write;

use bytes::Bytes;
use sandbox_link::frame::{UpFrame, WINDOW_BYTES};

use crate::support::{connected, exited, program};

#[tokio::test]
async fn a_line_of_5_mib_passes_both_ways() {
    let (_sandbox, link, mut output) = connected();
    let text: Vec<u8> = (0..5 * 1024 * 1024).map(|at: u32| b'a' + u8::try_from(at % 23).unwrap()).collect();
    link.start(program(&["cat"])).await.unwrap();
    output.started().await;
    link.stdin(Bytes::from(text.clone())).await.unwrap();
    link.close_stdin().await.unwrap();
    let mut joined = Vec::new();
    let mut whole = false;
    while !whole {
        let UpFrame::Stdout { piece, ends_line } = output.next().await else { panic!("not a piece") };
        joined.extend_from_slice(&piece);
        whole = ends_line;
        // Acknowledge pieces of an unfinished line too; otherwise the window never has room for its end.
        link.acknowledge(output.last);
    }
    assert!(joined == text, "{} bytes came", joined.len());
    assert_eq!(output.next().await, UpFrame::Exited(exited(0)));
}

#[tokio::test]
async fn an_agent_that_is_not_heard_waits() {
    const LINES: usize = 2_000_000;
    let (sandbox, link, mut output) = connected();
    link.start(program(&["seq", &LINES.to_string()])).await.unwrap();
    output.started().await;

    // Without an acknowledgement, one window's worth arrives, in pieces of 64 KiB.
    let mut text = String::new();
    let mut cost = 0;
    let mut take = |frame: UpFrame, text: &mut String| match frame {
        UpFrame::Stdout { piece, ends_line: true } => {
            cost += piece.len() + sandbox_link::window::FRAME_COST;
            writeln!(text, "{}", str::from_utf8(&piece).unwrap()).unwrap();
            cost
        }
        other => panic!("not a line but {other:?}"),
    };
    while take(output.next().await, &mut text) < WINDOW_BYTES {}
    // The answer to this is pushed even if the window is full, so everything before it is the whole output.
    link.start(program(&["true"])).await.unwrap();
    let mut unacknowledged = 0;
    let answer = loop {
        match output.next().await {
            answer @ UpFrame::StartFailed { .. } => break answer,
            more => unacknowledged = take(more, &mut text),
        }
    };
    assert_eq!(answer, UpFrame::StartFailed { message: "another program is running".to_owned() });
    // Lines are short: 64 KiB read at once cost about ten times that.
    assert!(unacknowledged < 2 * WINDOW_BYTES, "{unacknowledged} bytes were sent without an acknowledgement");

    link.acknowledge(output.last);
    let (lines, exit) = output.lines_until_exit(&link).await;
    assert_eq!(exit, exited(0));
    for line in lines {
        writeln!(text, "{line}").unwrap();
    }
    let mut expected = String::new();
    for line in 1..=LINES {
        writeln!(expected, "{line}").unwrap();
    }
    assert!(text == expected, "lines were lost or doubled");

    let status = std::fs::read_to_string(format!("/proc/{}/status", sandbox.init.pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: usize = peak.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    assert!(peak < 32 * 1024, "sandbox-init took {peak} KiB");
}
