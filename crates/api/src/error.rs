//! Errors as `application/problem+json` (RFC 9457). The only place that turns one into a response.

mod conversions;
mod task;

use api_types::Nullable;
use api_types::ask::{Ask, AskState};
use api_types::problem::{Problem, ProblemStatus};
use axum::response::{IntoResponse, Response};
use domain::access::Scope;
use domain::task::{ErrorType, TaskRecord};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode, Uri};
use tracing::error;

use self::task::status_of;
use super::perimeter::Refusal;
use super::view;
use crate::access::{Exhausted, TooManyRequests};

pub(super) const NO_KEY: &str = "an API key is needed: send `Authorization: Bearer KEY`";

/// A refusal or a failure, as a caller gets it.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    retry_after_seconds: Option<u32>,
    problem: Box<Problem>,
}

impl ApiError {
    /// `code` is stable, because callers depend on it. `sentence` states the problem and the remedy.
    fn new(status: StatusCode, code: &'static str, sentence: impl Into<String>) -> Self {
        let sentence = sentence.into();
        let problem = Problem {
            kind: "about:blank".to_owned(),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: ProblemStatus::Http(status.as_u16()),
            detail: sentence.clone(),
            code: code.to_owned(),
            retryable: false,
            error: sentence,
            task_id: None,
            session_id: None,
            output: None,
            response: None,
            cost: None,
            cli_cost: None,
            duration: None,
            tools: None,
            resumed: None,
            usage: None,
            price_assumed: None,
            error_type: None,
            task_status: None,
            http_status: None,
            ask: None,
        };
        ApiError { status, retry_after_seconds: None, problem: Box::new(problem) }
    }

    /// The problem in words, for tests of other modules.
    #[cfg(test)]
    pub(super) fn sentence(&self) -> &str {
        &self.problem.detail
    }

    pub(super) fn invalid(sentence: impl Into<String>) -> Self {
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_request", sentence)
    }

    pub(super) fn too_large(limit: usize) -> Self {
        let sentence = format!("the body is larger than {limit} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", sentence)
    }

    pub(super) fn body_timeout() -> Self {
        let sentence = "the body took too long to arrive";
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", sentence)
    }

    pub(super) fn unsupported_media_type() -> Self {
        let sentence = "a body must be JSON: send `Content-Type: application/json`";
        ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", sentence)
    }

    pub(super) fn unsupported_encoding() -> Self {
        let sentence = "a body may be compressed by gzip: send `Content-Encoding: gzip`, or the body as it is";
        ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", sentence)
    }

    pub(super) fn refused(refusal: &Refusal) -> Self {
        let (status, code) = match refusal {
            Refusal::InvalidHost(_) => (StatusCode::BAD_REQUEST, "invalid_host"),
            Refusal::HostNotAllowed(_) => (StatusCode::MISDIRECTED_REQUEST, "host_not_allowed"),
            Refusal::OriginNotAllowed => (StatusCode::FORBIDDEN, "origin_not_allowed"),
            Refusal::CrossSite => (StatusCode::FORBIDDEN, "cross_site"),
            Refusal::TwoLengths => (StatusCode::BAD_REQUEST, "invalid_request"),
        };
        ApiError::new(status, code, refusal.to_string())
    }

    pub(super) fn unknown_session(id: &str) -> Self {
        ApiError::new(StatusCode::NOT_FOUND, "session_not_found", format!("there is no session {id:?}"))
    }

    pub(super) fn unknown_task(id: &str) -> Self {
        ApiError::new(StatusCode::NOT_FOUND, "task_not_found", format!("there is no task {id:?}"))
    }

    pub(super) fn unknown_ask(id: &str) -> Self {
        ApiError::new(StatusCode::NOT_FOUND, "ask_not_found", format!("there is no ask {id:?}"))
    }

    /// An answer that came too late. The problem has what was decided.
    pub(super) fn ask_ended(ask: Ask) -> Self {
        let what = match (ask.state, ask.decision) {
            (AskState::Withdrawn, _) => "it was withdrawn, because its agent no longer waits for it".to_owned(),
            (state, Some(decision)) => format!("it is {}: {}", api_types::word(&state), api_types::word(&decision)),
            (state, None) => format!("it is {}", api_types::word(&state)),
        };
        let mut error = ApiError::new(StatusCode::CONFLICT, "ask_ended", format!("the ask has ended: {what}"));
        error.problem.task_id = Some(ask.task_id.clone());
        error.problem.session_id = Some(ask.session_id.clone());
        error.problem.ask = Some(Box::new(ask));
        error
    }

    pub(super) fn unknown_webhook(id: &str) -> Self {
        ApiError::new(StatusCode::NOT_FOUND, "webhook_not_found", format!("there is no webhook {id:?}"))
    }

    pub(super) fn key_needed() -> Self {
        ApiError::unauthorized(NO_KEY)
    }

    /// The sentence distinguishes a wrong credential from a missing one, but not a revoked key from an unknown one.
    pub(super) fn unauthorized(sentence: &'static str) -> Self {
        ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", sentence)
    }

    pub(super) fn forbidden(needed: Scope) -> Self {
        let sentence = format!("this API key may not do that: it needs the scope {}", needed.as_str());
        ApiError::new(StatusCode::FORBIDDEN, "forbidden", sentence)
    }

    pub(super) fn foreign_session(prefix: &str) -> Self {
        let sentence = format!("sessionId: this API key may use sessions whose ids begin with {prefix:?} only");
        ApiError::new(StatusCode::FORBIDDEN, "forbidden", sentence)
    }

    /// The request concerns all sessions, but the key is limited to a prefix.
    pub(super) fn not_for_a_prefix(prefix: &str) -> Self {
        let sentence = format!(
            "this API key is for sessions whose ids begin with {prefix:?}, and this is about all of them: use a key without a prefix"
        );
        ApiError::new(StatusCode::FORBIDDEN, "forbidden", sentence)
    }

    pub(super) fn model_not_allowed(model: &str, allowed: &[String]) -> Self {
        let sentence = format!("model: this API key may not use {model:?}, only {}", allowed.join(", "));
        ApiError::new(StatusCode::FORBIDDEN, "forbidden", sentence)
    }

    pub(super) fn no_prices_url() -> Self {
        let sentence = "there is no table of prices to fetch: set MODEL_PRICES_URL";
        ApiError::new(StatusCode::CONFLICT, "no_prices_url", sentence)
    }

    /// The prices could not be fetched. The earlier ones stay.
    pub(super) fn prices_unavailable(error: &gateway::FeedError) -> Self {
        ApiError::new(StatusCode::BAD_GATEWAY, "prices_unavailable", error.to_string())
    }

    /// The template cannot be used, and its operator must repair it.
    pub(super) fn agent_unusable(problem: &str) -> Self {
        let sentence = format!("the agent cannot be used: {problem}");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "agent_unusable", sentence)
    }

    pub(super) fn rate_limited(TooManyRequests(wait): TooManyRequests) -> Self {
        let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        let sentence = format!("too many requests; try again in {seconds} s");
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", sentence).retry_after(seconds)
    }

    /// `held` is the name of the resource in the plural.
    pub(super) fn exhausted(held: &str, exhausted: Exhausted) -> Self {
        let sentence = match exhausted {
            Exhausted::Share(share) => {
                format!("too many {held}: one key, or one address without a key, may have {share} at once")
            }
            Exhausted::Total => format!("too many {held} at once; try again soon"),
        };
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", sentence).retry_after(5)
    }

    pub(super) fn lists_busy() -> Self {
        let sentence = "too many lists are being read, or this one took too long; try again soon";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "lists_busy", sentence).retry_after(2)
    }

    pub(super) fn too_many_bodies(exhausted: Exhausted) -> Self {
        let whose = match exhausted {
            Exhausted::Share(_) => "of this key, or of this address without a key,",
            Exhausted::Total => "of all callers",
        };
        let sentence = format!("too many large bodies {whose} are being received; try again soon");
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", sentence).retry_after(2)
    }

    pub(super) fn too_many_tickets() -> Self {
        let sentence = "too many tickets are open; each is good for 30 s, so try again soon";
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", sentence).retry_after(5)
    }

    pub(super) fn no_forge() -> Self {
        let sentence = "there is no credential for repository tasks: set GITHUB_TOKEN, or GITHUB_APP_ID and GITHUB_APP_PRIVATE_KEY_FILE";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no_forge", sentence)
    }

    pub(super) fn not_repeatable(sentence: &str) -> Self {
        ApiError::new(StatusCode::CONFLICT, "not_repeatable", sentence)
    }

    pub(super) fn shutting_down() -> Self {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", "the server is shutting down; try again soon")
            .retry_after(5)
    }

    /// A synchronous task that did not complete.
    pub(super) fn task_failed(record: &TaskRecord) -> Self {
        let failure = record
            .failure
            .clone()
            .unwrap_or_else(|| domain::task::Failure::new(ErrorType::ExitCode, "the task failed"));
        let (status, code) = status_of(failure.error_type);
        let mut error = ApiError::new(status, code, failure.error);
        if let Some(answer) = record.answer.clone() {
            let problem = &mut error.problem;
            problem.output = Some(Nullable(answer.output));
            problem.response = answer.response;
            problem.cost = Some(answer.cost);
            problem.cli_cost = Some(answer.cli_cost);
            problem.duration = Some(answer.duration);
            problem.tools = Some(answer.tools);
            problem.resumed = Some(answer.resumed);
            problem.usage = Some(answer.usage.into());
            problem.price_assumed = answer.price_assumed.then_some(true);
        }
        // A task's `status` is part of the API and older than RFC 9457's, so it replaces the latter.
        error.problem.status = ProblemStatus::Task(record.status.into());
        error.problem.task_status = Some(record.status.into());
        error.problem.http_status = Some(status.as_u16());
        error.problem.task_id = Some(record.id.clone());
        error.problem.session_id = Some(record.session_id.clone());
        error.problem.error_type = Some(failure.error_type.into());
        // Only the operator can give the server a credential.
        let may_heal = status == StatusCode::SERVICE_UNAVAILABLE && failure.error_type != ErrorType::NoCredential;
        if may_heal { error.retry_after(30) } else { error }
    }

    fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self.problem.retryable = true;
        self
    }

    /// The container engine failed to do what a request needs.
    pub(super) fn engine(cause: &engine::EngineError) -> Self {
        tracing::warn!(error = %cause, "a request failed because of the container engine");
        let sentence = "unexpected answer of the container engine; see the server's log";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "engine_unavailable", sentence).retry_after(5)
    }

    pub(super) fn files_changed() -> Self {
        let sentence = "the files changed while they were read; try again";
        ApiError::new(StatusCode::CONFLICT, "changed", sentence).retry_after(1)
    }

    /// No sandbox could read the files.
    pub(super) fn no_files(cause: &dyn std::error::Error) -> Self {
        tracing::warn!(error = domain::error_chain(cause), "could not read the files of a session");
        let sentence = "the files of the session cannot be read now; see the server's log";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "engine_unavailable", sentence).retry_after(5)
    }

    pub(super) fn internal(cause: &dyn std::error::Error) -> Self {
        error!(cause = ?cause, "request failed: {cause}");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "internal error; see the server's log")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, view::text(&self.problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

pub(super) async fn not_found(uri: Uri) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not_found", format!("there is nothing at {}", uri.path()))
}

pub(super) async fn method_not_allowed(method: http::Method, uri: Uri) -> ApiError {
    let sentence = format!("{method} is not possible at {}", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", sentence)
}
