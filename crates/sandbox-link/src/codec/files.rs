//! The encoding of the frames of [`crate::files`].

use bytes::{BufMut, Bytes, BytesMut};

use super::reader::Reader;
use super::{DecodeError, MAX_TEXT, put_bytes, put_length, put_text};
use crate::files::{
    Action, Bounds, Entry, EntryKind, Failure, FailureKind, FileFrame, FileRequest, MAX_DATA, MAX_NAME,
    MAX_PAGE_ENTRIES, MAX_PATH, Page, Summary,
};

const REQUEST: u8 = 1;
const DATA: u8 = 2;
const FOUND: u8 = 3;
const PAGE: u8 = 4;
const DONE: u8 = 5;
const FAILED: u8 = 6;

const LIST: u8 = 1;
const READ: u8 = 2;
const PACK: u8 = 3;
const UNPACK: u8 = 4;
const WRITE: u8 = 5;
const REMOVE: u8 = 6;
const MEASURE: u8 = 7;

const KINDS: [EntryKind; 6] =
    [EntryKind::File, EntryKind::Directory, EntryKind::Symlink, EntryKind::Fifo, EntryKind::Socket, EntryKind::Device];

const FAILURES: [FailureKind; 13] = [
    FailureKind::NotFound,
    FailureKind::Symlink,
    FailureKind::Special,
    FailureKind::File,
    FailureKind::Directory,
    FailureKind::Denied,
    FailureKind::Exists,
    FailureKind::NoSpace,
    FailureKind::TooLarge,
    FailureKind::TooSlow,
    FailureKind::Changed,
    FailureKind::Invalid,
    FailureKind::Other,
];

impl FileFrame {
    /// Appends the frame with its length in front.
    pub fn encode(&self, stream: &mut BytesMut) {
        let at = stream.len();
        stream.put_u32_le(0);
        match self {
            Self::Request(request) => {
                stream.put_u8(REQUEST);
                put_request(stream, request);
            }
            Self::Data(data) => {
                stream.put_u8(DATA);
                stream.put_slice(data);
            }
            Self::Found(entry) => {
                stream.put_u8(FOUND);
                put_entry(stream, entry);
            }
            Self::Page(page) => {
                stream.put_u8(PAGE);
                stream.put_u8(u8::from(page.more));
                stream.put_u8(u8::from(page.truncated));
                put_length(stream, page.entries.len());
                for entry in &page.entries {
                    put_entry(stream, entry);
                }
            }
            Self::Done(Summary { bytes, entries, skipped }) => {
                stream.put_u8(DONE);
                stream.put_u64_le(*bytes);
                stream.put_u64_le(*entries);
                stream.put_u64_le(*skipped);
            }
            Self::Failed(Failure { kind, message }) => {
                stream.put_u8(FAILED);
                stream.put_u8(place(&FAILURES, kind));
                put_text(stream, message);
            }
        }
        // Senders respect MAX_FILE_FRAME. A wrong length must not wrap to a valid one.
        let length = u32::try_from(stream.len() - at - 4).unwrap_or(u32::MAX);
        stream[at..at + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// Decodes a frame without its length. Data shares the frame's memory.
    pub fn decode(frame: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(frame);
        let frame = match reader.u8()? {
            REQUEST => Self::Request(read_request(&mut reader)?),
            DATA => Self::Data(reader.rest("data", MAX_DATA)?),
            FOUND => Self::Found(read_entry(&mut reader)?),
            PAGE => Self::Page(Page {
                more: reader.flag("more")?,
                truncated: reader.flag("truncated")?,
                entries: reader.list_of("entries", MAX_PAGE_ENTRIES, read_entry)?,
            }),
            DONE => Self::Done(Summary { bytes: reader.u64()?, entries: reader.u64()?, skipped: reader.u64()? }),
            FAILED => Self::Failed(Failure {
                kind: at(&FAILURES, "failure", reader.u8()?)?,
                message: reader.text("message", MAX_TEXT)?,
            }),
            unknown => return Err(DecodeError::Kind(unknown)),
        };
        reader.end()?;
        Ok(frame)
    }
}

fn put_request(stream: &mut BytesMut, request: &FileRequest) {
    put_bytes(stream, request.root.as_bytes());
    put_bytes(stream, &request.path);
    stream.put_u64_le(request.bounds.bytes);
    stream.put_u64_le(request.bounds.entries);
    stream.put_u32_le(request.bounds.depth);
    stream.put_u64_le(request.bounds.time_ms);
    match &request.action {
        Action::List { after, limit } => {
            stream.put_u8(LIST);
            put_optional_bytes(stream, after.as_ref());
            stream.put_u32_le(*limit);
        }
        Action::Read { offset, length } => {
            stream.put_u8(READ);
            stream.put_u64_le(*offset);
            stream.put_u64_le(*length);
        }
        Action::Pack => stream.put_u8(PACK),
        Action::Unpack => stream.put_u8(UNPACK),
        Action::Write { mode } => {
            stream.put_u8(WRITE);
            stream.put_u32_le(*mode);
        }
        Action::Remove => stream.put_u8(REMOVE),
        Action::Measure => stream.put_u8(MEASURE),
    }
}

fn read_request(reader: &mut Reader) -> Result<FileRequest, DecodeError> {
    Ok(FileRequest {
        root: reader.text("root", MAX_PATH)?,
        path: reader.bytes("path", MAX_PATH)?,
        bounds: Bounds { bytes: reader.u64()?, entries: reader.u64()?, depth: reader.u32()?, time_ms: reader.u64()? },
        action: match reader.u8()? {
            LIST => Action::List { after: read_optional_bytes(reader, "after", MAX_NAME)?, limit: reader.u32()? },
            READ => Action::Read { offset: reader.u64()?, length: reader.u64()? },
            PACK => Action::Pack,
            UNPACK => Action::Unpack,
            WRITE => Action::Write { mode: reader.u32()? },
            REMOVE => Action::Remove,
            MEASURE => Action::Measure,
            value => return Err(DecodeError::Value { field: "action", value: value.into() }),
        },
    })
}

fn put_entry(stream: &mut BytesMut, entry: &Entry) {
    put_bytes(stream, &entry.name);
    stream.put_u8(place(&KINDS, &entry.kind));
    stream.put_u64_le(entry.size);
    stream.put_i64_le(entry.modified);
    stream.put_u32_le(entry.mode);
    put_optional_bytes(stream, entry.target.as_ref());
}

fn read_entry(reader: &mut Reader) -> Result<Entry, DecodeError> {
    Ok(Entry {
        name: reader.bytes("name", MAX_NAME)?,
        kind: at(&KINDS, "kind", reader.u8()?)?,
        size: reader.u64()?,
        modified: reader.i64()?,
        mode: reader.u32()?,
        target: read_optional_bytes(reader, "target", MAX_PATH)?,
    })
}

fn put_optional_bytes(stream: &mut BytesMut, bytes: Option<&Bytes>) {
    stream.put_u8(u8::from(bytes.is_some()));
    if let Some(bytes) = bytes {
        put_bytes(stream, bytes);
    }
}

fn read_optional_bytes(reader: &mut Reader, field: &'static str, limit: usize) -> Result<Option<Bytes>, DecodeError> {
    if reader.flag(field)? { reader.bytes(field, limit).map(Some) } else { Ok(None) }
}

fn place<T: PartialEq>(values: &[T], value: &T) -> u8 {
    // Each list has every value of its type and is short.
    values.iter().position(|known| known == value).and_then(|at| u8::try_from(at).ok()).unwrap_or(u8::MAX)
}

fn at<T: Copy>(values: &[T], field: &'static str, value: u8) -> Result<T, DecodeError> {
    values.get(usize::from(value)).copied().ok_or(DecodeError::Value { field, value: value.into() })
}
