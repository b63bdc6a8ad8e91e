use std::collections::BinaryHeap;
use std::ffi::CString;
use std::os::unix::ffi::OsStringExt;

use nix::dir::Dir;
use nix::fcntl::{AtFlags, readlinkat};
use nix::sys::stat::fstatat;
use sandbox_link::files::{FileFrame, MAX_PAGE_BYTES, MAX_PAGE_ENTRIES, Page};

use super::exchange::Exchange;
use super::failed::Failed;
use super::meter::Meter;
use super::place::{Path, Root, entry_of};

/// The size of an entry beside its name and target, in bytes.
const ENTRY_BYTES: usize = 32;

/// Sends a page of a directory in the byte order of names. All names are read, and only as many are kept as the page has,
/// so a directory of any size takes the same memory.
pub(super) fn list(
    exchange: &mut Exchange,
    root: &Root,
    path: &Path,
    after: Option<&[u8]>,
    limit: u32,
    meter: &mut Meter,
) -> Result<(), Failed> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).clamp(1, MAX_PAGE_ENTRIES);
    let directory = root.directory(path)?;
    let failed = |errno| Failed::system(errno, root.name_of(path));
    let mut names = Dir::from_fd(directory).map_err(failed)?;
    let mut first: BinaryHeap<CString> = BinaryHeap::with_capacity(limit + 2);
    let mut page = Page::default();
    for entry in &mut names.iter() {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") || after.is_some_and(|after| name.to_bytes() <= after) {
            continue;
        }
        if meter.entry().is_err() {
            page.truncated = true;
            break;
        }
        if first.len() > limit {
            // One more than the page has, to know that more follow.
            if first.peek().is_some_and(|last| name >= last.as_c_str()) {
                continue;
            }
            first.pop();
        }
        first.push(name.to_owned());
    }
    let mut first = first.into_sorted_vec();
    page.more = first.len() > limit;
    first.truncate(limit);
    let mut bytes = 0;
    for name in &first {
        // A name that was removed meanwhile is left out.
        let Ok(stat) = fstatat(&names, name.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW) else { continue };
        let target = || readlinkat(&names, name.as_c_str()).ok().map(OsStringExt::into_vec);
        let entry = entry_of(name.as_bytes(), &stat, target);
        if bytes >= MAX_PAGE_BYTES {
            page.more = true;
            break;
        }
        bytes += ENTRY_BYTES + entry.name.len() + entry.target.as_ref().map_or(0, bytes::Bytes::len);
        page.entries.push(entry);
    }
    exchange.send(&FileFrame::Page(page))
}
