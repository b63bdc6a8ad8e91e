use std::io::Read;
use std::os::unix::fs::FileExt;

use nix::sys::stat::fstat;
use sandbox_link::files::{EntryKind, FailureKind, FileFrame, MAX_DATA};

use super::exchange::Exchange;
use super::failed::Failed;
use super::meter::Meter;
use super::place::{Path, Root, entry_of, kind_of, link, reopen, special};

/// Sends a part of a file, preceded by its description. A file that grows meanwhile ends where it ended at the start.
pub(super) fn read(
    exchange: &mut Exchange,
    root: &Root,
    path: &Path,
    offset: u64,
    length: u64,
    meter: &mut Meter,
) -> Result<(), Failed> {
    let name = root.name_of(path);
    let failed = |errno| Failed::system(errno, name);
    let located = root.locate(path)?;
    let stat = fstat(&located).map_err(failed)?;
    match kind_of(&stat) {
        EntryKind::File => {}
        EntryKind::Directory => return Err(Failed::new(FailureKind::Directory, "it is a directory")),
        EntryKind::Symlink => return Err(link(name)),
        EntryKind::Fifo | EntryKind::Socket | EntryKind::Device => return Err(special(name)),
    }
    let file = reopen(&located).map_err(failed)?;
    let entry = entry_of(name, &stat, || None);
    let mut left = entry.size.saturating_sub(offset).min(length);
    exchange.send(&FileFrame::Found(entry))?;
    meter.entry()?;
    let mut at = offset;
    let mut buffer = vec![0; MAX_DATA];
    while left > 0 {
        let room = usize::try_from(left).unwrap_or(MAX_DATA).min(MAX_DATA);
        let count = file.read_at(&mut buffer[..room], at).map_err(|error| Failed::content(&error, name))?;
        if count == 0 {
            return Err(Failed::new(FailureKind::Changed, "the file became shorter while it was read"));
        }
        meter.bytes(count as u64)?;
        exchange.send(&FileFrame::Data(buffer[..count].to_vec().into()))?;
        at += count as u64;
        left -= count as u64;
    }
    Ok(())
}

/// A reader that ends after `left` bytes, and not before: zeros replace what a file has lost meanwhile, so that the
/// archive around it stays valid.
pub(super) struct Exactly<R> {
    pub(super) reader: R,
    pub(super) left: u64,
}

impl<R: Read> Exactly<R> {
    pub(super) fn next<'a>(&mut self, buffer: &'a mut [u8]) -> std::io::Result<&'a [u8]> {
        let room = usize::try_from(self.left).unwrap_or(buffer.len()).min(buffer.len());
        let mut count = self.reader.read(&mut buffer[..room])?;
        if count == 0 {
            buffer[..room].fill(0);
            count = room;
        }
        self.left -= count as u64;
        Ok(&buffer[..count])
    }
}
