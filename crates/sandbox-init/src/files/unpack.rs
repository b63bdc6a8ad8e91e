use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};

use bytes::{Buf, Bytes};
use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::sys::stat::{Mode, fchmod, futimens, mkdirat};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};
use sandbox_link::files::{FailureKind, MAX_DATA};
use tar::{Archive, Entry, EntryType};

use super::exchange::Exchange;
use super::failed::Failed;
use super::meter::Meter;
use super::place::{Path, Root, open_beneath, parse};

/// Unpacks a tar archive of files, directories and symbolic links. It replaces files and links, keeps directories, and
/// follows no link, also none that the archive itself contains.
pub(super) fn unpack(exchange: &mut Exchange, root: &Root, path: &Path, meter: &mut Meter) -> Result<(), Failed> {
    let base = root.directory(path)?;
    let mut content = Content { exchange, piece: Bytes::new(), failed: None };
    let outcome = unpack_entries(&mut content, &base, meter);
    if let Some(failed) = content.failed {
        return Err(failed);
    }
    outcome
}

fn unpack_entries(content: &mut Content<'_>, base: &OwnedFd, meter: &mut Meter) -> Result<(), Failed> {
    let mut archive = Archive::new(&mut *content);
    for entry in archive.entries().map_err(|error| malformed(&error))? {
        let mut entry = entry.map_err(|error| malformed(&error))?;
        meter.entry()?;
        let path = path_of(&entry)?;
        let Some((name, parents)) = path.split_last() else { continue };
        if !meter.allows_depth(parents.len()) {
            return Err(Failed::new(FailureKind::TooLarge, "the archive has too many directories in each other"));
        }
        let parent = directory(base, parents)?;
        let made = match entry.header().entry_type() {
            EntryType::Directory => make_directory(&parent, name, &entry),
            EntryType::Regular | EntryType::Continuous => write_file(&parent, name, &mut entry, meter),
            EntryType::Symlink => link(&parent, name, &entry),
            EntryType::XGlobalHeader => Ok(()),
            _ => Err(Failed::new(
                FailureKind::Invalid,
                "the archive has something else than files, directories and links",
            )),
        };
        made?;
    }
    // An archive counts only if the coordinator has sent all of it.
    io::copy(archive.into_inner(), &mut io::sink()).map_err(|error| malformed(&error))?;
    Ok(())
}

fn path_of(entry: &Entry<'_, impl Read>) -> Result<Path, Failed> {
    let path = entry.path_bytes();
    let path = path.strip_prefix(b"./").unwrap_or(&path);
    let path = path.strip_suffix(b"/").unwrap_or(path);
    if path == b"." { Ok(Path::new()) } else { parse(path) }
}

/// Opens a directory below `base`, and makes those that are missing.
fn directory(base: &OwnedFd, path: &[CString]) -> Result<OwnedFd, Failed> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    match open_beneath(base.as_fd(), path, flags) {
        Err(Errno::ENOENT) => {}
        found => return found.map_err(|errno| failed(errno, path)),
    }
    for end in 1..=path.len() {
        let parent = open_beneath(base.as_fd(), &path[..end - 1], flags).map_err(|errno| failed(errno, path))?;
        match mkdirat(&parent, path[end - 1].as_c_str(), Mode::from_bits_truncate(0o755)) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(failed(errno, &path[..end])),
        }
    }
    open_beneath(base.as_fd(), path, flags).map_err(|errno| failed(errno, path))
}

fn make_directory(parent: &OwnedFd, name: &CStr, entry: &Entry<'_, impl Read>) -> Result<(), Failed> {
    let failed = |errno| Failed::system(errno, name.to_bytes());
    match mkdirat(parent, name, Mode::from_bits_truncate(0o755)) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(failed(errno)),
    }
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let made = fcntl::openat(parent, name, flags, Mode::empty()).map_err(failed)?;
    fchmod(&made, mode_of(entry)?).map_err(failed)
}

fn write_file(
    parent: &OwnedFd,
    name: &CStr,
    entry: &mut Entry<'_, impl Read>,
    meter: &mut Meter,
) -> Result<(), Failed> {
    let (mode, modified) = (mode_of(entry)?, entry.header().mtime().unwrap_or_default());
    let mut file = replace(parent, name)?;
    let mut buffer = vec![0; MAX_DATA.min(usize::try_from(entry.size()).unwrap_or(MAX_DATA))];
    let mut left = entry.size();
    while left > 0 {
        let count = entry.read(&mut buffer).map_err(|error| malformed(&error))?;
        if count == 0 {
            return Err(Failed::new(FailureKind::Invalid, "the archive ends within a file"));
        }
        meter.bytes(count as u64)?;
        file.write_all(&buffer[..count]).map_err(|error| Failed::content(&error, name.to_bytes()))?;
        left -= count as u64;
    }
    let failed = |errno| Failed::system(errno, name.to_bytes());
    fchmod(&file, mode).map_err(failed)?;
    let modified = TimeSpec::new(i64::try_from(modified).unwrap_or_default(), 0);
    futimens(&file, &modified, &modified).map_err(failed)
}

/// Creates a file in the place of another one or of a link.
pub(super) fn replace(parent: &OwnedFd, name: &CStr) -> Result<File, Failed> {
    let failed = |errno| Failed::system(errno, name.to_bytes());
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let create = || fcntl::openat(parent, name, flags, Mode::from_bits_truncate(0o600));
    let created = match create() {
        Err(Errno::EEXIST) => {
            remove(parent, name)?;
            create()
        }
        created => created,
    };
    created.map(File::from).map_err(failed)
}

fn link(parent: &OwnedFd, name: &CStr, entry: &Entry<'_, impl Read>) -> Result<(), Failed> {
    let target = entry.link_name_bytes().unwrap_or_default();
    let failed = |errno| Failed::system(errno, name.to_bytes());
    match symlinkat(&*target, parent, name) {
        Err(Errno::EEXIST) => {
            remove(parent, name)?;
            symlinkat(&*target, parent, name).map_err(failed)
        }
        made => made.map_err(failed),
    }
}

fn remove(parent: &OwnedFd, name: &CStr) -> Result<(), Failed> {
    match unlinkat(parent, name, UnlinkatFlags::NoRemoveDir) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(Failed::system(errno, name.to_bytes())),
    }
}

/// The permissions to read, write and execute.
fn mode_of(entry: &Entry<'_, impl Read>) -> Result<Mode, Failed> {
    let mode = entry.header().mode().map_err(|error| malformed(&error))?;
    Ok(Mode::from_bits_truncate(mode & 0o777))
}

fn failed(errno: Errno, path: &[CString]) -> Failed {
    Failed::system(errno, path.last().map_or(b"", |name| name.as_bytes()))
}

fn malformed(error: &io::Error) -> Failed {
    Failed::new(FailureKind::Invalid, format!("the archive is malformed: {error}"))
}

/// The archive as it comes from the coordinator.
struct Content<'a> {
    exchange: &'a mut Exchange,
    piece: Bytes,
    /// The reason of an error that [`Read`] reported.
    failed: Option<Failed>,
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.exchange.content() {
                Ok(Some(piece)) => self.piece = piece,
                Ok(None) => return Ok(0),
                Err(failed) => {
                    self.failed = Some(failed);
                    return Err(io::Error::from(io::ErrorKind::ConnectionAborted));
                }
            }
        }
        let count = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
