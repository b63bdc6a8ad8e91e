//! Model requests: what is forwarded, and how its answer comes back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited, StreamBody};
use hyper::body::{Body as _, Frame, Incoming};
use tokio::sync::OwnedSemaphorePermit;

use super::activity::OpenRequest;
use super::answer::{Body, BoxError, empty, final_model_error, model_error, shortened};
use super::block_ends::BlockEnds;
use super::failure::GatewayFailure;
use super::headers::{strip_model_answer, strip_model_request};
use super::meter::Entry;
use super::pace::Pace;
use super::permission::{self, Denied, Permitted};
use super::sandbox::SandboxGateway;
use super::sse::{UsageReader, statement_of_json};
use super::tokens::TokenCounts;
use crate::budget::Refusal;

mod forward;
mod reach;

/// The paths that Claude Code needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Messages,
    /// Costs nothing, and the CLI goes on when it fails.
    CountTokens,
}

impl Endpoint {
    const fn path(self) -> &'static str {
        match self {
            Endpoint::Messages => "/v1/messages",
            Endpoint::CountTokens => "/v1/messages/count_tokens",
        }
    }

    fn of(method: &Method, path: &str) -> Option<Endpoint> {
        let endpoints = [Endpoint::Messages, Endpoint::CountTokens];
        endpoints.into_iter().find(|endpoint| *method == Method::POST && path == endpoint.path())
    }
}

/// The one query that the CLI sends.
fn is_known_query(query: Option<&str>) -> bool {
    query.is_none_or(|query| query == "beta=true")
}

/// A request that was read whole, so that it can be sent more than once.
struct ModelRequest {
    endpoint: Endpoint,
    query: Option<String>,
    headers: HeaderMap,
    body: Bytes,
}

/// No model writes more in one answer; a request that asks for more is expected to be refused upstream.
const MAX_OUTPUT_TOKENS: u64 = 1 << 20;

pub(super) async fn answer(sandbox: &Arc<SandboxGateway>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if path == "/" && matches!(head.method, Method::GET | Method::HEAD) {
        // The CLI asks once whether somebody is there.
        return empty(StatusCode::OK);
    }
    let Some(endpoint) = Endpoint::of(&head.method, path).filter(|_| is_known_query(head.uri.query())) else {
        let asked = shortened(&format!("{} {}", head.method, head.uri));
        sandbox.decided("model", &asked, "refused: not forwarded");
        let message = format!("{asked} is not forwarded by Claude Runner");
        return model_error(StatusCode::NOT_FOUND, "not_found_error", &message);
    };
    let open = OpenRequest::new(&sandbox.pulse);
    let (body, room) = match read_body(sandbox, body).await {
        Ok(read) => read,
        Err(answer) => return *answer,
    };
    sandbox.pace.until_free().await;
    if let Err(reach) = reach::check(&body) {
        sandbox.decided("model", reach.what(), "refused: reaches further");
        return model_error(StatusCode::BAD_REQUEST, "invalid_request_error", &reach.to_string());
    }
    let (body, mut entry) = match start(sandbox, endpoint, body).await {
        Ok(started) => started,
        Err(answer) => return *answer,
    };
    let mut headers = head.headers;
    strip_model_request(&mut headers);
    let request = ModelRequest { endpoint, query: head.uri.query().map(str::to_owned), headers, body };
    if let Some(entry) = &mut entry {
        entry.sent();
    }
    let answered = forward::send(sandbox, &request).await;
    // From here on the request is not sent again, so its body's room is free for others.
    drop((request, room));
    match answered {
        Ok(response) => pass_on(response, Tap::new(open, entry, Arc::clone(&sandbox.pace))),
        Err(answer) => {
            if let Some(entry) = &mut entry {
                entry.refused(answer.status());
            }
            *answer
        }
    }
}

/// Waits for room, then reads the body.
async fn read_body(
    sandbox: &SandboxGateway,
    body: Incoming,
) -> Result<(Bytes, OwnedSemaphorePermit), Box<Response<Body>>> {
    let bounds = &sandbox.shared.bounds;
    let refuse = |status, kind: &str, message: &str| Box::new(model_error(status, kind, message));
    let too_large = || {
        let message = format!("a request may have {} bytes", bounds.body_bytes);
        refuse(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", &message)
    };
    let announced = body.size_hint().upper().map_or(Some(bounds.body_bytes), |bytes| usize::try_from(bytes).ok());
    let bytes = announced.filter(|bytes| *bytes <= bounds.body_bytes).ok_or_else(too_large)?;
    // Never more than there is room in all, or it would wait for ever.
    let kibibytes = u32::try_from(bytes.min(bounds.buffered_bytes).div_ceil(1024)).unwrap_or(u32::MAX);
    let Ok(room) = Arc::clone(&sandbox.buffered).acquire_many_owned(kibibytes).await else {
        return Err(refuse(StatusCode::SERVICE_UNAVAILABLE, "api_error", "the sandbox is being closed"));
    };
    let read = Limited::new(body, bounds.body_bytes).collect();
    match tokio::time::timeout(bounds.idle_timeout, read).await {
        Ok(Ok(collected)) => Ok((collected.to_bytes(), room)),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(refuse(StatusCode::BAD_REQUEST, "invalid_request_error", "the request's body was cut")),
        Err(_) => Err(refuse(StatusCode::REQUEST_TIMEOUT, "timeout_error", "the request's body did not come")),
    }
}

/// Opens an entry of the meter for a request that costs something, once its key and the budgets allow it. Returns the body
/// as it is to be sent.
async fn start(
    sandbox: &SandboxGateway,
    endpoint: Endpoint,
    body: Bytes,
) -> Result<(Bytes, Option<Entry>), Box<Response<Body>>> {
    let refused = |status, kind, sentence: String, failure: fn(String) -> GatewayFailure| {
        let answer = final_model_error(status, kind, &sentence);
        sandbox.fail(failure(sentence));
        Box::new(answer)
    };
    let payer = sandbox.meter.payer();
    let Permitted { body, model, max_tokens } = match permission::check(body, &payer.key_limits) {
        Ok(permitted) => permitted,
        Err(denied @ Denied::Malformed(_)) => {
            return Err(Box::new(model_error(StatusCode::BAD_REQUEST, "invalid_request_error", &denied.to_string())));
        }
        Err(denied @ (Denied::Model { .. } | Denied::Thinking { .. })) => {
            let failure = |sentence| GatewayFailure::BadRequest { sentence };
            return Err(refused(StatusCode::FORBIDDEN, "permission_error", denied.to_string(), failure));
        }
    };
    if endpoint == Endpoint::CountTokens {
        return Ok((body, None));
    }
    // Three bytes a token is more tokens than a text ever has; what is new in a prompt is at most written to the cache for
    // an hour.
    let expected = TokenCounts {
        cache_write_1h: body.len() as u64 / 3,
        output: max_tokens.unwrap_or_default().min(MAX_OUTPUT_TOKENS),
        ..TokenCounts::default()
    };
    match sandbox.meter.reserve(&model, &expected).await {
        Ok(entry) => Ok((body, Some(entry))),
        Err(Refusal::Spent(spent)) => {
            let failure = |sentence| GatewayFailure::BudgetExceeded { sentence };
            Err(refused(StatusCode::PAYMENT_REQUIRED, "billing_error", spent.to_string(), failure))
        }
        Err(Refusal::Store(error)) => {
            let sentence = format!("the request could not be written down, so it was not sent: {error}");
            let answer = model_error(StatusCode::SERVICE_UNAVAILABLE, "api_error", &sentence);
            sandbox.fail(GatewayFailure::Unreachable { sentence });
            Err(Box::new(answer))
        }
    }
}

/// What watches an answer pass. Dropped with the answer, however that ends.
struct Tap {
    open: OpenRequest,
    entry: Option<Entry>,
    pace: Arc<Pace>,
    form: Form,
}

enum Form {
    Stream(UsageReader),
    Document(Vec<u8>),
    TooLong,
}

impl Tap {
    /// A longer answer in one document is passed, but not understood. The longest are under 1 MB.
    const MAX_DOCUMENT_BYTES: usize = 8 << 20;

    fn new(open: OpenRequest, entry: Option<Entry>, pace: Arc<Pace>) -> Self {
        Tap { open, entry, pace, form: Form::Document(Vec::new()) }
    }

    fn expect(&mut self, headers: &HeaderMap) {
        let is_stream = |value: &str| value.trim_start().starts_with("text/event-stream");
        let is_stream = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_stream);
        if is_stream {
            self.form = Form::Stream(UsageReader::default());
        }
        match &mut self.entry {
            Some(entry) if is_stream => entry.begin_stream(),
            Some(entry) => entry.begin_document(),
            None => {}
        }
    }

    fn see(&mut self, piece: &[u8]) {
        self.open.touch();
        let Some(entry) = &mut self.entry else { return };
        match &mut self.form {
            Form::Stream(reader) => {
                reader.read(piece, |statement| entry.add(statement));
                entry.streamed(reader.streamed_tokens());
            }
            Form::Document(body) if body.len() + piece.len() <= Self::MAX_DOCUMENT_BYTES => {
                body.extend_from_slice(piece);
            }
            Form::Document(_) => self.form = Form::TooLong,
            Form::TooLong => {}
        }
    }

    fn finish(&mut self) {
        let Some(entry) = &mut self.entry else { return };
        match &mut self.form {
            Form::Stream(reader) => reader.finish(|statement| entry.add(statement)),
            Form::Document(body) => {
                if let Some(statement) = statement_of_json(body) {
                    entry.add(statement);
                } else {
                    tracing::warn!(
                        "an answer of the model API states no usage: counted as the most that it can have cost"
                    );
                }
            }
            Form::TooLong => {
                tracing::warn!(
                    "an answer of the model API is too long to be read: counted as the most that it can have cost"
                );
            }
        }
    }
}

/// How long after `message_stop` the API may take to end its answer.
const END_TIMEOUT: Duration = Duration::from_millis(100);

/// Sends a success on, piece by piece as it comes.
fn pass_on(response: reqwest::Response, mut tap: Tap) -> Response<Body> {
    let mut answer = empty(response.status());
    *answer.headers_mut() = response.headers().clone();
    tap.expect(response.headers());
    strip_model_answer(answer.headers_mut());
    let ends = matches!(tap.form, Form::Stream(_)).then(BlockEnds::default);
    let pieces = stream::try_unfold(Some((response, tap, ends)), |passing| async move {
        let Some((mut response, mut tap, mut ends)) = passing else { return Ok(None) };
        match response.chunk().await {
            Ok(Some(piece)) => {
                tap.see(&piece);
                let Some(ends_of_blocks) = &mut ends else {
                    return Ok(Some((Frame::data(piece), Some((response, tap, ends)))));
                };
                let passed = ends_of_blocks.pass(&piece);
                if !ends_of_blocks.is_complete() {
                    return Ok(Some((Frame::data(passed.into()), Some((response, tap, ends)))));
                }
                tap.pace.tell(ends_of_blocks.tool_calls());
                // The end of the answer goes out with the end of the message: between them it could be cut off again.
                // Read to its own end, so that its connection serves others.
                let _ = tokio::time::timeout(END_TIMEOUT, response.chunk()).await;
                tap.finish();
                Ok(Some((Frame::data(passed.into()), None)))
            }
            Ok(None) => {
                tap.finish();
                let left = ends.map(|mut ends| ends.finish()).filter(|left| !left.is_empty());
                Ok(left.map(|left| (Frame::data(left.into()), None)))
            }
            Err(error) => {
                tap.finish();
                Err(BoxError::from(error))
            }
        }
    });
    *answer.body_mut() = StreamBody::new(pieces).boxed_unsync();
    answer
}
