use std::io::{self, Read, Write};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use sandbox_link::files::{FileFrame, FileRequest, MAX_DATA, MAX_FILE_FRAME, Ticket};

use super::failed::Failed;
use crate::address::BlockingStream;

/// The maximum time until the request arrives. The coordinator sends it at once.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The maximum time that one read or write waits for the coordinator, whose own reader may be slow.
const LONGEST_SILENCE: Duration = Duration::from_mins(10);

/// The maximum time in which the coordinator may still send after a failure. What it sends is discarded, because closing
/// a connection with unread data can lose the answer.
const LINGER: Duration = Duration::from_secs(5);

/// One request and its answer.
pub(super) struct Exchange {
    stream: BlockingStream,
    out: BytesMut,
    /// No more frames come from the coordinator.
    ended: bool,
}

impl Exchange {
    /// Presents the ticket and reads the request.
    pub(super) fn open(mut stream: BlockingStream, ticket: Ticket) -> Result<(Self, FileRequest), Failed> {
        let broken = |_| Failed::Connection;
        stream.set_timeout(REQUEST_TIMEOUT).map_err(broken)?;
        stream.write_all(&ticket.0).map_err(broken)?;
        let mut exchange = Self { stream, out: BytesMut::new(), ended: false };
        let FileFrame::Request(request) = exchange.receive()? else { return Err(Failed::Connection) };
        let silence = Duration::from_millis(request.bounds.time_ms).clamp(REQUEST_TIMEOUT, LONGEST_SILENCE);
        exchange.stream.set_timeout(silence).map_err(broken)?;
        Ok((exchange, request))
    }

    pub(super) fn send(&mut self, frame: &FileFrame) -> Result<(), Failed> {
        self.out.clear();
        frame.encode(&mut self.out);
        self.stream.write_all(&self.out).map_err(|_| Failed::Connection)
    }

    /// Returns the next piece of content from the coordinator; `None` at its end.
    pub(super) fn content(&mut self) -> Result<Option<Bytes>, Failed> {
        if self.ended {
            return Ok(None);
        }
        match self.receive()? {
            FileFrame::Data(data) => Ok(Some(data)),
            FileFrame::Done(_) => {
                self.ended = true;
                Ok(None)
            }
            FileFrame::Request(_) | FileFrame::Found(_) | FileFrame::Page(_) | FileFrame::Failed(_) => {
                Err(Failed::Connection)
            }
        }
    }

    /// Sends the last frame. The coordinator learns of a failure even while it sends content.
    pub(super) fn finish(mut self, answer: &FileFrame) {
        let sent = self.send(answer).is_ok() && self.stream.end().is_ok();
        if sent && self.stream.set_timeout(LINGER).is_ok() {
            let mut rest = [0; 4096];
            while matches!(self.stream.read(&mut rest), Ok(1..)) {}
        }
    }

    fn receive(&mut self) -> Result<FileFrame, Failed> {
        let broken = |_: io::Error| Failed::Connection;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).map_err(broken)?;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > MAX_FILE_FRAME {
            return Err(Failed::Connection);
        }
        let mut frame = vec![0; length];
        self.stream.read_exact(&mut frame).map_err(broken)?;
        FileFrame::decode(frame.into()).map_err(|_| Failed::Connection)
    }
}

/// Collects content into frames of [`MAX_DATA`] bytes.
pub(super) struct Sender<'a> {
    exchange: &'a mut Exchange,
    buffer: BytesMut,
}

impl<'a> Sender<'a> {
    pub(super) fn new(exchange: &'a mut Exchange) -> Self {
        Self { exchange, buffer: BytesMut::with_capacity(MAX_DATA) }
    }

    pub(super) fn write(&mut self, mut bytes: &[u8]) -> Result<(), Failed> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(MAX_DATA - self.buffer.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == MAX_DATA {
                self.flush()?;
            }
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<(), Failed> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(MAX_DATA));
        self.exchange.send(&FileFrame::Data(full.freeze()))
    }
}
