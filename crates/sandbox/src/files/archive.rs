//! Reads a tar archive entry by entry, never as a whole in memory. An agent wrote its content.

use bytes::{Bytes, BytesMut};
use link::FilesError;
use sandbox_link::files;
use tokio::sync::mpsc;

const BLOCK: usize = 512;

/// The maximum size of headers that carry long names and attributes. A path has at most 4096 bytes, an attribute 64
/// KiB.
const MAX_EXTENSION_BYTES: u64 = 1024 * 1024;

/// The reason why an archive could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error("the archive is malformed: {0}")]
    Malformed(&'static str),
    /// The time limit was reached, or the files were removed.
    #[error("the archive was truncated")]
    Cut,
    /// The sandbox could not read the files, or ended.
    #[error(transparent)]
    Files(#[from] FilesError),
}

/// The header of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveEntry {
    /// The path in the archive: `workspace/src/main.rs`. It may not be UTF-8.
    pub path: Vec<u8>,
    pub kind: EntryKind,
    /// The size of the content that follows, in bytes; 0 for all kinds but files.
    pub size: u64,
    /// Seconds since 1970.
    pub modified: i64,
    /// Permission bits.
    pub mode: u32,
    /// The target of a link.
    pub target: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Directory,
    Symlink,
    HardLink,
    Other,
}

impl From<files::EntryKind> for EntryKind {
    fn from(kind: files::EntryKind) -> Self {
        match kind {
            files::EntryKind::File => EntryKind::File,
            files::EntryKind::Directory => EntryKind::Directory,
            files::EntryKind::Symlink => EntryKind::Symlink,
            files::EntryKind::Fifo | files::EntryKind::Socket | files::EntryKind::Device => EntryKind::Other,
        }
    }
}

/// An archive that is being read. It can be dropped at any time.
#[derive(Debug)]
pub struct WorkspaceArchive {
    pieces: mpsc::Receiver<Result<Bytes, FilesError>>,
    buffer: BytesMut,
    /// Unread bytes of the current entry's content. `padding` is the rest of its last block.
    content: u64,
    padding: u64,
    /// Number of bytes received, including contents.
    taken: u64,
}

/// Values from the extension headers that precede an entry.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    modified: Option<i64>,
}

impl WorkspaceArchive {
    pub(super) fn new(pieces: mpsc::Receiver<Result<Bytes, FilesError>>) -> Self {
        WorkspaceArchive { pieces, buffer: BytesMut::new(), content: 0, padding: 0, taken: 0 }
    }

    /// Number of bytes received so far.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// Returns the next entry and skips unread content of the current one. `None` at the end.
    pub async fn next(&mut self) -> Result<Option<ArchiveEntry>, ArchiveError> {
        let mut extensions = Extensions::default();
        loop {
            self.skip_content().await?;
            self.skip_padding().await?;
            let Some(block) = self.exactly(BLOCK).await? else { return Ok(None) };
            if block.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            let mut header = tar::Header::new_old();
            header.as_mut_bytes().copy_from_slice(&block);
            Self::check(&header)?;
            let kind = header.entry_type();
            let size = header.entry_size().map_err(|_| ArchiveError::Malformed("a size"))?;
            if kind.is_gnu_longname() || kind.is_gnu_longlink() || kind.is_pax_local_extensions() {
                let text = self.extension(size).await?;
                if kind.is_gnu_longname() {
                    extensions.path = Some(until_nul(&text));
                } else if kind.is_gnu_longlink() {
                    extensions.target = Some(until_nul(&text));
                } else {
                    extensions.take_pax(&text);
                }
                continue;
            }
            if kind.is_pax_global_extensions() {
                self.begin(size);
                continue;
            }
            let entry = extensions.entry(&header, size)?;
            self.begin(if has_content(kind) { extensions.size.unwrap_or(size) } else { 0 });
            return Ok(Some(entry));
        }
    }

    /// Returns the next piece of the current entry's content; `None` at its end.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, ArchiveError> {
        if self.content == 0 {
            return Ok(None);
        }
        if self.buffer.is_empty() && !self.fill().await? {
            return Err(ArchiveError::Cut);
        }
        let length = self.buffer.len().min(usize::try_from(self.content).unwrap_or(usize::MAX));
        self.content -= length as u64;
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    fn begin(&mut self, size: u64) {
        self.content = size;
        self.padding = size.next_multiple_of(BLOCK as u64) - size;
    }

    fn check(header: &tar::Header) -> Result<(), ArchiveError> {
        let bytes = header.as_bytes();
        let sum: u32 = bytes
            .iter()
            .enumerate()
            .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) })
            .sum();
        let stated = header.cksum().map_err(|_| ArchiveError::Malformed("a checksum"))?;
        if sum == stated { Ok(()) } else { Err(ArchiveError::Malformed("a checksum that is wrong")) }
    }

    async fn extension(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        if size > MAX_EXTENSION_BYTES {
            return Err(ArchiveError::Malformed("a header that is too long"));
        }
        self.begin(size);
        let mut text = Vec::new();
        while let Some(piece) = self.piece().await? {
            text.extend_from_slice(&piece);
        }
        Ok(text)
    }

    /// Skips the rest of the current entry's content without copying it.
    async fn skip_content(&mut self) -> Result<(), ArchiveError> {
        while self.content > 0 {
            if self.buffer.is_empty() {
                let mut piece = self.receive().await?.ok_or(ArchiveError::Cut)?;
                let length = usize::try_from(self.content).unwrap_or(usize::MAX).min(piece.len());
                self.content -= length as u64;
                self.buffer.extend_from_slice(&piece.split_off(length));
            } else {
                self.piece().await?;
            }
        }
        Ok(())
    }

    async fn skip_padding(&mut self) -> Result<(), ArchiveError> {
        let padding = usize::try_from(std::mem::take(&mut self.padding)).unwrap_or_default();
        match self.exactly(padding).await? {
            Some(_) => Ok(()),
            None => Err(ArchiveError::Cut),
        }
    }

    /// Returns exactly `length` bytes, or `None` if the archive ends before the first.
    async fn exactly(&mut self, length: usize) -> Result<Option<Bytes>, ArchiveError> {
        while self.buffer.len() < length {
            if !self.fill().await? {
                return if self.buffer.is_empty() { Ok(None) } else { Err(ArchiveError::Cut) };
            }
        }
        Ok(Some(self.buffer.split_to(length).freeze()))
    }

    async fn fill(&mut self) -> Result<bool, ArchiveError> {
        let Some(piece) = self.receive().await? else { return Ok(false) };
        self.buffer.extend_from_slice(&piece);
        Ok(true)
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, ArchiveError> {
        let piece = self.pieces.recv().await.transpose()?;
        self.taken += piece.as_ref().map_or(0, Bytes::len) as u64;
        Ok(piece)
    }
}

impl Extensions {
    /// Parses PAX records, `LENGTH name=value\n`. It splits by length, not by line, because a name may contain line
    /// breaks.
    fn take_pax(&mut self, mut text: &[u8]) {
        while let Some(space) = text.iter().position(|byte| *byte == b' ') {
            let length = std::str::from_utf8(&text[..space]).ok().and_then(|digits| digits.parse::<usize>().ok());
            let Some((record, rest)) = length.and_then(|length| text.split_at_checked(length)) else { return };
            text = rest;
            let Some(record) = record.get(space + 1..).and_then(|record| record.strip_suffix(b"\n")) else { return };
            let Some(equals) = record.iter().position(|byte| *byte == b'=') else { return };
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            let number = || std::str::from_utf8(value).ok();
            match key {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.target = Some(value.to_vec()),
                b"size" => self.size = number().and_then(|text| text.parse().ok()),
                b"mtime" => {
                    self.modified = number().and_then(|text| text.split('.').next()).and_then(|text| text.parse().ok());
                }
                _ => {}
            }
        }
    }

    fn entry(&self, header: &tar::Header, size: u64) -> Result<ArchiveEntry, ArchiveError> {
        let kind = header.entry_type();
        let kind = match kind {
            tar::EntryType::Directory => EntryKind::Directory,
            tar::EntryType::Symlink => EntryKind::Symlink,
            tar::EntryType::Link => EntryKind::HardLink,
            kind if has_content(kind) => EntryKind::File,
            _ => EntryKind::Other,
        };
        let target = self.target.clone().or_else(|| header.link_name_bytes().map(std::borrow::Cow::into_owned));
        let seconds = || header.mtime().ok().and_then(|seconds| i64::try_from(seconds).ok());
        Ok(ArchiveEntry {
            path: self.path.clone().unwrap_or_else(|| header.path_bytes().into_owned()),
            kind,
            size: if kind == EntryKind::File { self.size.unwrap_or(size) } else { 0 },
            modified: self.modified.or_else(seconds).unwrap_or_default(),
            mode: header.mode().map_err(|_| ArchiveError::Malformed("a mode"))? & 0o7777,
            target: target.filter(|_| matches!(kind, EntryKind::Symlink | EntryKind::HardLink)),
        })
    }
}

fn has_content(kind: tar::EntryType) -> bool {
    matches!(kind, tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse)
}

fn until_nul(text: &[u8]) -> Vec<u8> {
    text.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
}

#[cfg(test)]
mod tests;
