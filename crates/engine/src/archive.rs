//! Tar archives for the engine that are made while it takes them: nothing of them is held but a few pieces.

use std::io::{self, BufWriter, Write};

use crate::TarSource;
use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Size of the pieces, and how many wait for the engine: 4 MiB.
const PIECE_BYTES: usize = 256 * 1024;
const PIECES_AHEAD: usize = 16;

/// An archive that is being written.
pub type Archive = tar::Builder<BufWriter<Pieces>>;

/// The archive that `write` makes, on a thread of its own. The handle tells afterwards whether it was whole.
pub fn stream(
    write: impl FnOnce(&mut Archive) -> io::Result<()> + Send + 'static,
) -> (TarSource, JoinHandle<io::Result<()>>) {
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    let writer = tokio::task::spawn_blocking(move || {
        let pieces = Pieces(sender.clone());
        let mut archive = tar::Builder::new(BufWriter::with_capacity(PIECE_BYTES, pieces));
        let outcome = write(&mut archive).and_then(|()| archive.into_inner()?.flush());
        if let Err(error) = &outcome {
            // The engine must not take half an archive for a whole one. Nobody listens when it has given up itself.
            drop(sender.blocking_send(Err(io::Error::new(error.kind(), error.to_string()))));
        }
        outcome
    });
    let pieces = stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    (TarSource::Stream(pieces.boxed()), writer)
}

/// The engine stopped reading, which its own answer explains.
pub fn ignore_closed(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

/// Writing end of the stream.
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
