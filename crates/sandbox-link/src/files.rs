//! Requests for the files of a sandbox, and their answers. Each request has a connection of its own, so that a large
//! file never delays the agent's lines.
//!
//! ```text
//! coordinator                                    sandbox-init
//!   Down::Open{ticket} on the link           ──▶
//!                                            ◀──  connects to `files.sock`, sends the ticket's 16 bytes
//!   Request                                  ──▶
//!   Unpack, Write:  Data*, Done              ──▶
//!                                            ◀──  List: Page                 Read: Found, Data*, Done
//!                                            ◀──  Pack: Data*, Done          others: Done
//!                                            ◀──  Failed, at any time, instead of the rest
//! ```
//!
//! Each frame is preceded by its length, a little-endian u32. A stream that ends without `Done` or `Failed` is incomplete.

use std::fmt;

use bytes::Bytes;

/// The first version of the protocol with [`Down::Open`](crate::frame::Down::Open).
pub const FILES_VERSION: u32 = 2;

/// The maximum number of concurrent requests of one sandbox. sandbox-init has as many threads.
pub const MAX_STREAMS: usize = 6;

/// The maximum length of the data in one frame, in bytes.
pub const MAX_DATA: usize = 64 * 1024;

/// The maximum length of a path and of a link's target in bytes: `PATH_MAX` of Linux without the terminating zero.
pub const MAX_PATH: usize = 4095;

/// The maximum length of a name in bytes: `NAME_MAX` of Linux.
pub const MAX_NAME: usize = 255;

/// The maximum number of entries in a page.
pub const MAX_PAGE_ENTRIES: usize = 10_000;

/// A page is full once its entries have this many bytes, so a page of long links is shorter.
pub const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// The maximum length of a frame: a page with the largest entry on top of a nearly full one, or data.
pub const MAX_FILE_FRAME: usize = MAX_PAGE_BYTES + MAX_PATH + MAX_NAME + 128;

/// Matches a connection of sandbox-init with the request that waits for it. It is random, so that the agent, which can
/// connect to the same socket, cannot take part in a request.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket(pub [u8; 16]);

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileRequest {
    /// An absolute directory. It is opened without following a link in its last component.
    pub root: String,
    /// The components below the root, separated by `/`; empty for the root itself. It may not be UTF-8.
    pub path: Bytes,
    pub bounds: Bounds,
    pub action: Action,
}

/// The bounds of a request. sandbox-init has bounds of its own, and the smaller one holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes of content that are read or written.
    pub bytes: u64,
    /// Files and directories that are looked at.
    pub entries: u64,
    /// Directories in each other below the path. What is deeper is left out and counted as skipped.
    pub depth: u32,
    pub time_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Lists a directory in the byte order of names.
    List {
        /// Only names after this one.
        after: Option<Bytes>,
        /// The maximum number of entries, at most [`MAX_PAGE_ENTRIES`].
        limit: u32,
    },
    /// Reads a part of a file. The part ends with the file.
    Read { offset: u64, length: u64 },
    /// Packs a file or directory as a tar archive. The paths in it begin with the last component of the path, or of the
    /// root.
    Pack,
    /// Unpacks a tar archive below a directory, which must exist.
    Unpack,
    /// Replaces or creates a file. Its directory must exist.
    Write { mode: u32 },
    /// Removes a file, or a directory with all its content. A missing one is not an error.
    Remove,
    /// Adds up what the files below a directory use on the disk.
    Measure,
}

#[derive(Clone, PartialEq, Eq)]
pub enum FileFrame {
    Request(FileRequest),
    /// At most [`MAX_DATA`] bytes.
    Data(Bytes),
    /// The file that is read.
    Found(Entry),
    Page(Page),
    /// Everything was sent or done.
    Done(Summary),
    Failed(Failure),
}

/// A file, a directory, or another object of the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The last component of the path. It may not be UTF-8.
    pub name: Bytes,
    pub kind: EntryKind,
    /// In bytes; 0 for everything but files.
    pub size: u64,
    /// Seconds since 1970.
    pub modified: i64,
    /// Permission bits, with set-user-id, set-group-id and sticky bit.
    pub mode: u32,
    /// The target of a symbolic link.
    pub target: Option<Bytes>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Directory,
    Symlink,
    Fifo,
    Socket,
    Device,
}

/// A part of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// More names follow the last one.
    pub more: bool,
    /// The directory was too large to be read to its end within the bounds, so names may be missing anywhere.
    pub truncated: bool,
}

/// The work that a request has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub bytes: u64,
    pub entries: u64,
    /// Entries that could not be read, for example for their mode, and are left out.
    pub skipped: u64,
}

/// The reason why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    /// For [`FailureKind::Symlink`] and [`FailureKind::Special`] the component; otherwise an error message.
    pub message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    NotFound,
    /// A component of the path is a symbolic link.
    Symlink,
    /// A FIFO, a socket or a device.
    Special,
    /// A file where a directory is expected.
    File,
    /// A directory where a file is expected.
    Directory,
    /// The agent's user has no access.
    Denied,
    /// Something else has the name.
    Exists,
    NoSpace,
    /// A bound of bytes or entries, or the depth of an archive.
    TooLarge,
    TooSlow,
    /// The file was replaced or became shorter meanwhile.
    Changed,
    /// The request or its archive is malformed.
    Invalid,
    Other,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = &self.message;
        match self.kind {
            FailureKind::Symlink => write!(f, "{message:?} is a symbolic link, which is not followed"),
            FailureKind::Special => write!(f, "{message:?} is neither a file nor a directory"),
            FailureKind::NotFound
            | FailureKind::File
            | FailureKind::Directory
            | FailureKind::Denied
            | FailureKind::Exists
            | FailureKind::NoSpace
            | FailureKind::TooLarge
            | FailureKind::TooSlow
            | FailureKind::Changed
            | FailureKind::Invalid
            | FailureKind::Other => f.write_str(message),
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(..)")
    }
}

// Files may contain secrets, so `Debug` prints the size of data only.
impl fmt::Debug for FileFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(request) => f.debug_tuple("Request").field(request).finish(),
            Self::Data(data) => f.debug_struct("Data").field("bytes", &data.len()).finish(),
            Self::Found(entry) => f.debug_tuple("Found").field(entry).finish(),
            Self::Page(page) => f.debug_tuple("Page").field(page).finish(),
            Self::Done(summary) => f.debug_tuple("Done").field(summary).finish(),
            Self::Failed(failure) => f.debug_tuple("Failed").field(failure).finish(),
        }
    }
}
