//! An answer that is no success.

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use reqwest::header::LOCATION;
use serde::Deserialize;
use tokio::time::Instant;

use crate::answer::{Body, final_model_error, full, shortened};
use crate::headers::{X_SHOULD_RETRY, strip_model_answer};
use crate::upstream::Upstream;

/// The API's own status for "overloaded".
const OVERLOADED: u16 = 529;

/// An unsuccessful answer, read as far as it arrived in time.
pub(super) struct Trouble {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// The body is an error in the shape of the API.
    pub(super) is_of_api: bool,
    kind: String,
    message: String,
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error: ErrorDetail,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorDetail {
    r#type: String,
    message: String,
}

impl Trouble {
    /// Reads the part of the answer that arrives before the deadline.
    pub(super) async fn read(response: reqwest::Response, deadline: Instant) -> Trouble {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = Upstream::error_body(response, deadline).await;
        let ErrorDetail { r#type: kind, message } =
            serde_json::from_slice::<ErrorBody>(&body).unwrap_or_default().error;
        let is_of_api = !kind.is_empty();
        let kind = if kind.is_empty() { "api_error".to_owned() } else { shortened(&kind) };
        Trouble { status, headers, body, is_of_api, kind, message: shortened(&message) }
    }

    pub(super) fn is_overload(&self) -> bool {
        match self.status.as_u16() {
            429 | OVERLOADED => true,
            503 => self.kind == "overloaded_error",
            _ => false,
        }
    }

    /// Returns true if the API, or a gateway in front of it, does not have this model.
    pub(super) fn refuses_model(&self, model: &str) -> bool {
        const REFUSALS: [&str; 6] = [
            "invalid model",
            "model identifier",
            "model not found",
            "model_not_found",
            "no such model",
            "unknown model",
        ];
        const OF_MODEL: [&str; 8] = [
            "access",
            "deprecated",
            "end-of-life",
            "not a valid",
            "not available",
            "not exist",
            "not found",
            "retired",
        ];
        let message = self.message.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
        match self.status.as_u16() {
            400 | 403 | 404 | 422 => {
                message.starts_with("model:")
                    || self.kind == "model_not_found"
                    || says(&REFUSALS)
                    || (says(&[&model.to_ascii_lowercase()]) && says(&OF_MODEL))
            }
            _ => false,
        }
    }

    /// Returns true if the CLI may correct the request by itself: it leaves out features that the API does not take, and shortens a
    /// conversation that is too long.
    pub(super) fn may_be_corrected(&self) -> bool {
        const WORDS: [&str; 20] = [
            "beta",
            "cache",
            "context",
            "defer",
            "display",
            "document",
            "extra",
            "field",
            "header",
            "image",
            "long",
            "max_tokens",
            "media",
            "output_config",
            "pdf",
            "schema",
            "support",
            "thinking",
            "tool",
            "unknown",
        ];
        let message = self.message.to_ascii_lowercase();
        WORDS.iter().any(|word| message.contains(word))
    }

    /// Returns true if the API itself marks a retry as useless.
    pub(super) fn is_final(&self) -> bool {
        self.headers.get(X_SHOULD_RETRY).is_some_and(|value| value == "false")
    }

    pub(super) fn sentence(&self) -> String {
        let status = self.status.as_u16();
        if self.message.is_empty() {
            format!("the model API answered {status}")
        } else {
            format!("the model API answered {status} ({}: {})", self.kind, self.message)
        }
    }

    pub(super) fn location(&self) -> String {
        let location = self.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        location.map_or_else(|| "elsewhere".to_owned(), shortened)
    }

    /// Returns the answer with a status after which the CLI does not try again. Version 2.1.332 repeats a request that got 400 or
    /// 422 five times, each time with fewer features, and ignores `x-should-retry`.
    pub(super) fn pass_as_final(self) -> Response<Body> {
        final_model_error(StatusCode::PAYMENT_REQUIRED, &self.kind, &self.message)
    }

    /// Returns the answer unchanged.
    pub(super) fn pass(self) -> Response<Body> {
        let mut answer = full(self.status, self.body);
        let mut headers = self.headers;
        strip_model_answer(&mut headers);
        *answer.headers_mut() = headers;
        answer
    }
}
