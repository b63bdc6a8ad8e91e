use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use sandbox_link::codec::{self, NumberedFrame};
use sandbox_link::frame::WINDOW_BYTES;
use sandbox_link::window::{SendWindow, WindowError};
use tokio::sync::Notify;

/// Frames to the other end, kept until it acknowledges them. Their producers push them, the current connection sends them, and
/// its other direction receives the acknowledgements.
#[derive(Debug)]
pub struct Outbox<T> {
    window: Mutex<SendWindow<T>>,
    pushed: Notify,
    released: Notify,
}

impl<T: NumberedFrame> Outbox<T> {
    /// An empty outbox. Its first frame gets the number `last` + 1.
    pub fn after_number(last: u64) -> Self {
        let window = Mutex::new(SendWindow::after_number(last, WINDOW_BYTES));
        Outbox { window, pushed: Notify::new(), released: Notify::new() }
    }

    /// Appends frames even if the window is full. A caller that can wait awaits [`Outbox::room`] first.
    pub fn push(&self, frames: impl IntoIterator<Item = T>) {
        let mut window = self.window();
        for frame in frames {
            window.push(frame);
        }
        self.pushed.notify_one();
    }

    pub fn has_room(&self) -> bool {
        !self.window().is_full()
    }

    /// Waits until there is room. This is the back-pressure on the producers.
    pub async fn room(&self) {
        self.until(|window| !window.is_full()).await;
    }

    /// Waits until every frame is acknowledged.
    pub async fn emptied(&self) {
        self.until(SendWindow::is_empty).await;
    }

    /// Waits until a frame was pushed since the previous call. Only the one active connection calls this.
    pub async fn pushed(&self) {
        self.pushed.notified().await;
    }

    pub fn acknowledge(&self, upto: u64) -> Result<(), WindowError> {
        self.window().acknowledge(upto)?;
        self.released.notify_waiters();
        Ok(())
    }

    /// Checks that sending can continue after number `received`.
    pub fn can_resume(&self, received: u64) -> Result<(), WindowError> {
        self.window().frames_after(received).map(|_| ())
    }

    /// The number after which sending starts if the other end may have lost frames that it had acknowledged: it gets the
    /// frames that are left, sees the gap, and decides what to do.
    pub fn resume(&self, received: u64) -> u64 {
        received.max(self.window().first() - 1)
    }

    /// Appends frames after number `sent` to `batch` until it is large enough. Returns the number of the last one.
    pub fn fill(&self, sent: u64, batch: &mut BytesMut) -> Result<u64, WindowError> {
        codec::fill(&self.window(), sent, batch)
    }

    async fn until(&self, condition: impl Fn(&SendWindow<T>) -> bool) {
        loop {
            // Register before the check, so that a release in between is not missed.
            let released = self.released.notified();
            if condition(&self.window()) {
                return;
            }
            released.await;
        }
    }

    fn window(&self) -> MutexGuard<'_, SendWindow<T>> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
