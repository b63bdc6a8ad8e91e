use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::dir::{Dir, OwningIter};
use nix::errno::Errno;
use nix::fcntl::{self, AtFlags, OFlag};
use nix::sys::stat::{FileStat, Mode, fstatat};
use sandbox_link::files::EntryKind;

use super::failed::Failed;
use super::meter::Meter;
use super::place::kind_of;

/// An object that a walk has found.
pub(super) struct Found<'a> {
    pub(super) directory: BorrowedFd<'a>,
    pub(super) name: &'a CStr,
    /// The path of its directory, relative to the start of the walk; empty or with a slash at its end.
    pub(super) prefix: &'a [u8],
    pub(super) stat: &'a FileStat,
}

/// The actions of a walk on the objects that it finds.
pub(super) trait Visitor {
    /// Before the content of a directory.
    fn found(&mut self, found: &Found<'_>, meter: &mut Meter) -> Result<(), Failed>;

    /// After the content of a directory, which `parent` may have under another name meanwhile.
    fn left(&mut self, parent: BorrowedFd<'_>, name: &CStr) -> Result<(), Failed> {
        let _ = (parent, name);
        Ok(())
    }
}

/// A directory on the way down.
struct Level {
    directory: OwnedFd,
    /// The same directory, read by name. A directory of any size takes the same memory.
    names: OwningIter,
    /// The name in the directory above.
    name: CString,
    prefix_bytes: usize,
}

/// Visits everything below a directory. Links are not followed, and a directory that is moved away meanwhile is read to
/// its end where it was opened.
pub(super) fn walk(start: OwnedFd, meter: &mut Meter, visitor: &mut impl Visitor) -> Result<(), Failed> {
    let mut prefix = Vec::new();
    let mut levels = vec![level(start, CString::default(), 0).map_err(|errno| Failed::system(errno, b""))?];
    loop {
        let depth = levels.len();
        let Some(Level { directory, names, .. }) = levels.last_mut() else { return Ok(()) };
        let Some(entry) = names.next() else {
            let Some(ended) = levels.pop() else { return Ok(()) };
            prefix.truncate(ended.prefix_bytes);
            if let Some(above) = levels.last() {
                visitor.left(above.directory.as_fd(), &ended.name)?;
            }
            continue;
        };
        let entry = entry.map_err(|errno| Failed::system(errno, &prefix))?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        meter.entry()?;
        let stat = match fstatat(&*directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // It was removed meanwhile.
            Err(Errno::ENOENT) => continue,
            Err(errno) => return Err(Failed::system(errno, name.to_bytes())),
        };
        visitor.found(&Found { directory: directory.as_fd(), name, prefix: &prefix, stat: &stat }, meter)?;
        if kind_of(&stat) != EntryKind::Directory {
            continue;
        }
        if !meter.allows_depth(depth) {
            meter.skip();
            continue;
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let below = fcntl::openat(&*directory, name, flags, Mode::empty());
        match below.and_then(|below| level(below, name.to_owned(), prefix.len())) {
            Ok(below) => {
                prefix.extend_from_slice(name.to_bytes());
                prefix.push(b'/');
                levels.push(below);
            }
            // It was removed or replaced meanwhile.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => {}
            Err(Errno::EACCES) => meter.skip(),
            Err(errno) => return Err(Failed::system(errno, name.to_bytes())),
        }
    }
}

fn level(directory: OwnedFd, name: CString, prefix_bytes: usize) -> nix::Result<Level> {
    // A second descriptor, because the iterator owns its own.
    let again =
        fcntl::openat(&directory, c".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    Ok(Level { directory, names: Dir::from_fd(again)?.into_iter(), name, prefix_bytes })
}
