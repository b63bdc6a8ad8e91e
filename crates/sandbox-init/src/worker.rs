use std::future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use link_transport::Outbox;
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use sandbox_link::frame::{DownFrame, Numbered, SignalTarget, Start, UpFrame};
use sandbox_link::window::ReceiveWindow;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::task::TaskTracker;

use crate::connection::{Connection, ConnectionError, Orphaned};
use crate::disk;
use crate::files::FileThreads;
use crate::forward;
use crate::inbox::{Inbox, Stdin};
use crate::processes;
use crate::program::Program;
use crate::settings::{Settings, SettingsError};
use crate::termination::Termination;

/// The time that the program has after a SIGTERM to the container. It is shorter than the 10 s that engines give.
const TERMINATION_GRACE: Duration = Duration::from_secs(5);

/// The time that the coordinator then has to acknowledge the last frames.
const FLUSH_GRACE: Duration = Duration::from_millis(500);

/// The capacity of the channel from the connection to the worker. The worker always empties it quickly.
const COMMAND_MESSAGES: usize = 8;

#[derive(Debug, Error)]
pub(crate) enum InitError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("could not make the process undumpable: {0}")]
    Hide(#[source] io::Error),
    #[error("could not start the runtime: {0}")]
    Runtime(#[source] io::Error),
    #[error("could not listen for signals: {0}")]
    Signals(#[source] io::Error),
    #[error("could not start the threads that serve files: {0}")]
    Files(#[source] io::Error),
    #[error("could not listen on 127.0.0.1:{port}: {source}")]
    Listen { port: u16, source: io::Error },
    #[error("the link ended unexpectedly: {0}")]
    Link(#[source] JoinError),
    #[error("no coordinator answered within {} ms; the last attempt failed: {last}", .waited.as_millis())]
    NeverWelcomed { waited: Duration, last: ConnectionError },
}

/// Runs until the container is stopped or the sandbox is orphaned. No other process survives it.
pub(crate) async fn run(settings: Settings) -> Result<(), InitError> {
    // Listen before anything starts, because an early signal must not be missed.
    let mut child_ended = signal(SignalKind::child()).map_err(InitError::Signals)?;
    let mut termination = Termination::listen().map_err(InitError::Signals)?;

    let address = Arc::new(settings.address);
    // The threads start before any program does, so a program that uses up the limit on processes cannot prevent them.
    let files = FileThreads::start(&address).map_err(InitError::Files)?;
    let port = settings.gateway_port;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|source| InitError::Listen { port, source })?;
    let tracker = TaskTracker::new();
    tracker.spawn(forward::serve(listener, Arc::clone(&address), tracker.clone()));

    let (mut worker, mut finished) = Worker::new(tracker);
    if let Some(limit) = settings.disk {
        worker.tracker.spawn(disk::watch(limit, Arc::clone(&worker.running), Arc::clone(&worker.outbox)));
    }
    let (command_sender, mut commands) = mpsc::channel(COMMAND_MESSAGES);
    let connection = Connection {
        address,
        outbox: Arc::clone(&worker.outbox),
        inbox: Arc::clone(&worker.inbox),
        running: Arc::clone(&worker.running),
        commands: command_sender,
        files,
        receive: ReceiveWindow::after_number(0),
        secret: None,
        orphan_ttl: settings.orphan_ttl,
    };
    // The link is a separate task: many ending children can keep the loop below busy, and that must not interrupt the
    // link.
    let mut link = worker.tracker.spawn(connection.run());

    let mut deadline = None;
    let ending = loop {
        tokio::select! {
            biased;
            () = termination.ordered() => {
                worker.stopping = true;
                worker.signal_program(Signal::SIGTERM as i32);
                deadline.get_or_insert(Instant::now() + TERMINATION_GRACE);
                if !worker.is_running() {
                    break Ok(());
                }
            }
            () = passed(deadline) => break Ok(()),
            _ = child_ended.recv() => worker.reap(),
            Some(()) = finished.recv() => {
                worker.finished();
                if deadline.is_some() {
                    let _ = timeout(FLUSH_GRACE, worker.outbox.emptied()).await;
                    break Ok(());
                }
            }
            Some(batch) = commands.recv() => worker.handle(batch),
            orphaned = &mut link => break match orphaned {
                Ok(Orphaned::LeftAlone) => Ok(()),
                Ok(Orphaned::NeverWelcomed(last)) => Err(InitError::NeverWelcomed { waited: settings.orphan_ttl, last }),
                Err(error) => Err(InitError::Link(error)),
            },
        }
    };
    processes::signal_everything(worker.group, Signal::SIGKILL);
    ending
}

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => future::pending().await,
    }
}

struct Worker {
    outbox: Arc<Outbox<UpFrame>>,
    inbox: Arc<Inbox>,
    /// A program has started, and its `Exited` frame is not sent yet.
    running: Arc<AtomicBool>,
    /// The program, until it is reaped.
    program: Option<Program>,
    /// The process group of the last program.
    group: Option<Pid>,
    /// The container is being stopped, so the way in which its program ends is not the program's own doing.
    stopping: bool,
    finished: mpsc::Sender<()>,
    tracker: TaskTracker,
}

impl Worker {
    /// Returns the worker, and the channel that reports when an ended program is finished.
    fn new(tracker: TaskTracker) -> (Self, mpsc::Receiver<()>) {
        let (finished, receiver) = mpsc::channel(1);
        let worker = Self {
            outbox: Arc::new(Outbox::after_number(0)),
            inbox: Arc::new(Inbox::new()),
            running: Arc::default(),
            program: None,
            group: None,
            stopping: false,
            finished,
            tracker,
        };
        (worker, receiver)
    }

    fn is_running(&self) -> bool {
        self.running.load(Ordering::Relaxed)
    }

    fn handle(&mut self, batch: Vec<Numbered<DownFrame>>) {
        for Numbered { seq, frame } in batch {
            match frame {
                DownFrame::Start(start) => self.start(&start),
                DownFrame::Stdin { piece, ends_line } => self.inbox.push(seq, Stdin::Piece { piece, ends_line }),
                DownFrame::CloseStdin => self.inbox.push(seq, Stdin::Close),
                DownFrame::Signal { signal, target: SignalTarget::Program } => self.signal_program(signal),
                DownFrame::Signal { signal, target: SignalTarget::Everything } => {
                    if let Ok(signal) = Signal::try_from(signal) {
                        processes::signal_everything(self.group, signal);
                    }
                }
            }
            self.inbox.handled(seq);
        }
    }

    fn start(&mut self, start: &Start) {
        let started = if self.is_running() {
            Err("another program is running".to_owned())
        } else {
            Program::start(start, &self.outbox, &self.inbox)
                .map_err(|error| format!("could not start {}: {error}", start.program))
        };
        match started {
            Ok(program) => {
                // Push this before the program's readers run: it is the first frame of a program.
                self.outbox.push([UpFrame::Started { pid: program.pid().as_raw().unsigned_abs() }]);
                self.running.store(true, Ordering::Relaxed);
                self.group = Some(program.pid());
                self.program = Some(program);
            }
            Err(message) => self.outbox.push([UpFrame::StartFailed { message }]),
        }
    }

    /// Signals the program. A missing program is not an error, because it may just have ended.
    fn signal_program(&self, signal: i32) {
        if let Some(program) = &self.program {
            let _ = processes::signal(program.pid(), signal);
        }
    }

    fn reap(&mut self) {
        while let Some((pid, end)) = processes::reap() {
            if let Some(program) = self.program.take_if(|program| program.pid() == pid) {
                let end = (!self.stopping).then_some(end);
                let finish = program.finish(end, Arc::clone(&self.outbox), Arc::clone(&self.inbox));
                let finished = self.finished.clone();
                self.tracker.spawn(async move {
                    finish.await;
                    // This fails only if the worker is gone, and then the process ends too.
                    let _ = finished.send(()).await;
                });
            }
        }
    }

    fn finished(&mut self) {
        self.running.store(false, Ordering::Relaxed);
        // Every process of this group is dead; the kernel may reuse its number.
        self.group = None;
    }
}
