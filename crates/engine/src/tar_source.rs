use std::fmt;
use std::io;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt as _;
use futures::stream::{self, BoxStream, StreamExt as _};

use crate::EngineError;

/// An archive from the engine, in pieces.
pub type TarStream = BoxStream<'static, Result<Bytes, EngineError>>;

/// An archive for the engine: complete, or in pieces if it is too large for memory.
pub enum TarSource {
    Bytes(Bytes),
    Stream(BoxStream<'static, io::Result<Bytes>>),
}

impl TarSource {
    /// The archive in pieces. A complete archive is one piece.
    pub fn into_stream(self) -> BoxStream<'static, io::Result<Bytes>> {
        match self {
            Self::Bytes(bytes) => stream::once(async { Ok(bytes) }).boxed(),
            Self::Stream(stream) => stream,
        }
    }

    /// The complete archive in memory.
    pub(crate) async fn collect(self) -> io::Result<Bytes> {
        match self {
            Self::Bytes(bytes) => Ok(bytes),
            Self::Stream(stream) => Ok(stream.try_collect::<BytesMut>().await?.freeze()),
        }
    }
}

impl From<Vec<u8>> for TarSource {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes.into())
    }
}

impl From<Bytes> for TarSource {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

impl fmt::Debug for TarSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "TarSource::Bytes({} bytes)", bytes.len()),
            Self::Stream(_) => f.write_str("TarSource::Stream"),
        }
    }
}
