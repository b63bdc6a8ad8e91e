use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// What came down: which commands are done with, and the stdin that the program has not read yet.
///
/// Its memory is bounded by the coordinator's window: what lies here is not acknowledged.
pub(crate) struct Inbox {
    state: Mutex<State>,
    arrived: Notify,
    progressed: Notify,
}

struct State {
    queue: VecDeque<(u64, Stdin)>,
    /// Number of the last command handed to the worker.
    handled: u64,
    /// Whether a program takes what is queued.
    open: bool,
}

#[derive(Clone)]
pub(crate) enum Stdin {
    Piece { piece: Bytes, ends_line: bool },
    Close,
}

impl Inbox {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State { queue: VecDeque::new(), handled: 0, open: false }),
            arrived: Notify::new(),
            progressed: Notify::new(),
        }
    }

    /// A program was started whose stdin takes what comes from now on.
    pub(crate) fn open(&self) {
        self.state().open = true;
    }

    /// Nothing is taken any more; what is queued is dropped.
    pub(crate) fn shut(&self) {
        let mut state = self.state();
        state.open = false;
        state.queue.clear();
        self.progressed.notify_one();
    }

    /// Queues stdin for the program, or drops it where none takes it.
    pub(crate) fn push(&self, seq: u64, stdin: Stdin) {
        let mut state = self.state();
        if state.open {
            state.queue.push_back((seq, stdin));
            self.arrived.notify_one();
        }
    }

    /// The worker has taken the command `seq`.
    pub(crate) fn handled(&self, seq: u64) {
        self.state().handled = seq;
        self.progressed.notify_one();
    }

    /// The oldest stdin not written yet; it stays until [`Inbox::written`].
    pub(crate) async fn next(&self) -> Stdin {
        loop {
            let arrived = self.arrived.notified();
            if let Some((_, stdin)) = self.state().queue.front() {
                return stdin.clone();
            }
            arrived.await;
        }
    }

    /// The program has taken what [`Inbox::next`] gave.
    pub(crate) fn written(&self) {
        self.state().queue.pop_front();
        self.progressed.notify_one();
    }

    /// Number of the last command before which none is unfinished.
    pub(crate) fn finished(&self) -> u64 {
        let state = self.state();
        state.queue.front().map_or(state.handled, |(seq, _)| seq - 1)
    }

    /// Waits until [`Inbox::finished`] may have changed since the last time. For the one connection there is.
    pub(crate) async fn progressed(&self) {
        self.progressed.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
