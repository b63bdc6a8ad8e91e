use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use sandbox_link::codec::BATCH_BYTES;
use sandbox_link::frame::{UpFrame, WINDOW_BYTES};
use sandbox_link::window::{SendWindow, WindowError};
use tokio::sync::Notify;

/// What goes up: pushed by those who read the program, sent by whichever connection is there, kept until acknowledged.
pub(crate) struct Outbox {
    window: Mutex<SendWindow<UpFrame>>,
    pushed: Notify,
    released: Notify,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            window: Mutex::new(SendWindow::after_number(0, WINDOW_BYTES)),
            pushed: Notify::new(),
            released: Notify::new(),
        }
    }

    /// Takes frames even when full: who can wait awaits [`Outbox::room`] first.
    pub(crate) fn push(&self, frames: impl IntoIterator<Item = UpFrame>) {
        let mut window = self.window();
        for frame in frames {
            window.push(frame);
        }
        self.pushed.notify_one();
    }

    /// Waits until there is room. This is the back-pressure on the program: nobody reads it meanwhile.
    pub(crate) async fn room(&self) {
        self.until(|window| !window.is_full()).await;
    }

    /// Waits until everything is acknowledged.
    pub(crate) async fn emptied(&self) {
        self.until(SendWindow::is_empty).await;
    }

    /// Waits until something was pushed since the last time. For the one connection there is.
    pub(crate) async fn pushed(&self) {
        self.pushed.notified().await;
    }

    pub(crate) fn acknowledge(&self, upto: u64) -> Result<(), WindowError> {
        self.window().acknowledge(upto)?;
        self.released.notify_waiters();
        Ok(())
    }

    /// Where sending begins for a coordinator whose last frame was `received`. One that has forgotten what it had
    /// acknowledged gets what is left and sees the gap, which is its to judge.
    pub(crate) fn resume(&self, received: u64) -> u64 {
        received.max(self.window().first() - 1)
    }

    /// Adds frames after number `sent` to `batch` until that is large enough; gives the last one's number.
    pub(crate) fn fill(&self, mut sent: u64, batch: &mut BytesMut) -> Result<u64, WindowError> {
        let window = self.window();
        for (seq, frame) in window.frames_after(sent)? {
            if batch.len() >= BATCH_BYTES {
                break;
            }
            frame.encode(seq, batch);
            sent = seq;
        }
        Ok(sent)
    }

    async fn until(&self, condition: impl Fn(&SendWindow<UpFrame>) -> bool) {
        loop {
            // Register before looking, so that a release in between is not missed.
            let released = self.released.notified();
            if condition(&self.window()) {
                return;
            }
            released.await;
        }
    }

    fn window(&self) -> MutexGuard<'_, SendWindow<UpFrame>> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
