use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use sandbox_link::codec;
use sandbox_link::frame::{UpFrame, WINDOW_BYTES};
use sandbox_link::window::{SendWindow, WindowError};
use tokio::sync::Notify;

/// Frames to the coordinator. The readers of the program push them, the current connection sends them, and they are kept
/// until the coordinator acknowledges them.
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

    /// Appends frames even if the window is full. A caller that can wait awaits [`Outbox::room`] first.
    pub(crate) fn push(&self, frames: impl IntoIterator<Item = UpFrame>) {
        let mut window = self.window();
        for frame in frames {
            window.push(frame);
        }
        self.pushed.notify_one();
    }

    /// Waits until there is room. This is the back-pressure on the program, whose output is not read meanwhile.
    pub(crate) async fn room(&self) {
        self.until(|window| !window.is_full()).await;
    }

    /// Waits until every frame is acknowledged.
    pub(crate) async fn emptied(&self) {
        self.until(SendWindow::is_empty).await;
    }

    /// Waits until a frame was pushed since the previous call. Only the one active connection calls this.
    pub(crate) async fn pushed(&self) {
        self.pushed.notified().await;
    }

    pub(crate) fn acknowledge(&self, upto: u64) -> Result<(), WindowError> {
        self.window().acknowledge(upto)?;
        self.released.notify_waiters();
        Ok(())
    }

    /// The number after which sending starts, for a coordinator whose last frame was `received`. A coordinator that has
    /// lost frames which it had acknowledged gets the frames that are left. It sees the gap and decides what to do.
    pub(crate) fn resume(&self, received: u64) -> u64 {
        received.max(self.window().first() - 1)
    }

    /// Appends frames after number `sent` to `batch` until it is large enough. Returns the number of the last one.
    pub(crate) fn fill(&self, sent: u64, batch: &mut BytesMut) -> Result<u64, WindowError> {
        codec::fill(&self.window(), sent, batch)
    }

    async fn until(&self, condition: impl Fn(&SendWindow<UpFrame>) -> bool) {
        loop {
            // Register before the check, so that a release in between is not missed.
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
