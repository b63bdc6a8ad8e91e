//! Carries the answer of one model request from the API to the agent.
//!
//! The relay is independent of the agent's connection: a request is paid for, so its answer is read to the end even if the agent
//! has hung up.

use std::sync::Arc;

use http::{Response, StatusCode};
use http_body_util::BodyExt as _;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::{Instant, sleep_until};

use super::forward::Answered;
use super::sentences::{CHARGED, End, broken_sentence, foreign_sentence, is_json, is_stream};
use super::{Endpoint, ModelRequest, forward};
use crate::activity::OpenRequest;
use crate::answer::{Body, empty, final_model_error, full, model_error};
use crate::body_room::Room;
use crate::failure::GatewayFailure;
use crate::headers::strip_model_answer;
use crate::meter::MeteredRequest;
use crate::outage::Next;
use crate::sandbox::SandboxGateway;
use crate::sse::{begins_like_message, statement_of_json};
use crate::task::{CutCharge, TaskRequests};

mod stream;

/// The maximum size of an answer in one document. The longest have less than 1 MB.
const MAX_DOCUMENT_BYTES: usize = 8 << 20;

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
        let Relay { sandbox, request, room, entry, task, slot } = self;
        let mut open = Open { sandbox, entry, task };
        let answered = tokio::select! {
            biased;
            charge = cut(&open.sandbox, &open.task) => Err(open.cut_off(charge)),
            answered = forward::send(&open.sandbox, &request, open.entry.as_mut(), || head.is_closed()) => {
                answered.map_err(|answer| *answer)
            }
        };
        let endpoint = request.endpoint;
        // From here on the request is not sent again, so the buffer space of its body is released.
        drop((request, room));
        match answered {
            Ok(answer) if is_stream(answer.response.headers()) && open.entry.is_some() => {
                open.stream(answer, head).await;
            }
            Ok(answer) => open.document(answer, endpoint, head).await,
            Err(answer) => open.close_with(head, answer),
        }
        drop(slot);
    }
}

/// Resolves when the answer may not be read any further.
async fn cut(sandbox: &SandboxGateway, task: &TaskRequests) -> CutCharge {
    tokio::select! {
        () = sandbox.shared.closed.cancelled() => task.charge_at_shutdown(),
        charge = task.cut() => charge,
    }
}

/// A request that was started and is not charged yet.
struct Open {
    sandbox: Arc<SandboxGateway>,
    entry: Option<MeteredRequest>,
    task: Arc<TaskRequests>,
}

impl Open {
    /// Resolves when the answer may not be read any further.
    async fn cut(&self) -> CutCharge {
        cut(&self.sandbox, &self.task).await
    }

    fn cut_off(&mut self, charge: CutCharge) -> Response<Body> {
        if let Some(entry) = &mut self.entry {
            entry.cut(charge);
        }
        model_error(StatusCode::SERVICE_UNAVAILABLE, "api_error", "the task has ended")
    }

    /// Charges the request before it answers, so that the charge is visible to everyone who sees the end of the answer.
    fn close_with(self, head: Head, answer: Response<Body>) {
        drop(self);
        // An agent that hung up needs no answer.
        let _ = head.send(answer);
    }

    async fn document(mut self, answer: Answered, endpoint: Endpoint, head: Head) {
        let Answered { mut response, asked, deadline } = answer;
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
                () = sleep_until(deadline) => break End::Late,
            }
        };
        // A whole document is an answer, however its connection ended.
        if let Some(entry) = &mut self.entry
            && end != End::TooLong
            && let Some(statement) = is_json(&headers).then(|| statement_of_json(&body)).flatten()
        {
            entry.add(statement);
            self.sandbox.recover();
        } else if endpoint == Endpoint::Messages || end != End::Whole {
            // A server may end a document too early without an error.
            let is_cut = end != End::Whole || !body.trim_ascii().is_empty();
            let charged = is_cut && is_json(&headers) && begins_like_message(&body);
            let sentence = if charged { broken_sentence(end) } else { foreign_sentence(&headers, &body, end) };
            let answer = self.failed(asked, sentence, charged);
            return self.close_with(head, answer);
        }
        strip_model_answer(&mut headers);
        let mut answer = full(status, body);
        *answer.headers_mut() = headers;
        self.close_with(head, answer);
    }

    /// Returns the error in place of an answer that is not the API's, which costs nothing, or in place of one that broke off before it
    /// stated its usage, which is charged as reserved. The request was sent at `asked`.
    fn failed(&mut self, asked: Instant, mut sentence: String, charged: bool) -> Response<Body> {
        if charged && self.entry.is_some() {
            sentence.push_str(CHARGED);
        }
        // The relay cannot ask again, and the CLI's next try would come too late.
        let answer = match self.sandbox.outage.failed(asked, Instant::now(), &self.sandbox.shared.outage) {
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
