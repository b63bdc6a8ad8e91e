//! The binary encoding. A WebSocket message is a sequence of frames. A frame is one byte for its kind, followed by its
//! fields in order: integers are little-endian, a sequence number (`seq`) is a u64, strings and byte arrays have a u32
//! length prefix, and an optional field has a prefix byte 0 or 1.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::files::Ticket;
use crate::frame::Numbered;
use crate::frame::{Down, DownFrame, Exit, Hello, LinkSecret, MAX_PIECE, SignalTarget, Start, Up, UpFrame, Welcome};
use crate::window::{Payload, SendWindow, WindowError};
use crate::{OLDEST_VERSION, PROTOCOL_VERSION};
use reader::Reader;

mod files;
mod reader;

/// A batch is sent once it has this many bytes. That is large enough to spread the cost of a message and its system
/// call over hundreds of lines, and small enough that the other end starts early.
pub(crate) const BATCH_BYTES: usize = 64 * 1024;

/// The maximum total length of the strings of one `Start`, in bytes: the limit of Linux for arguments and environment
/// of an `execve` under the usual stack limit of 8 MiB.
pub const MAX_START: usize = 2 * 1024 * 1024;

/// The maximum number of arguments, and of variables, of one `Start`. It bounds the allocation that a short message can
/// cause in the decoder.
pub const MAX_STRINGS: usize = 4096;

/// The maximum length of a message in bytes: a batch just below `BATCH_BYTES` plus the largest frame. Set it as the
/// WebSocket's message limit.
pub const MAX_MESSAGE: usize = BATCH_BYTES + MAX_START + 8 * MAX_STRINGS + 1024;

/// The maximum length of a secret, a reason or an error message, in bytes.
pub const MAX_TEXT: usize = 4096;

const HELLO: u8 = 1;
const WELCOME: u8 = 1;
const ACK: u8 = 2;
const REFUSED: u8 = 3;
const OPEN: u8 = 4;

const STDOUT: u8 = 16;
const STDERR: u8 = 17;
const STARTED: u8 = 18;
const START_FAILED: u8 = 19;
const EXITED: u8 = 20;
const DISK_FULL: u8 = 21;

const START: u8 = 16;
const STDIN: u8 = 17;
const CLOSE_STDIN: u8 = 18;
const SIGNAL: u8 = 19;

#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    #[error("the message ends inside a frame")]
    Truncated,
    #[error("unknown frame kind {0}")]
    Kind(u8),
    #[error("{value} is not a valid value of {field}")]
    Value { field: &'static str, value: u64 },
    #[error("{field} has length {length}; the limit is {limit}")]
    TooLong { field: &'static str, length: usize, limit: usize },
    #[error("{0} is not UTF-8")]
    Text(&'static str),
    #[error("{0} bytes follow the frame")]
    Excess(usize),
    #[error("the other end speaks protocol version {0}; this end speaks {OLDEST_VERSION} to {PROTOCOL_VERSION}")]
    Version(u32),
}

/// A frame that its direction numbers and keeps until it is acknowledged.
pub trait NumberedFrame: Payload {
    /// Appends the frame with its number to the batch.
    fn encode(&self, seq: u64, batch: &mut BytesMut);
}

/// Appends the frames after number `sent` to `batch` until it has `BATCH_BYTES`. Returns the number of the last frame
/// appended, or `sent` if there is none.
pub fn fill<T: NumberedFrame>(window: &SendWindow<T>, mut sent: u64, batch: &mut BytesMut) -> Result<u64, WindowError> {
    for (seq, frame) in window.frames_after(sent)? {
        if batch.len() >= BATCH_BYTES {
            break;
        }
        frame.encode(seq, batch);
        sent = seq;
    }
    Ok(sent)
}

impl Up {
    /// The frame as a message of its own.
    pub fn to_message(&self) -> Bytes {
        let mut batch = BytesMut::new();
        self.encode(&mut batch);
        batch.freeze()
    }

    /// Appends the frame to the batch.
    pub fn encode(&self, batch: &mut BytesMut) {
        match self {
            Self::Hello(hello) => {
                batch.put_u8(HELLO);
                batch.put_u32_le(hello.version);
                put_optional_text(batch, hello.secret.as_ref().map(LinkSecret::expose));
                batch.put_u64_le(hello.last_received);
                batch.put_u8(u8::from(hello.running));
            }
            Self::Output(Numbered { seq, frame }) => frame.encode(*seq, batch),
            Self::Ack { upto } => put_ack(batch, *upto),
        }
    }

    /// Decodes all frames of one message. Pieces share the message's memory.
    pub fn decode(message: Bytes) -> Result<Vec<Self>, DecodeError> {
        Reader::new(message).all(Self::read)
    }

    fn read(kind: u8, reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(match kind {
            HELLO => {
                let version = reader.u32()?;
                if !(OLDEST_VERSION..=PROTOCOL_VERSION).contains(&version) {
                    return Err(DecodeError::Version(version));
                }
                Self::Hello(Hello {
                    version,
                    secret: reader.optional_text("secret")?.map(LinkSecret::new),
                    last_received: reader.u64()?,
                    running: reader.flag("running")?,
                })
            }
            ACK => Self::Ack { upto: reader.u64()? },
            numbered => Self::Output(Numbered { seq: reader.seq()?, frame: UpFrame::read(numbered, reader)? }),
        })
    }
}

impl NumberedFrame for UpFrame {
    fn encode(&self, seq: u64, batch: &mut BytesMut) {
        match self {
            Self::Stdout { piece, ends_line } => {
                put_head(batch, STDOUT, seq);
                batch.put_u8(u8::from(*ends_line));
                put_bytes(batch, piece);
            }
            Self::Stderr { bytes } => {
                put_head(batch, STDERR, seq);
                put_bytes(batch, bytes);
            }
            Self::Started { pid } => {
                put_head(batch, STARTED, seq);
                batch.put_u32_le(*pid);
            }
            Self::StartFailed { message } => {
                put_head(batch, START_FAILED, seq);
                put_text(batch, message);
            }
            Self::Exited(exit) => {
                put_head(batch, EXITED, seq);
                put_optional_i32(batch, exit.code);
                put_optional_i32(batch, exit.signal);
                batch.put_u64_le(exit.oom_kills);
            }
            Self::DiskFull { used_bytes, limit_bytes } => {
                put_head(batch, DISK_FULL, seq);
                batch.put_u64_le(*used_bytes);
                batch.put_u64_le(*limit_bytes);
            }
        }
    }
}

impl UpFrame {
    fn read(kind: u8, reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(match kind {
            STDOUT => {
                let ends_line = reader.flag("ends_line")?;
                Self::Stdout { piece: reader.bytes("stdout", MAX_PIECE)?, ends_line }
            }
            STDERR => Self::Stderr { bytes: reader.bytes("stderr", MAX_PIECE)? },
            STARTED => Self::Started { pid: reader.u32()? },
            START_FAILED => Self::StartFailed { message: reader.text("message", MAX_TEXT)? },
            DISK_FULL => Self::DiskFull { used_bytes: reader.u64()?, limit_bytes: reader.u64()? },
            EXITED => Self::Exited(Exit {
                code: reader.optional_i32("code")?,
                signal: reader.optional_i32("signal")?,
                oom_kills: reader.u64()?,
            }),
            unknown => return Err(DecodeError::Kind(unknown)),
        })
    }
}

impl Down {
    /// The frame as a message of its own.
    pub fn to_message(&self) -> Bytes {
        let mut batch = BytesMut::new();
        self.encode(&mut batch);
        batch.freeze()
    }

    /// Appends the frame to the batch.
    pub fn encode(&self, batch: &mut BytesMut) {
        match self {
            Self::Welcome(welcome) => {
                batch.put_u8(WELCOME);
                put_optional_text(batch, welcome.secret.as_ref().map(LinkSecret::expose));
                batch.put_u64_le(welcome.last_received);
                batch.put_u64_le(welcome.orphan_ttl_ms);
            }
            Self::Refused { reason } => {
                batch.put_u8(REFUSED);
                put_text(batch, reason);
            }
            Self::Command(Numbered { seq, frame }) => frame.encode(*seq, batch),
            Self::Ack { upto } => put_ack(batch, *upto),
            Self::Open { ticket } => {
                batch.put_u8(OPEN);
                batch.put_slice(&ticket.0);
            }
        }
    }

    /// Decodes all frames of one message. Pieces share the message's memory.
    pub fn decode(message: Bytes) -> Result<Vec<Self>, DecodeError> {
        Reader::new(message).all(Self::read)
    }

    fn read(kind: u8, reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(match kind {
            WELCOME => Self::Welcome(Welcome {
                secret: reader.optional_text("secret")?.map(LinkSecret::new),
                last_received: reader.u64()?,
                orphan_ttl_ms: reader.u64()?,
            }),
            REFUSED => Self::Refused { reason: reader.text("reason", MAX_TEXT)? },
            OPEN => Self::Open { ticket: Ticket(reader.array()?) },
            ACK => Self::Ack { upto: reader.u64()? },
            numbered => Self::Command(Numbered { seq: reader.seq()?, frame: DownFrame::read(numbered, reader)? }),
        })
    }
}

impl NumberedFrame for DownFrame {
    fn encode(&self, seq: u64, batch: &mut BytesMut) {
        match self {
            Self::Start(start) => {
                put_head(batch, START, seq);
                put_bytes(batch, start.program.as_bytes());
                put_length(batch, start.arguments.len());
                for argument in &start.arguments {
                    put_bytes(batch, argument.as_bytes());
                }
                put_bytes(batch, start.directory.as_bytes());
                put_length(batch, start.environment.len());
                for (name, value) in &start.environment {
                    put_bytes(batch, name.as_bytes());
                    put_bytes(batch, value.as_bytes());
                }
            }
            Self::Stdin { piece, ends_line } => {
                put_head(batch, STDIN, seq);
                batch.put_u8(u8::from(*ends_line));
                put_bytes(batch, piece);
            }
            Self::CloseStdin => put_head(batch, CLOSE_STDIN, seq),
            Self::Signal { signal, target } => {
                put_head(batch, SIGNAL, seq);
                batch.put_i32_le(*signal);
                batch.put_u8(match target {
                    SignalTarget::Program => 0,
                    SignalTarget::Everything => 1,
                });
            }
        }
    }
}

impl DownFrame {
    fn read(kind: u8, reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(match kind {
            START => Self::Start(Start {
                program: reader.text("program", MAX_START)?,
                arguments: reader.list("arguments", |reader| reader.text("argument", MAX_START))?,
                directory: reader.text("directory", MAX_START)?,
                environment: reader.list("environment", |reader| {
                    Ok((reader.text("variable name", MAX_START)?, reader.text("variable", MAX_START)?))
                })?,
            }),
            STDIN => {
                let ends_line = reader.flag("ends_line")?;
                Self::Stdin { piece: reader.bytes("stdin", MAX_PIECE)?, ends_line }
            }
            CLOSE_STDIN => Self::CloseStdin,
            SIGNAL => Self::Signal {
                signal: reader.i32()?,
                target: if reader.flag("target")? { SignalTarget::Everything } else { SignalTarget::Program },
            },
            unknown => return Err(DecodeError::Kind(unknown)),
        })
    }
}

fn put_head(batch: &mut BytesMut, kind: u8, seq: u64) {
    batch.put_u8(kind);
    batch.put_u64_le(seq);
}

fn put_ack(batch: &mut BytesMut, upto: u64) {
    put_head(batch, ACK, upto);
}

fn put_length(batch: &mut BytesMut, length: usize) {
    // Senders respect the limits above, which are far below u32::MAX. If one did not, the length must not wrap to
    // another valid length.
    batch.put_u32_le(u32::try_from(length).unwrap_or(u32::MAX));
}

fn put_bytes(batch: &mut BytesMut, bytes: &[u8]) {
    put_length(batch, bytes.len());
    batch.put_slice(bytes);
}

/// Appends a text that this side generated, truncated at [`MAX_TEXT`] because error messages can be longer.
fn put_text(batch: &mut BytesMut, text: &str) {
    put_bytes(batch, &text.as_bytes()[..text.floor_char_boundary(MAX_TEXT)]);
}

fn put_optional_text(batch: &mut BytesMut, text: Option<&str>) {
    batch.put_u8(u8::from(text.is_some()));
    if let Some(text) = text {
        put_text(batch, text);
    }
}

fn put_optional_i32(batch: &mut BytesMut, value: Option<i32>) {
    batch.put_u8(u8::from(value.is_some()));
    if let Some(value) = value {
        batch.put_i32_le(value);
    }
}

#[cfg(test)]
mod tests;
