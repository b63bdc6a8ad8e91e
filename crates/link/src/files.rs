//! Requests for the files of a sandbox. sandbox-init serves them in the container, as the agent's user; nothing here
//! opens a path.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt};
use sandbox_link::codec::DecodeError;
use sandbox_link::files::{
    Action, Bounds, Entry, Failure, FailureKind, FileFrame, FileRequest, MAX_DATA, MAX_FILE_FRAME, Page, Summary,
};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::handle::Link;
use super::stream::LinkStream;

/// The time beyond the bound of a request in which its answer arrives.
const ANSWER_GRACE: Duration = Duration::from_secs(5);

/// The reason why a request for files failed.
#[derive(Debug, Error)]
pub enum FilesError {
    /// The sandbox has an earlier version of sandbox-init, which serves no files.
    #[error("the sandbox was started by an earlier version, which serves no files")]
    Outdated,
    #[error("the sandbox did not open a stream for files in time")]
    NotOpened,
    #[error("the link is closed")]
    Closed,
    #[error("{0}")]
    Failed(Failure),
    #[error("the request has {bytes} bytes; the limit is {limit}")]
    TooLarge { bytes: usize, limit: usize },
    /// The content for the sandbox could not be read.
    #[error("could not read what goes to the sandbox")]
    Source(#[source] io::Error),
    #[error("the stream of files broke")]
    Broken(#[source] io::Error),
    #[error("the sandbox sent a malformed answer")]
    Decode(#[from] DecodeError),
    #[error("the sandbox sent an unexpected answer")]
    OutOfPlace,
    #[error("the sandbox did not answer in time")]
    Timeout,
}

impl FilesError {
    /// The kind of a failure that sandbox-init reported.
    pub fn failure(&self) -> Option<FailureKind> {
        match self {
            FilesError::Failed(failure) => Some(failure.kind),
            FilesError::Outdated
            | FilesError::NotOpened
            | FilesError::Closed
            | FilesError::TooLarge { .. }
            | FilesError::Source(_)
            | FilesError::Broken(_)
            | FilesError::Decode(_)
            | FilesError::OutOfPlace
            | FilesError::Timeout => None,
        }
    }
}

/// The path that a request concerns, and its bounds.
#[derive(Clone, Debug)]
pub struct FilePlace {
    /// An absolute directory in the sandbox.
    pub root: String,
    /// The path below it; empty for the root itself.
    pub path: Vec<u8>,
    pub bounds: Bounds,
}

/// The content of a file, or an archive, as it arrives. Dropping it ends the request.
#[derive(Debug)]
pub struct FileContent {
    exchange: Exchange,
    summary: Option<Summary>,
}

impl Link {
    /// False if the sandbox has an earlier version of sandbox-init, which serves no files. `None` before its first
    /// connection.
    pub fn serves_files(&self) -> Option<bool> {
        self.streams().are_served()
    }

    /// Lists a directory in the byte order of names, after the name `after`.
    pub async fn list_files(&self, place: &FilePlace, after: Option<Bytes>, limit: u32) -> Result<Page, FilesError> {
        match self.ask(place, Action::List { after, limit }).await? {
            (FileFrame::Page(page), mut exchange) => {
                timeout(ANSWER_GRACE, exchange.done()).await.map_err(|_| FilesError::Timeout)??;
                Ok(page)
            }
            _ => Err(FilesError::OutOfPlace),
        }
    }

    /// Reads a part of a file. The entry describes the whole file.
    pub async fn read_file(
        &self,
        place: &FilePlace,
        offset: u64,
        length: u64,
    ) -> Result<(Entry, FileContent), FilesError> {
        match self.ask(place, Action::Read { offset, length }).await? {
            (FileFrame::Found(entry), exchange) => Ok((entry, FileContent { exchange, summary: None })),
            _ => Err(FilesError::OutOfPlace),
        }
    }

    /// Packs a file or directory as a tar archive.
    pub async fn pack_files(&self, place: &FilePlace) -> Result<FileContent, FilesError> {
        let exchange = self.request(place, Action::Pack).await?;
        Ok(FileContent { exchange, summary: None })
    }

    /// Unpacks a tar archive below a directory.
    pub async fn unpack_files(
        &self,
        place: &FilePlace,
        archive: impl Stream<Item = io::Result<Bytes>> + Send,
    ) -> Result<Summary, FilesError> {
        self.request(place, Action::Unpack).await?.send_content(archive).await
    }

    /// Replaces or creates a file.
    pub async fn write_file(
        &self,
        place: &FilePlace,
        mode: u32,
        content: impl Stream<Item = io::Result<Bytes>> + Send,
    ) -> Result<Summary, FilesError> {
        self.request(place, Action::Write { mode }).await?.send_content(content).await
    }

    /// Removes a file, or a directory with its content. A missing one is not an error.
    pub async fn remove_files(&self, place: &FilePlace) -> Result<Summary, FilesError> {
        self.ask_for_summary(place, Action::Remove).await
    }

    /// Adds up what the files below a directory use on the disk.
    pub async fn measure_files(&self, place: &FilePlace) -> Result<Summary, FilesError> {
        self.ask_for_summary(place, Action::Measure).await
    }

    async fn ask_for_summary(&self, place: &FilePlace, action: Action) -> Result<Summary, FilesError> {
        match self.ask(place, action).await? {
            (FileFrame::Done(summary), _) => Ok(summary),
            _ => Err(FilesError::OutOfPlace),
        }
    }

    /// Sends a request and receives the first frame of its answer.
    async fn ask(&self, place: &FilePlace, action: Action) -> Result<(FileFrame, Exchange), FilesError> {
        let patience = Duration::from_millis(place.bounds.time_ms).saturating_add(ANSWER_GRACE);
        let mut exchange = self.request(place, action).await?;
        let answer = timeout(patience, exchange.receive()).await.map_err(|_| FilesError::Timeout)??;
        Ok((answer, exchange))
    }

    async fn request(&self, place: &FilePlace, action: Action) -> Result<Exchange, FilesError> {
        let FilePlace { root, path, bounds } = place.clone();
        let request = FileRequest { root, path: path.into(), bounds, action };
        let mut frame = BytesMut::new();
        FileFrame::Request(request).encode(&mut frame);
        if frame.len() > MAX_FILE_FRAME {
            return Err(FilesError::TooLarge { bytes: frame.len(), limit: MAX_FILE_FRAME });
        }
        let (stream, place) = self.streams().open().await?;
        let mut exchange = Exchange { stream, _place: place };
        exchange.stream.write_all(&frame).await.map_err(FilesError::Broken)?;
        Ok(exchange)
    }
}

impl FileContent {
    /// Returns the next piece; `None` at the end. An error means that the content is incomplete. Not cancel-safe.
    pub async fn next(&mut self) -> Result<Option<Bytes>, FilesError> {
        if self.summary.is_some() {
            return Ok(None);
        }
        match self.exchange.receive().await? {
            FileFrame::Data(data) => Ok(Some(data)),
            FileFrame::Done(summary) => {
                self.summary = Some(summary);
                Ok(None)
            }
            FileFrame::Request(_) | FileFrame::Found(_) | FileFrame::Page(_) | FileFrame::Failed(_) => {
                Err(FilesError::OutOfPlace)
            }
        }
    }

    /// The sum of the content. `None` before its end.
    pub fn summary(&self) -> Option<Summary> {
        self.summary
    }
}

/// A request that was sent.
#[derive(Debug)]
struct Exchange {
    stream: LinkStream,
    _place: OwnedSemaphorePermit,
}

impl Exchange {
    async fn receive(&mut self) -> Result<FileFrame, FilesError> {
        receive(&mut self.stream).await
    }

    async fn done(&mut self) -> Result<Summary, FilesError> {
        match self.receive().await? {
            FileFrame::Done(summary) => Ok(summary),
            _ => Err(FilesError::OutOfPlace),
        }
    }

    /// Sends content and receives the answer, which may come before the content's end.
    async fn send_content(self, content: impl Stream<Item = io::Result<Bytes>> + Send) -> Result<Summary, FilesError> {
        let (mut read, mut write) = split(self.stream);
        let mut answer = pin!(receive(&mut read));
        let sending = send_content(&mut write, content);
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer,
            sent = sending => match sent {
                // A sandbox that failed has said why before it stopped reading.
                Ok(()) | Err(FilesError::Broken(_)) => answer.await,
                Err(error) => return Err(error),
            },
        };
        match answer? {
            FileFrame::Done(summary) => Ok(summary),
            _ => Err(FilesError::OutOfPlace),
        }
    }
}

async fn send_content(
    stream: &mut (impl AsyncWriteExt + Unpin),
    content: impl Stream<Item = io::Result<Bytes>> + Send,
) -> Result<(), FilesError> {
    let mut content = pin!(content);
    let mut frame = BytesMut::new();
    while let Some(piece) = content.next().await {
        let mut piece = piece.map_err(FilesError::Source)?;
        while !piece.is_empty() {
            frame.clear();
            FileFrame::Data(piece.split_to(piece.len().min(MAX_DATA))).encode(&mut frame);
            stream.write_all(&frame).await.map_err(FilesError::Broken)?;
        }
    }
    frame.clear();
    FileFrame::Done(Summary::default()).encode(&mut frame);
    stream.write_all(&frame).await.map_err(FilesError::Broken)
}

/// Receives a frame. A failure of the request is an error.
async fn receive(stream: &mut (impl AsyncReadExt + Unpin)) -> Result<FileFrame, FilesError> {
    let length = stream.read_u32_le().await.map_err(FilesError::Broken)?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > MAX_FILE_FRAME {
        return Err(DecodeError::TooLong { field: "frame", length, limit: MAX_FILE_FRAME }.into());
    }
    let mut frame = vec![0; length];
    stream.read_exact(&mut frame).await.map_err(FilesError::Broken)?;
    match FileFrame::decode(frame.into())? {
        FileFrame::Failed(failure) => Err(FilesError::Failed(failure)),
        frame => Ok(frame),
    }
}
