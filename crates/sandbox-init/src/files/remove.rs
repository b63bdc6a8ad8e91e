use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::sys::stat::fstat;
use nix::unistd::{UnlinkatFlags, unlinkat};
use sandbox_link::files::{EntryKind, FailureKind};

use super::failed::Failed;
use super::meter::Meter;
use super::place::{Path, Root, kind_of, locate_in};
use super::walk::{Found, Visitor, walk};

/// Removes an object, and what is below it.
pub(super) fn remove(root: &Root, path: &Path, meter: &mut Meter) -> Result<(), Failed> {
    let Some((name, parents)) = path.split_last() else {
        return Err(Failed::new(FailureKind::Invalid, "the root cannot be removed"));
    };
    let parent = match root.directory(parents) {
        Err(Failed::Request(failure)) if failure.kind == FailureKind::NotFound => return Ok(()),
        found => found?,
    };
    let failed = |errno| Failed::system(errno, name.as_bytes());
    let located = match locate_in(std::os::fd::AsFd::as_fd(&parent), name) {
        Err(Errno::ENOENT) => return Ok(()),
        found => found.map_err(failed)?,
    };
    meter.entry()?;
    let is_directory = kind_of(&fstat(&located).map_err(failed)?) == EntryKind::Directory;
    if is_directory {
        walk(root.directory(path)?, meter, &mut Remover)?;
    }
    unlink(std::os::fd::AsFd::as_fd(&parent), name, is_directory)
}

struct Remover;

impl Visitor for Remover {
    fn found(&mut self, found: &Found<'_>, _meter: &mut Meter) -> Result<(), Failed> {
        if kind_of(found.stat) == EntryKind::Directory {
            return Ok(());
        }
        unlink(found.directory, found.name, false)
    }

    fn left(&mut self, parent: BorrowedFd<'_>, name: &CStr) -> Result<(), Failed> {
        unlink(parent, name, true)
    }
}

fn unlink(parent: BorrowedFd<'_>, name: &CStr, is_directory: bool) -> Result<(), Failed> {
    let flag = if is_directory { UnlinkatFlags::RemoveDir } else { UnlinkatFlags::NoRemoveDir };
    match unlinkat(parent, name, flag) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(Failed::system(errno, name.to_bytes())),
    }
}
