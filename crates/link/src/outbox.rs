use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use sandbox_link::codec;
use sandbox_link::frame::{DownFrame, MAX_PIECE, WINDOW_BYTES};
use sandbox_link::window::{SendWindow, WindowError};
use tokio::sync::Notify;

/// Commands to the sandbox, kept until sandbox-init acknowledges them. Both directions of a connection share it: one
/// sends, the other receives the acknowledgements.
#[derive(Debug)]
pub(super) struct Outbox {
    window: Mutex<SendWindow<DownFrame>>,
    released: Notify,
}

impl Outbox {
    /// An empty outbox. The first command gets the number `last` + 1.
    pub(super) fn after_number(last: u64) -> Self {
        Self { window: Mutex::new(SendWindow::after_number(last, WINDOW_BYTES)), released: Notify::new() }
    }

    /// Appends a command, even if the window is full. A line of stdin is split into pieces here.
    pub(super) fn push(&self, frame: DownFrame) {
        let mut window = self.window();
        match frame {
            DownFrame::Stdin { piece: mut rest, ends_line } => {
                while rest.len() > MAX_PIECE {
                    window.push(DownFrame::Stdin { piece: rest.split_to(MAX_PIECE), ends_line: false });
                }
                window.push(DownFrame::Stdin { piece: rest, ends_line });
            }
            whole @ (DownFrame::Start(_) | DownFrame::CloseStdin | DownFrame::Signal { .. }) => {
                window.push(whole);
            }
        }
    }

    pub(super) fn has_room(&self) -> bool {
        !self.window().is_full()
    }

    /// Waits until an acknowledgement has arrived since the previous call. Only the one active connection calls this.
    pub(super) async fn released(&self) {
        self.released.notified().await;
    }

    pub(super) fn acknowledge(&self, upto: u64) -> Result<(), WindowError> {
        self.window().acknowledge(upto)?;
        self.released.notify_one();
        Ok(())
    }

    /// Checks that sending can continue after number `received`.
    pub(super) fn can_resume(&self, received: u64) -> Result<(), WindowError> {
        self.window().frames_after(received).map(|_| ())
    }

    /// Appends commands after number `sent` to `batch` until it is large enough. Returns the number of the last one.
    pub(super) fn fill(&self, sent: u64, batch: &mut BytesMut) -> Result<u64, WindowError> {
        codec::fill(&self.window(), sent, batch)
    }

    fn window(&self) -> MutexGuard<'_, SendWindow<DownFrame>> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
