use std::os::fd::BorrowedFd;
use std::os::unix::ffi::OsStringExt;

use nix::errno::Errno;
use nix::fcntl::readlinkat;
use nix::sys::stat::{FileStat, fstat};
use sandbox_link::files::{EntryKind, MAX_DATA};
use tar::{EntryType, Header};

use super::exchange::{Exchange, Sender};
use super::failed::Failed;
use super::meter::Meter;
use super::place::{Path, Root, kind_of, locate_in, reopen, size_of};
use super::read::Exactly;
use super::walk::{Found, Visitor, walk};

const BLOCK: usize = 512;

/// The length of the fields for names in a header, in bytes. A longer name has an entry of its own before the header.
const NAME_FIELD: usize = 100;

/// Sends a file or directory as a tar archive. Devices, FIFOs and sockets are in it without content. A hard link is a
/// file of its own.
pub(super) fn pack(exchange: &mut Exchange, root: &Root, path: &Path, meter: &mut Meter) -> Result<(), Failed> {
    let name = root.name_of(path);
    let located = root.locate(path)?;
    let stat = fstat(&located).map_err(|errno| Failed::system(errno, name))?;
    meter.entry()?;
    let mut packer = Packer { archive: Sender::new(exchange), base: name.to_vec(), buffer: vec![0; MAX_DATA] };
    packer.append(&Object::Located(&located), name.to_vec(), &stat, meter)?;
    if kind_of(&stat) == EntryKind::Directory {
        walk(root.directory(path)?, meter, &mut packer)?;
    }
    packer.archive.write(&[0; 2 * BLOCK])?;
    packer.archive.flush()
}

struct Packer<'a> {
    archive: Sender<'a>,
    base: Vec<u8>,
    buffer: Vec<u8>,
}

/// The object that is packed: an opened one, or a name in a directory.
enum Object<'a> {
    Located(&'a std::os::fd::OwnedFd),
    Named(BorrowedFd<'a>, &'a std::ffi::CStr),
}

impl Visitor for Packer<'_> {
    fn found(&mut self, found: &Found<'_>, meter: &mut Meter) -> Result<(), Failed> {
        let path = [&self.base, b"/".as_slice(), found.prefix, found.name.to_bytes()].concat();
        self.append(&Object::Named(found.directory, found.name), path, found.stat, meter)
    }
}

impl Packer<'_> {
    fn append(&mut self, object: &Object<'_>, path: Vec<u8>, stat: &FileStat, meter: &mut Meter) -> Result<(), Failed> {
        match kind_of(stat) {
            EntryKind::File => self.file(object, &path, meter),
            EntryKind::Directory => {
                let mut path = path;
                path.push(b'/');
                self.header(EntryType::Directory, &path, None, 0, stat)
            }
            EntryKind::Symlink => {
                let target = match object {
                    Object::Located(located) => readlinkat(located, c""),
                    Object::Named(directory, name) => readlinkat(directory, *name),
                };
                // A link that was replaced meanwhile is left out.
                let Ok(target) = target else {
                    meter.skip();
                    return Ok(());
                };
                self.header(EntryType::Symlink, &path, Some(&target.into_vec()), 0, stat)
            }
            EntryKind::Fifo => self.header(EntryType::Fifo, &path, None, 0, stat),
            EntryKind::Socket | EntryKind::Device => self.header(EntryType::Char, &path, None, 0, stat),
        }
    }

    fn file(&mut self, object: &Object<'_>, path: &[u8], meter: &mut Meter) -> Result<(), Failed> {
        let opened = match object {
            Object::Located(located) => reopen(located).map(Some),
            Object::Named(directory, name) => locate_in(*directory, name).and_then(|located| {
                // The file may have become a FIFO since it was found.
                if kind_of(&fstat(&located)?) == EntryKind::File { reopen(&located).map(Some) } else { Ok(None) }
            }),
        };
        let file = match opened {
            Ok(Some(file)) => file,
            Ok(None) | Err(Errno::ENOENT | Errno::EACCES) => {
                meter.skip();
                return Ok(());
            }
            Err(errno) => return Err(Failed::system(errno, path)),
        };
        // The size and the content are those of the same object.
        let stat = fstat(&file).map_err(|errno| Failed::system(errno, path))?;
        let size = size_of(&stat);
        self.header(EntryType::Regular, path, None, size, &stat)?;
        let mut content = Exactly { reader: file, left: size };
        while content.left > 0 {
            let piece = content.next(&mut self.buffer).map_err(|error| Failed::content(&error, path))?;
            meter.bytes(piece.len() as u64)?;
            self.archive.write(piece)?;
        }
        self.pad(size)
    }

    fn header(
        &mut self,
        kind: EntryType,
        path: &[u8],
        target: Option<&[u8]>,
        size: u64,
        stat: &FileStat,
    ) -> Result<(), Failed> {
        self.long(EntryType::GNULongName, path)?;
        self.long(EntryType::GNULongLink, target.unwrap_or_default())?;
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(stat.st_mode & 0o7777);
        header.set_uid(stat.st_uid.into());
        header.set_gid(stat.st_gid.into());
        header.set_mtime(u64::try_from(stat.st_mtime).unwrap_or_default());
        header.set_size(size);
        put(&mut header.as_old_mut().name, path);
        put(&mut header.as_old_mut().linkname, target.unwrap_or_default());
        header.set_cksum();
        self.archive.write(header.as_bytes())
    }

    /// Writes a name that is too long for its field.
    fn long(&mut self, kind: EntryType, name: &[u8]) -> Result<(), Failed> {
        if name.len() <= NAME_FIELD {
            return Ok(());
        }
        let size = name.len() as u64 + 1;
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        put(&mut header.as_old_mut().name, b"././@LongLink");
        header.set_cksum();
        self.archive.write(header.as_bytes())?;
        self.archive.write(name)?;
        self.archive.write(&[0])?;
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> Result<(), Failed> {
        let rest = size.next_multiple_of(BLOCK as u64) - size;
        self.archive.write(&[0; BLOCK][..usize::try_from(rest).unwrap_or_default()])
    }
}

fn put(field: &mut [u8; NAME_FIELD], name: &[u8]) {
    let length = name.len().min(NAME_FIELD);
    field[..length].copy_from_slice(&name[..length]);
}
