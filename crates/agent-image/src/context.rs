//! The build context of the agent image.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use engine::{TarSource, archive};
use flate2::read::GzDecoder;
use tokio::task::JoinHandle;

/// The two files of the npm package that go into the image: path in the package, name in the context, mode.
const FILES: [(&str, &str, u32); 2] =
    // The agent's user cannot read the program. The kernel therefore makes its process undumpable: no process of the
    // same user can read or change its memory, attach to it or take its file descriptors.
    [("package/claude", "claude", 0o711), ("package/LICENSE.md", "LICENSE.md", 0o644)];

/// Streams the build context as a tar archive: `texts` (name and content), sandbox-init and the package. The archive is
/// generated while the engine reads it, so neither the archive nor the CLI's binary is ever in memory. The handle
/// reports afterwards if the archive was complete.
pub(super) fn stream(
    texts: Vec<(String, String)>,
    sandbox_init: Vec<u8>,
    package: File,
) -> (TarSource, JoinHandle<io::Result<()>>) {
    archive::stream(move |context| write(context, &texts, &sandbox_init, package))
}

/// A build context that contains only a Dockerfile.
pub(super) fn of_dockerfile(text: &str) -> io::Result<TarSource> {
    let mut context = tar::Builder::new(Vec::new());
    append(&mut context, "Dockerfile", 0o644, text.len() as u64, text.as_bytes())?;
    context.into_inner().map(TarSource::from)
}

fn write(
    context: &mut tar::Builder<impl Write>,
    texts: &[(String, String)],
    sandbox_init: &[u8],
    package: File,
) -> io::Result<()> {
    for (name, text) in texts {
        append(context, name, 0o644, text.len() as u64, text.as_bytes())?;
    }
    append(context, "sandbox-init", 0o755, sandbox_init.len() as u64, sandbox_init)?;

    let mut missing = FILES.to_vec();
    for entry in tar::Archive::new(GzDecoder::new(BufReader::new(package))).entries()? {
        let entry = entry?;
        let Some(at) = missing.iter().position(|(inside, ..)| entry.path().is_ok_and(|path| path == Path::new(inside)))
        else {
            continue;
        };
        let (_, name, mode) = missing.swap_remove(at);
        let size = entry.size();
        append(context, name, mode, size, entry)?;
    }
    match missing.first() {
        Some((inside, ..)) => Err(io::Error::other(format!("the package has no {inside}"))),
        None => Ok(()),
    }
}

/// Appends a file that root owns, without a time, so that the same content gives the same layer.
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

#[cfg(test)]
mod tests;
