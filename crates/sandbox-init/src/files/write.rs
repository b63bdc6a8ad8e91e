use std::ffi::CString;
use std::io::Write as _;

use nix::errno::Errno;
use nix::fcntl::renameat;
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{UnlinkatFlags, unlinkat};
use sandbox_link::files::{FailureKind, Ticket};

use super::exchange::Exchange;
use super::failed::Failed;
use super::meter::Meter;
use super::place::{Path, Root};
use super::unpack::replace;

/// Writes one file. It appears under its name when it is complete.
pub(super) fn write(
    exchange: &mut Exchange,
    root: &Root,
    path: &Path,
    mode: u32,
    ticket: Ticket,
    meter: &mut Meter,
) -> Result<(), Failed> {
    let Some((name, parents)) = path.split_last() else {
        return Err(Failed::new(FailureKind::Directory, "it is a directory"));
    };
    let failed = |errno| Failed::system(errno, name.as_bytes());
    let parent = root.directory(parents)?;
    let number = u128::from_le_bytes(ticket.0);
    let partial = CString::new(format!(".{number:032x}.part")).map_err(|_| failed(Errno::EINVAL))?;
    let written = (|| {
        let mut file = replace(&parent, &partial)?;
        meter.entry()?;
        while let Some(piece) = exchange.content()? {
            meter.bytes(piece.len() as u64)?;
            file.write_all(&piece).map_err(|error| Failed::content(&error, name.as_bytes()))?;
        }
        fchmod(&file, Mode::from_bits_truncate(mode & 0o777)).map_err(failed)?;
        renameat(&parent, partial.as_c_str(), &parent, name.as_c_str()).map_err(failed)
    })();
    if written.is_err() {
        let _ = unlinkat(&parent, partial.as_c_str(), UnlinkatFlags::NoRemoveDir);
    }
    written
}
