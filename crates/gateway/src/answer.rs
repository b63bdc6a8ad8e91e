//! Answers that the gateway makes itself.

use std::error::Error;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use serde_json::json;

use super::headers::X_SHOULD_RETRY;

pub(super) type BoxError = Box<dyn Error + Send + Sync>;
pub(super) type Body = UnsyncBoxBody<Bytes, BoxError>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The number of characters of a foreign error message that are kept.
const MAX_MESSAGE_CHARS: usize = 500;

pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}

pub(super) fn full(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// An error in the Messages API's shape, which the CLI shows to the user.
pub(super) fn model_error(status: StatusCode, kind: &str, message: &str) -> Response<Body> {
    let body = json!({ "type": "error", "error": { "type": kind, "message": message } });
    full(status, body.to_string())
}

/// Like [`model_error`], but the CLI does not retry. Measured with 2.1.332: the CLI obeys the header except for 400, 404 and 422,
/// and never retries 402, 403 and 413.
pub(super) fn final_model_error(status: StatusCode, kind: &str, message: &str) -> Response<Body> {
    let mut response = model_error(status, kind, message);
    response.headers_mut().insert(X_SHOULD_RETRY, HeaderValue::from_static("false"));
    response
}

/// An answer of the proxy. `code` is stable. `setting` is the setting that the operator would change, if that helps.
pub(super) fn proxy_error(
    status: StatusCode,
    code: &str,
    error: &str,
    target: Option<&str>,
    setting: Option<&str>,
) -> Response<Body> {
    let mut body = json!({ "code": code, "error": error });
    for (name, value) in [("target", target), ("setting", setting)] {
        if let Some(value) = value {
            body[name] = value.into();
        }
    }
    full(status, format!("{body}\n"))
}

/// Formats an error with its causes on one line.
pub(super) fn in_words(error: &dyn Error) -> String {
    shortened(&domain::error_chain(error))
}

pub(super) fn shortened(text: &str) -> String {
    let mut short: String = text.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE_CHARS).collect();
    if text.chars().nth(MAX_MESSAGE_CHARS).is_some() {
        short.push('…');
    }
    short
}
