use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{self, OFlag, OpenHow, ResolveFlag};
use nix::libc;
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use sandbox_link::files::{Entry, EntryKind, FailureKind, MAX_NAME, MAX_PATH};

use super::failed::Failed;

/// An opened root. Everything is opened below it.
pub(super) struct Root {
    directory: OwnedFd,
    /// The last component of its path.
    name: Vec<u8>,
}

/// The components of a path below a root.
pub(super) type Path = Vec<CString>;

/// Splits a path. No component has a special meaning.
pub(super) fn parse(path: &[u8]) -> Result<Path, Failed> {
    let invalid = |message: &str| Failed::new(FailureKind::Invalid, message);
    if path.len() > MAX_PATH {
        return Err(invalid("the path is too long"));
    }
    if path.is_empty() {
        return Ok(Path::new());
    }
    let component = |part: &[u8]| match part {
        b"" | b"." | b".." => Err(invalid("a part of the path is empty, `.` or `..`")),
        part if part.len() > MAX_NAME => Err(invalid("a part of the path is too long")),
        part => CString::new(part).map_err(|_| invalid("a part of the path has a NUL in it")),
    };
    path.split(|byte| *byte == b'/').map(component).collect()
}

impl Root {
    pub(super) fn open(path: &str) -> Result<Self, Failed> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let directory =
            fcntl::open(path, flags, Mode::empty()).map_err(|errno| Failed::system(errno, path.as_bytes()))?;
        let name = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        Ok(Self { directory, name: name.as_bytes().to_vec() })
    }

    /// The name with which an archive of the path begins.
    pub(super) fn name_of<'a>(&'a self, path: &'a [CString]) -> &'a [u8] {
        path.last().map_or(&self.name, |name| name.as_bytes())
    }

    /// Opens the object itself without reading it, also if it is a link, a FIFO or a device.
    pub(super) fn locate(&self, path: &[CString]) -> Result<OwnedFd, Failed> {
        let found = open_beneath(self.directory.as_fd(), path, OFlag::O_PATH | OFlag::O_NOFOLLOW);
        found.map_err(|errno| self.explain(path, errno))
    }

    /// Opens a directory to read its names.
    pub(super) fn directory(&self, path: &[CString]) -> Result<OwnedFd, Failed> {
        let found =
            open_beneath(self.directory.as_fd(), path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW);
        found.map_err(|errno| self.explain(path, errno))
    }

    /// Finds the component that is a link, or something else than a directory where one is expected. What it finds may
    /// have changed since the error.
    fn explain(&self, path: &[CString], errno: Errno) -> Failed {
        if matches!(errno, Errno::ELOOP | Errno::ENOTDIR) {
            for end in 1..=path.len() {
                let (name, is_last) = (path[end - 1].as_bytes(), end == path.len());
                let found = open_beneath(self.directory.as_fd(), &path[..end], OFlag::O_PATH | OFlag::O_NOFOLLOW);
                let kind = found.and_then(fstat).map(|stat| kind_of(&stat));
                match kind {
                    Ok(EntryKind::Symlink) => return link(name),
                    Ok(EntryKind::Fifo | EntryKind::Socket | EntryKind::Device) if is_last => return special(name),
                    Ok(EntryKind::File) if is_last && errno == Errno::ENOTDIR => {
                        return Failed::new(FailureKind::File, "it is not a directory");
                    }
                    Ok(_) => {}
                    Err(_) => break,
                }
            }
        }
        Failed::system(errno, path.last().map_or(&self.name, |name| name.as_bytes()))
    }
}

pub(super) fn link(name: &[u8]) -> Failed {
    Failed::new(FailureKind::Symlink, String::from_utf8_lossy(name))
}

pub(super) fn special(name: &[u8]) -> Failed {
    Failed::new(FailureKind::Special, String::from_utf8_lossy(name))
}

/// Opens a path below `root`. No component may be a link. `flags` must not create anything.
pub(super) fn open_beneath(root: BorrowedFd<'_>, path: &[CString], flags: OFlag) -> nix::Result<OwnedFd> {
    let flags = flags | OFlag::O_CLOEXEC;
    if path.is_empty() {
        return fcntl::openat(root, c".", flags, Mode::empty());
    }
    let whole = path.iter().map(CString::as_bytes).collect::<Vec<_>>().join(&b'/');
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    match fcntl::openat2(root, whole.as_slice(), OpenHow::new().flags(flags).resolve(resolve)) {
        // A kernel before 5.6, or a runtime or profile that does not have the call.
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EAGAIN) => open_step_by_step(root, path, flags),
        found => found,
    }
}

/// Opens each component in the one before, without following links.
fn open_step_by_step(root: BorrowedFd<'_>, path: &[CString], flags: OFlag) -> nix::Result<OwnedFd> {
    let Some((last, parents)) = path.split_last() else { return Err(Errno::ENOENT) };
    let through = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut directory: Option<OwnedFd> = None;
    for name in parents {
        let at = directory.as_ref().map_or(root, AsFd::as_fd);
        directory = Some(fcntl::openat(at, name.as_c_str(), through, Mode::empty())?);
    }
    let at = directory.as_ref().map_or(root, AsFd::as_fd);
    fcntl::openat(at, last.as_c_str(), flags | OFlag::O_NOFOLLOW, Mode::empty())
}

/// Opens an object of a directory without reading it.
pub(super) fn locate_in(directory: BorrowedFd<'_>, name: &CStr) -> nix::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    fcntl::openat(directory, name, flags, Mode::empty())
}

/// Opens the located file for reading. Its kind was seen on this very object, so nothing else can be opened instead.
pub(super) fn reopen(located: &OwnedFd) -> nix::Result<File> {
    let path = format!("/proc/self/fd/{}", located.as_raw_fd());
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    fcntl::open(path.as_str(), flags, Mode::empty()).map(File::from)
}

pub(super) fn kind_of(stat: &FileStat) -> EntryKind {
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => EntryKind::File,
        SFlag::S_IFDIR => EntryKind::Directory,
        SFlag::S_IFLNK => EntryKind::Symlink,
        SFlag::S_IFIFO => EntryKind::Fifo,
        SFlag::S_IFSOCK => EntryKind::Socket,
        _ => EntryKind::Device,
    }
}

/// Describes an object. `target` reads the target of a link.
pub(super) fn entry_of(name: &[u8], stat: &FileStat, target: impl FnOnce() -> Option<Vec<u8>>) -> Entry {
    let kind = kind_of(stat);
    Entry {
        name: name.to_vec().into(),
        kind,
        size: if kind == EntryKind::File { size_of(stat) } else { 0 },
        modified: stat.st_mtime,
        mode: stat.st_mode & !libc::S_IFMT,
        target: if kind == EntryKind::Symlink { target().map(Into::into) } else { None },
    }
}

/// The size of a file in bytes, which is never negative.
pub(super) fn size_of(stat: &FileStat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

#[cfg(test)]
mod tests;
