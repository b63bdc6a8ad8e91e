//! Model requests: which ones are forwarded, and how their answers return.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use domain::access::KeyId;
use domain::egress::{EgressChannel, EgressDecision, EgressRefusal};
use domain::model::is_asked_model;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;
use tracing::Instrument as _;

use self::relay::{Relay, while_read};
use self::request_policy::Checked;
use super::activity::OpenRequest;
use super::answer::{Body, empty, final_model_error, model_error, shortened};
use super::body_room::Room;
use super::bound::{Bound, Contents};
use super::failure::GatewayFailure;
use super::headers::strip_model_request;
use super::meter::MeteredRequest;
use super::permission::{self, Denied, Permitted};
use super::sandbox::SandboxGateway;
use super::task::TaskRequests;
use crate::budget::Refusal;

mod asked;
mod forward;
mod relay;
mod request_policy;
mod sentences;
mod trouble;
mod unprocessed;

/// The time after which a request that found no memory is tried again.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// A body up to this size is read where it is: in less than a millisecond.
const MAX_INLINE_BYTES: usize = 64 * 1024;

/// The time in which an agent can send a body that is not kept.
const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);

/// A slow model writes so many tokens in a second. An answer that is not streamed comes when all of them are written.
const SLOW_TOKENS_PER_SECOND: u64 = 20;

/// The most time that an answer is given to be written. Claude Code itself gives up after ten minutes.
const MAX_WRITING: Duration = Duration::from_mins(10);

/// The paths that Claude Code needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Messages,
    /// This request costs nothing, and the CLI continues if it fails.
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

/// A request that was read completely, so that it can be sent more than once.
struct ModelRequest {
    endpoint: Endpoint,
    query: Option<String>,
    headers: HeaderMap,
    body: Bytes,
    model: String,
    /// The task asks for this model, so that an API which refuses it refuses the task.
    is_of_task: bool,
    /// The time that the request and its answer take, besides the time until an answer begins.
    allowance: Duration,
}

pub(super) async fn answer(sandbox: &Arc<SandboxGateway>, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if path == "/" && matches!(head.method, Method::GET | Method::HEAD) {
        // The CLI checks once that the address answers.
        return empty(StatusCode::OK);
    }
    let Some(endpoint) = Endpoint::of(&head.method, path).filter(|_| is_known_query(head.uri.query())) else {
        let asked = shortened(&format!("{} {}", head.method, head.uri));
        sandbox.decided(EgressChannel::Model, &asked, EgressDecision::Refused(EgressRefusal::NotForwarded));
        let message = format!("{asked} is not forwarded by Claude Runner");
        return model_error(StatusCode::NOT_FOUND, "not_found_error", &message);
    };
    let open = OpenRequest::new(&sandbox.activity_tracker);
    // While requests are held, it is not certain yet which task pays.
    sandbox.request_gate.until_free().await;
    // Without a task no key is known whose share of the room the body would take.
    let Some(task) = sandbox.meter.running() else {
        discard(sandbox, body).await;
        return no_task(sandbox, endpoint);
    };
    let (body, room) = match read_body(sandbox, task.payer.key.clone(), body).await {
        Ok(read) => read,
        Err(answer) => return *answer,
    };
    sandbox.request_gate.until_free().await;
    // The task may have ended meanwhile.
    let Some(task) = sandbox.meter.running() else {
        return no_task(sandbox, endpoint);
    };
    let payer_task = Arc::clone(&task);
    let check =
        move |body: Bytes| (request_policy::check(&body), permission::check(body, &payer_task.payer.key_limits));
    let (checked, permitted) = examine(body, check).await;
    let Checked { contents, unknown_fields } = match checked {
        Ok(checked) => checked,
        Err(violation) => {
            sandbox.decided(
                EgressChannel::Model,
                violation.what(),
                EgressDecision::Refused(EgressRefusal::ReachesFurther),
            );
            return model_error(StatusCode::BAD_REQUEST, "invalid_request_error", &violation.to_string());
        }
    };
    sandbox.shared.unknown_fields.note(&unknown_fields, &sandbox.shared.metrics);
    let Ok(slot) = Arc::clone(&sandbox.relays).try_acquire_owned() else {
        let message = "this sandbox has too many model requests open";
        return model_error(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", message);
    };
    let mut headers = head.headers;
    let is_main = asked::is_conversation(&headers, &contents, sandbox);
    let Started { body, model, entry, allowance } =
        match start(sandbox, endpoint, permitted, &contents, &task, is_main).await {
            Ok(started) => started,
            Err(answer) => return *answer,
        };
    strip_model_request(&mut headers);
    sandbox.shared.removed_betas.remove(&mut headers, &sandbox.shared.metrics);
    let is_of_task = task.model.as_deref().is_none_or(|asked| is_asked_model(&model, asked));
    let query = head.uri.query().map(str::to_owned);
    let request = ModelRequest { endpoint, query, headers, body, model, is_of_task, allowance };
    let relay = Relay { sandbox: Arc::clone(sandbox), request, room, entry, task, slot };
    let (answer, answered) = oneshot::channel();
    sandbox.shared.tracker.spawn(relay.run(answer).in_current_span());
    match answered.await {
        Ok(answer) => while_read(answer, open),
        // The runtime is shutting down.
        Err(_) => model_error(StatusCode::SERVICE_UNAVAILABLE, "api_error", "the gateway is being closed"),
    }
}

fn no_task(sandbox: &SandboxGateway, endpoint: Endpoint) -> Response<Body> {
    sandbox.decided(EgressChannel::Model, endpoint.path(), EgressDecision::Refused(EgressRefusal::NoTaskRuns));
    let message = "no task runs in this sandbox, and Claude Runner forwards no other requests";
    final_model_error(StatusCode::FORBIDDEN, "permission_error", message)
}

/// Reads a body without keeping it. An agent that cannot send its body to the end would take the answer for a broken connection.
async fn discard(sandbox: &SandboxGateway, mut body: Incoming) {
    let bounds = &sandbox.shared.bounds;
    let read = async {
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await
            && bytes <= bounds.body_bytes
        {
            bytes += frame.data_ref().map_or(0, Bytes::len);
        }
    };
    // The answer does not depend on the body.
    let _ = tokio::time::timeout(DISCARD_TIMEOUT.min(bounds.idle_timeout), read).await;
}

/// Waits for buffer space, then reads the body.
async fn read_body(
    sandbox: &SandboxGateway,
    key: Option<KeyId>,
    body: Incoming,
) -> Result<(Bytes, Room), Box<Response<Body>>> {
    let bounds = &sandbox.shared.bounds;
    let refuse = |status, kind: &str, message: &str| Box::new(model_error(status, kind, message));
    let too_large = || {
        let message = format!("a request may have {} bytes", bounds.body_bytes);
        refuse(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", &message)
    };
    let announced = body.size_hint().upper().map_or(Some(bounds.body_bytes), |bytes| usize::try_from(bytes).ok());
    let bytes = announced.filter(|bytes| *bytes <= bounds.body_bytes).ok_or_else(too_large)?;
    // Never request more than the total space, because the wait would not end.
    let bytes = bytes.min(bounds.buffered_bytes).min(bounds.key_buffered_bytes).min(bounds.all_buffered_bytes);
    let Ok(room) = sandbox.shared.body_room.take(&sandbox.buffered, key, bytes).await else {
        let message = "there is no memory for the request's body now; try again";
        let mut answer = refuse(StatusCode::SERVICE_UNAVAILABLE, "api_error", message);
        answer.headers_mut().insert(RETRY_AFTER, RETRY_SECONDS);
        return Err(answer);
    };
    let read = Limited::new(body, bounds.body_bytes).collect();
    match tokio::time::timeout(bounds.idle_timeout, read).await {
        Ok(Ok(collected)) => Ok((collected.to_bytes(), room)),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(refuse(StatusCode::BAD_REQUEST, "invalid_request_error", "the request's body was cut")),
        Err(_) => Err(refuse(StatusCode::REQUEST_TIMEOUT, "timeout_error", "the request's body did not come")),
    }
}

/// Runs what reads a whole body. A long one takes a thread of its own, because reading 32 MiB would hold up everything else that the
/// thread of the runtime has to do.
async fn examine<T: Send + 'static>(body: Bytes, check: impl FnOnce(Bytes) -> T + Send + 'static) -> T {
    if body.len() <= MAX_INLINE_BYTES {
        return check(body);
    }
    match spawn_blocking(move || check(body)).await {
        Ok(outcome) => outcome,
        // The check panicked, or the runtime is shutting down and drops this future too.
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}

/// A request that may be sent.
struct Started {
    body: Bytes,
    model: String,
    /// `None`: the request costs nothing.
    entry: Option<MeteredRequest>,
    allowance: Duration,
}

/// Opens an entry of the meter for a request that costs something, once its key and the budgets allow it. `is_main`: the request
/// is one of the task's main conversation, whose model is the task's.
async fn start(
    sandbox: &SandboxGateway,
    endpoint: Endpoint,
    permitted: Result<Permitted, Denied>,
    contents: &Contents,
    task: &Arc<TaskRequests>,
    is_main: bool,
) -> Result<Started, Box<Response<Body>>> {
    let refused = |status, kind, sentence: String, failure: fn(String) -> GatewayFailure| {
        let answer = final_model_error(status, kind, &sentence);
        sandbox.fail(failure(sentence));
        Box::new(answer)
    };
    let Permitted { body, model, output_tokens, is_streamed } = match permitted {
        Ok(permitted) => permitted,
        Err(denied @ Denied::Malformed(_)) => {
            return Err(Box::new(model_error(StatusCode::BAD_REQUEST, "invalid_request_error", &denied.to_string())));
        }
        Err(denied @ (Denied::Model { .. } | Denied::Thinking { .. })) => {
            let failure = |sentence| GatewayFailure::BadRequest { sentence };
            return Err(refused(StatusCode::FORBIDDEN, "permission_error", denied.to_string(), failure));
        }
    };
    let allowance = allowance(body.len(), output_tokens.filter(|_| !is_streamed));
    if endpoint == Endpoint::CountTokens {
        return Ok(Started { body, model, entry: None, allowance });
    }
    if is_main && let Some(sentence) = asked::mismatch(task.model.as_deref(), &model) {
        let failure = |sentence| GatewayFailure::ModelRefused { sentence };
        return Err(refused(StatusCode::FORBIDDEN, "permission_error", sentence, failure));
    }
    let bound = Bound::of(body.len(), contents, output_tokens);
    let reserved = tokio::select! {
        reserved = sandbox.meter.reserve(task, &model, &bound) => reserved,
        () = task.ended() => return Err(Box::new(no_task(sandbox, endpoint))),
    };
    match reserved {
        // The session counts open requests after it has ended the task, so this request is never sent.
        Ok(_) if task.has_ended() => Err(Box::new(no_task(sandbox, endpoint))),
        Ok(entry) => Ok(Started { body, model, entry: Some(entry), allowance }),
        Err(Refusal::Spent(spent)) => {
            let failure = |sentence| GatewayFailure::BudgetExceeded { sentence };
            Err(refused(StatusCode::PAYMENT_REQUIRED, "billing_error", spent.to_string(), failure))
        }
        Err(Refusal::Store(error)) => {
            let sentence = format!("the request could not be stored, so it was not sent: {error}");
            let answer = model_error(StatusCode::SERVICE_UNAVAILABLE, "api_error", &sentence);
            sandbox.fail(GatewayFailure::Unreachable { sentence });
            Err(Box::new(answer))
        }
    }
}

/// Returns the time for sending a body at 1 MB/s, and for writing an answer that comes as a whole.
fn allowance(body_bytes: usize, unstreamed_tokens: Option<u64>) -> Duration {
    let sending = Duration::from_micros(body_bytes as u64);
    let writing =
        Duration::from_millis(unstreamed_tokens.unwrap_or_default().saturating_mul(1000) / SLOW_TOKENS_PER_SECOND);
    sending + writing.min(MAX_WRITING)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{MAX_WRITING, allowance};

    #[test]
    fn a_long_answer_that_is_not_streamed_has_time_to_be_written() {
        assert_eq!(allowance(200_000, None), Duration::from_millis(200));
        assert_eq!(allowance(0, Some(1)), Duration::from_millis(50));
        assert_eq!(allowance(0, Some(8_000)), Duration::from_secs(400));
        assert_eq!(allowance(0, Some(u64::MAX)), MAX_WRITING);
    }
}
