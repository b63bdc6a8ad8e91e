use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use link::{GatewayStream, Link, LinkDirectory, LinkOutput, LinkStream, ResumeState};
use sandbox_link::frame::{Exit, Numbered, Start, UpFrame};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(crate) const NAME: &str = "one";

/// Long enough that it never ends a working test.
pub(crate) const ORPHAN_TTL: Duration = Duration::from_mins(10);

/// The time after which a hanging test fails. No assertion depends on it.
const PATIENCE: Duration = Duration::from_mins(2);

pub(crate) async fn patiently<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("this never happened")
}

/// Echoes its input.
pub(crate) struct Echo;

impl GatewayStream for Echo {
    fn serve(&self, stream: LinkStream) -> BoxFuture<'static, ()> {
        async move {
            let (mut read, mut write) = tokio::io::split(stream);
            let _ = tokio::io::copy(&mut read, &mut write).await;
        }
        .boxed()
    }
}

/// A directory for links, and a sandbox-init that connects to it.
pub(crate) struct Sandbox {
    pub(crate) temporary: TempDir,
    pub(crate) init: Init,
}

impl Sandbox {
    /// Starts sandbox-init before the socket exists, so that it always has to retry.
    pub(crate) fn start(environment: &[(&str, &str)]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let link = format!("unix:{}", temporary.path().join(NAME).display());
        let init = Init::start(&[&[("LINK", link.as_str())], environment].concat());
        Self { temporary, init }
    }

    /// Binds the coordinator's end.
    pub(crate) fn bind(&self, resume: Option<ResumeState>, orphan_ttl: Duration) -> (Link, Output) {
        bind(self.temporary.path(), resume, orphan_ttl)
    }
}

pub(crate) fn bind(path: &Path, resume: Option<ResumeState>, orphan_ttl: Duration) -> (Link, Output) {
    let links = LinkDirectory::open(path, TaskTracker::new(), CancellationToken::new()).unwrap();
    let (link, output) = links.bind(NAME, resume, orphan_ttl, Arc::new(Echo)).unwrap();
    (link, Output::new(output))
}

pub(crate) fn connected() -> (Sandbox, Link, Output) {
    let sandbox = Sandbox::start(&[]);
    let (link, output) = sandbox.bind(None, ORPHAN_TTL);
    (sandbox, link, output)
}

pub(crate) struct Init {
    pub(crate) child: Child,
}

impl Init {
    pub(crate) fn start(environment: &[(&str, &str)]) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_sandbox-init"))
            .env_clear()
            .env("GATEWAY_PORT", "0")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Waits for the exit and returns the status and the text on stderr.
    pub(crate) async fn ended(mut self) -> (ExitStatus, String) {
        let mut text = String::new();
        patiently(self.child.stderr.take().unwrap().read_to_string(&mut text)).await.unwrap();
        (patiently(self.child.wait()).await.unwrap(), text)
    }
}

/// Single frames, with their numbers checked.
pub(crate) struct Output {
    batches: LinkOutput,
    taken: std::collections::VecDeque<Numbered<UpFrame>>,
    pub(crate) last: u64,
}

impl Output {
    pub(crate) fn new(output: LinkOutput) -> Self {
        Self { batches: output, taken: std::collections::VecDeque::new(), last: 0 }
    }

    pub(crate) fn after(mut self, last: u64) -> Self {
        self.last = last;
        self
    }

    pub(crate) async fn next(&mut self) -> UpFrame {
        loop {
            if let Some(Numbered { seq, frame }) = self.taken.pop_front() {
                assert_eq!(seq, self.last + 1, "once and in order");
                self.last = seq;
                return frame;
            }
            self.taken.extend(patiently(self.batches.recv()).await.expect("the link has ended"));
        }
    }

    /// True if the link has ended and no frame is left.
    pub(crate) async fn is_over(&mut self) -> bool {
        patiently(self.batches.recv()).await.is_none()
    }

    /// Returns the next complete line.
    pub(crate) async fn line(&mut self) -> Vec<u8> {
        let mut line = Vec::new();
        loop {
            match self.next().await {
                UpFrame::Stdout { piece, ends_line } => {
                    line.extend_from_slice(&piece);
                    if ends_line {
                        return line;
                    }
                }
                other => panic!("no stdout but {other:?}"),
            }
        }
    }

    pub(crate) async fn started(&mut self) -> u32 {
        match self.next().await {
            UpFrame::Started { pid } => pid,
            other => panic!("not Started but {other:?}"),
        }
    }

    /// Reads lines until the exit and acknowledges each batch.
    pub(crate) async fn lines_until_exit(&mut self, link: &Link) -> (Vec<String>, Exit) {
        let mut lines = Vec::new();
        loop {
            match self.next().await {
                UpFrame::Stdout { piece, ends_line: true } => lines.push(String::from_utf8(piece.to_vec()).unwrap()),
                UpFrame::Exited(exit) => return (lines, exit),
                other => panic!("neither line nor exit but {other:?}"),
            }
            link.acknowledge(self.last);
        }
    }
}

pub(crate) fn program(words: &[&str]) -> Start {
    Start {
        program: words[0].to_owned(),
        arguments: words[1..].iter().map(|&word| word.to_owned()).collect(),
        directory: "/".to_owned(),
        environment: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
    }
}

pub(crate) fn exited(code: i32) -> Exit {
    Exit { code: Some(code), signal: None, oom_kills: 0 }
}

pub(crate) fn killed(signal: i32) -> Exit {
    Exit { code: None, signal: Some(signal), oom_kills: 0 }
}

/// True if the process runs. A dead process that is not yet reaped does not run.
pub(crate) fn runs(pid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    !matches!(stat.rsplit(") ").next().and_then(|rest| rest.chars().next()), Some('Z' | 'X') | None)
}

pub(crate) async fn until_gone(pid: u32) {
    patiently(async {
        while runs(pid) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
