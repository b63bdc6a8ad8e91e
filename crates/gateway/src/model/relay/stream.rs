//! Streams an answer to the agent, from the event on that shows whose it is.

use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::super::sentences::{End, broken_sentence, foreign_sentence, silence};
use super::{Answered, Head, Open};
use crate::answer::{Body, BoxError, empty};
use crate::block_stop_buffer::BlockStopBuffer;
use crate::headers::strip_model_answer;
use crate::sse::{Origin, UsageReader};

/// The number of pieces of an answer that wait for a slow agent.
const PIECES: usize = 16;
/// The time after `message_stop` in which the API has to end its answer.
const END_TIMEOUT: Duration = Duration::from_millis(100);
/// The maximum size of pings and comments before the first event of the message.
const MAX_BEGINNING_BYTES: usize = 64 << 10;

impl Open {
    pub(super) async fn stream(mut self, answer: Answered, head: Head) {
        let mut reader = UsageReader::default();
        let Answered { mut response, asked, deadline } = answer;
        // The agent gets no head before, so that an error can have a status, by which the CLI decides on its next try.
        let beginning = match self.beginning(&mut response, &mut reader, asked, deadline).await {
            Ok(beginning) => beginning,
            Err(answer) => return self.close_with(head, *answer),
        };
        let (agent, pieces) = mpsc::channel(PIECES);
        let mut answer = empty(response.status());
        *answer.headers_mut() = response.headers().clone();
        strip_model_answer(answer.headers_mut());
        *answer.body_mut() = body_of(pieces);
        let mut agent = head.send(answer).is_ok().then_some(agent);
        let mut ends = BlockStopBuffer::default();
        let mut next = Some(Bytes::from(beginning));
        let last = loop {
            let piece = if let Some(beginning) = next.take() {
                Ok(Some(beginning))
            } else {
                tokio::select! {
                    biased;
                    charge = self.cut() => {
                        self.cut_off(charge);
                        break None;
                    }
                    piece = response.chunk() => {
                        self.see(&mut reader, piece.as_ref().ok().and_then(Option::as_deref));
                        piece
                    }
                }
            };
            match piece {
                Ok(Some(piece)) => {
                    let passed = ends.pass(&piece);
                    if !ends.is_complete() {
                        self.pass(&mut agent, passed).await;
                        continue;
                    }
                    self.sandbox.request_gate.expect_calls(ends.tool_calls());
                    // The end of the answer is sent together with the end of the message, because a cut between them would break it
                    // again. The answer is read to its own end, so that its connection can be reused.
                    let _ = timeout(END_TIMEOUT, response.chunk()).await;
                    self.see(&mut reader, None);
                    break Some(passed);
                }
                Ok(None) => break Some(ends.finish()),
                // An error of the API is whole with its first event.
                Err(_) => break (reader.origin() == Origin::Error).then(|| ends.finish()),
            }
        };
        if reader.origin() == Origin::Error
            && let Some(entry) = &mut self.entry
        {
            entry.refused(StatusCode::BAD_GATEWAY);
        }
        // The request is charged before the agent sees the end.
        drop(self);
        if let (Some(agent), Some(last)) = (agent, last) {
            let _ = agent.send(Piece::Last(last.into())).await;
        }
    }

    /// Reads a stream until an event shows that it is the API's. The error is the answer in its place.
    async fn beginning(
        &mut self,
        response: &mut reqwest::Response,
        reader: &mut UsageReader,
        asked: Instant,
        mut deadline: Instant,
    ) -> Result<Vec<u8>, Box<Response<Body>>> {
        let headers = response.headers().clone();
        let (mut bytes, mut last) = (Vec::new(), asked);
        loop {
            let piece = tokio::select! {
                biased;
                charge = self.cut() => return Err(Box::new(self.cut_off(charge))),
                piece = response.chunk() => piece,
                () = sleep_until(deadline) => {
                    let sentence = silence(last, Some(response.status()));
                    return Err(Box::new(self.failed(asked, sentence, true)));
                }
            };
            // Asked before the reader sees the end, which it would take for an end of the event.
            let (may_be_of_api, is_cut) = match &piece {
                Ok(Some(_)) => (false, false),
                Ok(None) | Err(_) => (reader.may_be_of_api(), reader.is_cut()),
            };
            self.see(reader, piece.as_ref().ok().and_then(Option::as_deref));
            if let Ok(Some(piece)) = &piece {
                bytes.extend_from_slice(piece);
                last = Instant::now();
                deadline = deadline.max(last + self.sandbox.shared.outage.answer);
            }
            let (sentence, charged) = match (reader.origin(), piece) {
                (Origin::Message, Err(_)) => (broken_sentence(End::Cut), true),
                (Origin::Unknown | Origin::Foreign, Err(_)) if may_be_of_api => (broken_sentence(End::Cut), true),
                // A server may end a stream too early without an error.
                (Origin::Unknown | Origin::Foreign, Ok(None)) if is_cut => (broken_sentence(End::Cut), true),
                (Origin::Message | Origin::Error, _) => return Ok(bytes),
                (Origin::Unknown, Ok(Some(_))) if bytes.len() < MAX_BEGINNING_BYTES => continue,
                (Origin::Unknown | Origin::Foreign, Ok(Some(_))) => {
                    (foreign_sentence(&headers, &bytes, End::Whole), false)
                }
                (Origin::Unknown | Origin::Foreign, Ok(None) | Err(_)) => {
                    (foreign_sentence(&headers, &bytes, End::Cut), false)
                }
            };
            return Err(Box::new(self.failed(asked, sentence, charged)));
        }
    }

    /// Reads the usage that the next piece states. `None` means the end of the stream.
    fn see(&mut self, reader: &mut UsageReader, piece: Option<&[u8]>) {
        self.sandbox.activity_tracker.touch();
        let Some(entry) = &mut self.entry else { return };
        let before = reader.origin();
        let mut statements = Vec::new();
        match piece {
            Some(piece) => reader.read(piece, |statement| statements.push(statement)),
            None => reader.finish(|statement| statements.push(statement)),
        }
        if reader.origin() != Origin::Message {
            return;
        }
        for statement in statements {
            entry.add(statement);
        }
        entry.streamed(reader.streamed_tokens());
        if reader.has_ended() {
            entry.complete();
        }
        if before != Origin::Message {
            self.sandbox.recover();
        }
    }

    /// Sends a piece to the agent. It waits for a slow agent until its task has ended.
    async fn pass(&self, agent: &mut Option<mpsc::Sender<Piece>>, bytes: Vec<u8>) {
        let Some(sender) = agent else { return };
        let passed = match sender.try_send(Piece::Next(bytes.into())) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(piece)) => tokio::select! {
                sent = sender.send(piece) => sent.is_ok(),
                () = self.task.ended() => false,
                () = self.sandbox.shared.closed.cancelled() => false,
            },
        };
        if !passed {
            *agent = None;
        }
    }
}

/// A piece of a stream on its way to the agent.
enum Piece {
    Next(Bytes),
    Last(Bytes),
}

/// Forwards the relay's pieces. A relay that ends without a last piece cuts the answer.
fn body_of(pieces: mpsc::Receiver<Piece>) -> Body {
    let pieces = stream::try_unfold(Some(pieces), |pieces| async move {
        let Some(mut pieces) = pieces else { return Ok(None) };
        match pieces.recv().await {
            Some(Piece::Next(bytes)) => Ok(Some((Frame::data(bytes), Some(pieces)))),
            Some(Piece::Last(bytes)) if bytes.is_empty() => Ok(None),
            Some(Piece::Last(bytes)) => Ok(Some((Frame::data(bytes), None))),
            None => Err(BoxError::from("the answer was cut")),
        }
    });
    StreamBody::new(pieces).boxed_unsync()
}
