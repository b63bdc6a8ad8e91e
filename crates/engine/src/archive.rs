//! Tar archives that are generated while the engine reads them, so that only a few pieces are in memory.

use std::io::{self, BufWriter, Write};

use crate::TarSource;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// The size of a piece in bytes, and the number of pieces that wait for the engine: 4 MiB together.
const PIECE_BYTES: usize = 256 * 1024;
const PIECES_AHEAD: usize = 16;

/// The archive that a writer appends to.
pub type ArchiveBuilder = tar::Builder<BufWriter<Pieces>>;

/// Runs `write` on a thread that may block and streams the archive. The handle reports afterwards if the archive was
/// complete.
pub fn stream(
    write: impl FnOnce(&mut ArchiveBuilder) -> io::Result<()> + Send + 'static,
) -> (TarSource, JoinHandle<io::Result<()>>) {
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    let writer = tokio::task::spawn_blocking(move || {
        let pieces = Pieces(sender.clone());
        let mut archive = tar::Builder::new(BufWriter::with_capacity(PIECE_BYTES, pieces));
        let outcome = write(&mut archive).and_then(|()| archive.into_inner()?.flush());
        if let Err(error) = &outcome {
            // The engine must not mistake half an archive for a complete one. Sending fails if the engine has given up
            // itself.
            drop(sender.blocking_send(Err(io::Error::new(error.kind(), error.to_string()))));
        }
        outcome
    });
    let pieces = stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    (TarSource::Stream(pieces.boxed()), writer)
}

/// Ignores the error of a writer whose engine stopped reading, because the engine's own error explains that.
pub fn ignore_closed(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

/// The write end of the stream.
pub struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let sent = self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
