//! Carries the answer of one model request from the API to the agent.
//!
//! The relay is independent of the agent's connection: a request is paid for, so its answer is read to the end even if the agent
//! has hung up.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::Instant;

use super::forward::Unanswered;
use super::{Endpoint, ModelRequest, forward};
use crate::activity::OpenRequest;
use crate::answer::{Body, BoxError, empty, final_model_error, full, model_error, shortened};
use crate::block_stop_buffer::BlockStopBuffer;
use crate::body_room::Room;
use crate::failure::GatewayFailure;
use crate::headers::strip_model_answer;
use crate::meter::MeteredRequest;
use crate::outage::Next;
use crate::sandbox::SandboxGateway;
use crate::sse::{Origin, UsageReader, begins_like_message, statement_of_json};
use crate::task::{CutCharge, TaskRequests};

/// The number of pieces of an answer that wait for a slow agent.
const PIECES: usize = 16;
/// The maximum size of an answer in one document. The longest have less than 1 MB.
const MAX_DOCUMENT_BYTES: usize = 8 << 20;
/// The time after `message_stop` in which the API has to end its answer.
const END_TIMEOUT: Duration = Duration::from_millis(100);
/// The number of bytes of a foreign answer that its error quotes.
const QUOTED_BYTES: usize = 120;

/// A request that is about to be sent.
pub(super) struct Relay {
    pub(super) sandbox: Arc<SandboxGateway>,
    pub(super) request: ModelRequest,
    /// The buffer space of the request's body.
    pub(super) room: Room,
    /// `None`: the request costs nothing.
    pub(super) entry: Option<MeteredRequest>,
    pub(super) task: Arc<TaskRequests>,
    pub(super) slot: OwnedSemaphorePermit,
}

/// The head of an answer, for the agent.
pub(super) type Head = oneshot::Sender<Response<Body>>;

impl Relay {
    pub(super) async fn run(self, head: Head) {
        let Relay { sandbox, request, room, mut entry, task, slot } = self;
        if let Some(entry) = &mut entry {
            entry.sent();
        }
        let mut open = Open { sandbox, entry, task };
        let answered = tokio::select! {
            biased;
            charge = open.cut() => Err(open.cut_off(charge)),
            answered = forward::send(&open.sandbox, &request, || head.is_closed()) => {
                answered.map_err(|unanswered| open.unanswered(unanswered))
            }
        };
        let endpoint = request.endpoint;
        // From here on the request is not sent again, so the buffer space of its body is released.
        drop((request, room));
        match answered {
            Ok(response) if is_stream(response.headers()) && open.entry.is_some() => open.stream(response, head).await,
            Ok(response) => open.document(response, endpoint, head).await,
            Err(answer) => open.close_with(head, answer),
        }
        drop(slot);
    }
}

/// A request that was sent and is not charged yet.
struct Open {
    sandbox: Arc<SandboxGateway>,
    entry: Option<MeteredRequest>,
    task: Arc<TaskRequests>,
}

impl Open {
    /// Resolves when the answer may not be read any further.
    async fn cut(&self) -> CutCharge {
        tokio::select! {
            () = self.sandbox.shared.closed.cancelled() => self.task.charge_at_shutdown(),
            charge = self.task.cut() => charge,
        }
    }

    fn cut_off(&mut self, charge: CutCharge) -> Response<Body> {
        if let Some(entry) = &mut self.entry {
            entry.cut(charge);
        }
        model_error(StatusCode::SERVICE_UNAVAILABLE, "api_error", "the task has ended")
    }

    fn unanswered(&mut self, unanswered: Unanswered) -> Response<Body> {
        match (unanswered, &mut self.entry) {
            (Unanswered::Refused(answer), Some(entry)) => {
                entry.refused(answer.status());
                *answer
            }
            (Unanswered::Broken(answer), Some(entry)) => {
                entry.cut(CutCharge::Reservation);
                *answer
            }
            (Unanswered::Refused(answer) | Unanswered::Broken(answer), None) => *answer,
        }
    }

    /// Charges the request before it answers, so that the charge is visible to everyone who sees the end of the answer.
    fn close_with(self, head: Head, answer: Response<Body>) {
        drop(self);
        // An agent that hung up needs no answer.
        let _ = head.send(answer);
    }

    async fn document(mut self, mut response: reqwest::Response, endpoint: Endpoint, head: Head) {
        let (status, mut headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        let end = loop {
            tokio::select! {
                biased;
                charge = self.cut() => {
                    let answer = self.cut_off(charge);
                    return self.close_with(head, answer);
                }
                piece = response.chunk() => match piece {
                    Ok(Some(piece)) if body.len() + piece.len() <= MAX_DOCUMENT_BYTES => {
                        self.sandbox.activity_tracker.touch();
                        body.extend_from_slice(&piece);
                    }
                    Ok(Some(_)) => break End::TooLong,
                    Ok(None) => break End::Whole,
                    Err(_) => break End::Cut,
                },
            }
        };
        if let (Some(entry), End::Whole) = (&mut self.entry, end)
            && let Some(statement) = is_json(&headers).then(|| statement_of_json(&body)).flatten()
        {
            entry.add(statement);
            self.sandbox.recover();
        } else if endpoint == Endpoint::Messages || end != End::Whole {
            // A server may end a document too early without an error.
            let is_cut = end != End::Whole || !body.trim_ascii().is_empty();
            let charged = is_cut && is_json(&headers) && begins_like_message(&body);
            let answer = self
                .failed(if charged { broken_sentence(end) } else { foreign_sentence(&headers, &body, end) }, charged);
            return self.close_with(head, answer);
        }
        strip_model_answer(&mut headers);
        let mut answer = full(status, body);
        *answer.headers_mut() = headers;
        self.close_with(head, answer);
    }

    /// Returns the error in place of an answer that is not the API's, which costs nothing, or in place of one that broke off before it
    /// stated its usage, which is charged as reserved.
    fn failed(&mut self, sentence: String, charged: bool) -> Response<Body> {
        let now = Instant::now();
        // The relay cannot ask again, and the CLI's next try would come too late.
        let answer = match self.sandbox.outage.failed(now, now, &self.sandbox.shared.outage) {
            Next::LeaveToCli => model_error(StatusCode::BAD_GATEWAY, "api_error", &sentence),
            Next::Retry(_) | Next::GiveUp => {
                final_model_error(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", &sentence)
            }
        };
        if let Some(entry) = &mut self.entry {
            if charged {
                entry.cut(CutCharge::Reservation);
            } else {
                entry.refused(StatusCode::BAD_GATEWAY);
            }
            self.sandbox.fail(GatewayFailure::Unreachable { sentence });
        }
        answer
    }

    async fn stream(mut self, mut response: reqwest::Response, head: Head) {
        let (agent, pieces) = mpsc::channel(PIECES);
        let mut answer = empty(response.status());
        let headers = response.headers().clone();
        *answer.headers_mut() = headers.clone();
        strip_model_answer(answer.headers_mut());
        *answer.body_mut() = body_of(pieces);
        let mut agent = head.send(answer).is_ok().then_some(agent);
        let mut reader = UsageReader::default();
        let mut ends = BlockStopBuffer::default();
        let mut beginning = Vec::new();
        let last = loop {
            let piece = tokio::select! {
                biased;
                charge = self.cut() => {
                    self.cut_off(charge);
                    break None;
                }
                piece = response.chunk() => piece,
            };
            match piece {
                Ok(Some(piece)) => {
                    self.see(&mut reader, Some(&piece));
                    if beginning.len() < QUOTED_BYTES {
                        beginning.extend_from_slice(&piece[..piece.len().min(QUOTED_BYTES)]);
                    }
                    if reader.origin() == Origin::Foreign {
                        break Some(self.failed_event(foreign_sentence(&headers, &beginning, End::Whole), false));
                    }
                    let passed = ends.pass(&piece);
                    if !ends.is_complete() {
                        self.pass(&mut agent, passed).await;
                        continue;
                    }
                    self.sandbox.request_gate.expect_calls(ends.tool_calls());
                    // The end of the answer is sent together with the end of the message, because a cut between them would break it
                    // again. The answer is read to its own end, so that its connection can be reused.
                    let _ = tokio::time::timeout(END_TIMEOUT, response.chunk()).await;
                    self.see(&mut reader, None);
                    break Some(passed);
                }
                Ok(None) => {
                    self.see(&mut reader, None);
                    break Some(match reader.origin() {
                        Origin::Message | Origin::Error => ends.finish(),
                        Origin::Unknown | Origin::Foreign => {
                            self.failed_event(foreign_sentence(&headers, &beginning, End::Cut), false)
                        }
                    });
                }
                Err(_) => {
                    let may_be_of_api = reader.may_be_of_api();
                    self.see(&mut reader, None);
                    break match reader.origin() {
                        Origin::Message => None,
                        Origin::Unknown | Origin::Foreign if may_be_of_api => {
                            Some(self.failed_event(broken_sentence(End::Cut), true))
                        }
                        Origin::Error | Origin::Unknown | Origin::Foreign => {
                            Some(self.failed_event(foreign_sentence(&headers, &beginning, End::Cut), false))
                        }
                    };
                }
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

    /// Like [`Open::failed`], for an agent that already has the head of a stream.
    fn failed_event(&mut self, sentence: String, charged: bool) -> Vec<u8> {
        let error = serde_json::json!({ "type": "error", "error": { "type": "api_error", "message": sentence } });
        self.failed(sentence, charged);
        format!("event: error\ndata: {error}\n\n").into_bytes()
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

/// The part of a document that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Whole,
    Cut,
    TooLong,
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

/// Counts a request as open for as long as its agent waits for the answer.
pub(super) fn while_read(mut answer: Response<Body>, open: OpenRequest) -> Response<Body> {
    let body = std::mem::replace(answer.body_mut(), empty(StatusCode::OK).into_body());
    *answer.body_mut() = body
        .map_frame(move |frame| {
            open.touch();
            frame
        })
        .boxed_unsync();
    answer
}

fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

fn is_stream(headers: &HeaderMap) -> bool {
    media_type(headers).eq_ignore_ascii_case("text/event-stream")
}

fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).eq_ignore_ascii_case("application/json")
}

fn broken_sentence(end: End) -> String {
    let how = match end {
        End::Whole | End::Cut => "broke off",
        End::TooLong => "is too long to be read",
    };
    format!("the model API's answer {how} before it stated its usage, so the request is charged as reserved")
}

fn foreign_sentence(headers: &HeaderMap, body: &[u8], end: End) -> String {
    let kind = match media_type(headers) {
        "" => "no content type".to_owned(),
        kind => shortened(kind),
    };
    let how = match end {
        End::Whole => "",
        End::Cut => ", cut short",
        End::TooLong => ", too long to be read",
    };
    let quoted = shortened(&String::from_utf8_lossy(&body[..body.len().min(QUOTED_BYTES)]));
    format!(
        "the answer did not come from the model API ({kind}{how}: {quoted:?}); look at what stands in front of it \
         (ANTHROPIC_BASE_URL)"
    )
}
