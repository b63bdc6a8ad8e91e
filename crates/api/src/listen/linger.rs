//! Continues to read after the last answer of a connection, so that the answer arrives. Closing a socket with unread data resets
//! the connection: the write of a client that still sends fails, and the client may lose the answer.

use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::super::MAX_BODY_BYTES;

/// The bounds on bytes and time that a client may use after its answer.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// The bound between two pieces.
    pub(super) idle: Duration,
    /// The bound for all pieces together.
    pub(super) total: Duration,
    pub(super) bytes: usize,
}

/// A client that sends nothing for 5 s has stopped, and one with a wrong body sends at most a few times the limit. A body just
/// above the limit takes half a minute at 140 KB/s. An idle connection is kept for longer than that.
pub(super) const PATIENCE: Patience =
    Patience { idle: Duration::from_secs(5), total: Duration::from_secs(30), bytes: 4 * MAX_BODY_BYTES };

/// The number of bytes that are read and dropped at a time.
const PIECE_BYTES: usize = 16 * 1024;

pub(super) struct Linger {
    idle: Duration,
    end: Instant,
    /// Ends at the end of the current pause, or at `end`.
    timer: Pin<Box<Sleep>>,
    bytes_left: usize,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Linger {
    /// Starts now. Ends early when the server is `closing`, which does not wait for clients that have their answer.
    pub(super) fn begin(patience: Patience, closing: CancellationToken) -> Self {
        Linger {
            idle: patience.idle,
            end: Instant::now() + patience.total,
            timer: Box::pin(sleep(patience.idle.min(patience.total))),
            bytes_left: patience.bytes,
            closing: Box::pin(closing.cancelled_owned()),
        }
    }

    /// Ready when the client has closed its end, or a bound is reached.
    pub(super) fn poll<S: AsyncRead + Unpin>(&mut self, stream: &mut S, cx: &mut Context<'_>) -> Poll<()> {
        if self.closing.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        loop {
            if self.timer.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let mut piece = [MaybeUninit::uninit(); PIECE_BYTES];
            let mut piece = ReadBuf::uninit(&mut piece);
            let read = match ready!(Pin::new(&mut *stream).poll_read(cx, &mut piece)) {
                Ok(()) => piece.filled().len(),
                Err(_) => 0,
            };
            self.bytes_left = self.bytes_left.saturating_sub(read);
            if read == 0 || self.bytes_left == 0 {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(self.end.min(Instant::now() + self.idle));
        }
    }
}
