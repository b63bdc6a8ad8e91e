use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;

use bytes::Bytes;
use container_engine::TarSource;
use flate2::read::GzDecoder;
use futures::stream::{self, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// Size of the pieces, and how many wait for the engine: 4 MiB of the 246 that the context has.
const PIECE_BYTES: usize = 256 * 1024;
const PIECES_AHEAD: usize = 16;

/// The two files of the package that go into the image, and their names in the context.
const FILES: [(&str, &str, u32); 2] =
    // Not readable for the agent's user: the kernel then makes the process undumpable, and nothing of the same user can look
    // into its memory, change it, attach to it or take its file descriptors.
    [("package/claude", "claude", 0o711), ("package/LICENSE.md", "LICENSE.md", 0o644)];

/// The build context as a tar archive of files with these names and `texts`, sandbox-init and the package, made while the engine takes it: neither the archive nor the binary is ever held. The
/// handle tells afterwards whether it was whole.
pub(super) fn stream(
    texts: [(&'static str, &'static str); 2],
    sandbox_init: Vec<u8>,
    package: File,
) -> (TarSource, JoinHandle<io::Result<()>>) {
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    let writer = tokio::task::spawn_blocking(move || {
        let pieces = Pieces(sender.clone());
        let outcome = write(BufWriter::with_capacity(PIECE_BYTES, pieces), &texts, &sandbox_init, package);
        if let Err(error) = &outcome {
            // The engine must not take half a context for a whole one. Nobody listens when it has given up itself.
            drop(sender.blocking_send(Err(io::Error::new(error.kind(), error.to_string()))));
        }
        outcome
    });
    let pieces = stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) });
    (TarSource::Stream(pieces.boxed()), writer)
}

/// The engine stopped reading, which its own answer explains.
pub(super) fn ignore_closed(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

fn write(output: impl Write, texts: &[(&str, &str)], sandbox_init: &[u8], package: File) -> io::Result<()> {
    let mut context = tar::Builder::new(output);
    for (name, text) in texts {
        append(&mut context, name, 0o644, text.len() as u64, text.as_bytes())?;
    }
    append(&mut context, "sandbox-init", 0o755, sandbox_init.len() as u64, sandbox_init)?;

    let mut missing = FILES.to_vec();
    for entry in tar::Archive::new(GzDecoder::new(BufReader::new(package))).entries()? {
        let entry = entry?;
        let Some(at) = missing.iter().position(|(inside, ..)| entry.path().is_ok_and(|path| path == Path::new(inside)))
        else {
            continue;
        };
        let (_, name, mode) = missing.swap_remove(at);
        let size = entry.size();
        append(&mut context, name, mode, size, entry)?;
    }
    if let Some((inside, ..)) = missing.first() {
        return Err(io::Error::other(format!("the package has no {inside}")));
    }
    context.into_inner()?.flush()
}

/// Owned by root and without a time, so that the same content is the same layer.
fn append(
    archive: &mut tar::Builder<impl Write>,
    name: &str,
    mode: u32,
    size: u64,
    content: impl Read,
) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_mode(mode);
    header.set_size(size);
    archive.append_data(&mut header, name, content)
}

/// Writing end of the stream.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

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

#[cfg(test)]
mod tests;
