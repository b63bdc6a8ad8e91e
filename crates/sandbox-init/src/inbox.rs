use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// Incoming commands: the number of the last finished one, and the stdin that the program has not read yet.
///
/// The coordinator's window bounds its memory, because queued stdin is not acknowledged.
pub(crate) struct Inbox {
    state: Mutex<State>,
    arrived: Notify,
    progressed: Notify,
}

struct State {
    queue: VecDeque<(u64, Stdin)>,
    /// Sequence number of the last command that the worker handled.
    handled: u64,
    /// True while a program reads the queue.
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

    /// Accepts stdin from now on, for a program that has just started.
    pub(crate) fn open(&self) {
        self.state().open = true;
    }

    /// Drops queued stdin and accepts no more.
    pub(crate) fn shut(&self) {
        let mut state = self.state();
        state.open = false;
        state.queue.clear();
        self.progressed.notify_one();
    }

    /// Queues stdin for the program. Drops it if no program reads.
    pub(crate) fn push(&self, seq: u64, stdin: Stdin) {
        let mut state = self.state();
        if state.open {
            state.queue.push_back((seq, stdin));
            self.arrived.notify_one();
        }
    }

    /// Records that the worker has handled the command `seq`.
    pub(crate) fn handled(&self, seq: u64) {
        self.state().handled = seq;
        self.progressed.notify_one();
    }

    /// Returns the oldest unwritten stdin. It stays in the queue until [`Inbox::written`].
    pub(crate) async fn next(&self) -> Stdin {
        loop {
            let arrived = self.arrived.notified();
            if let Some((_, stdin)) = self.state().queue.front() {
                return stdin.clone();
            }
            arrived.await;
        }
    }

    /// Removes the stdin that [`Inbox::next`] returned, because the program has read it.
    pub(crate) fn written(&self) {
        self.state().queue.pop_front();
        self.progressed.notify_one();
    }

    /// Sequence number of the last command before which every command is finished.
    pub(crate) fn finished(&self) -> u64 {
        let state = self.state();
        state.queue.front().map_or(state.handled, |(seq, _)| seq - 1)
    }

    /// Waits until [`Inbox::finished`] may have changed since the previous call. Only the one active connection calls
    /// this.
    pub(crate) async fn progressed(&self) {
        self.progressed.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
