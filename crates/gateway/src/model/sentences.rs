//! Sentences about answers that are not passed on.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use crate::answer::shortened;

/// The number of bytes of a foreign answer that its error quotes.
const QUOTED_BYTES: usize = 120;

/// The end of a sentence about a request that was sent and whose usage is not known.
pub(super) const CHARGED: &str = "; the request is charged as reserved";

/// The part of a document that has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    Cut,
    TooLong,
    /// The rest did not come in time.
    Late,
}

fn media_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

pub(super) fn is_stream(headers: &HeaderMap) -> bool {
    media_type(headers).eq_ignore_ascii_case("text/event-stream")
}

pub(super) fn is_html(headers: &HeaderMap) -> bool {
    media_type(headers).eq_ignore_ascii_case("text/html")
}

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).eq_ignore_ascii_case("application/json")
}

/// Describes an API that took a request and has been silent `since` then. `status`: the head of the answer has arrived.
pub(super) fn silence(since: Instant, status: Option<StatusCode>) -> String {
    let seconds = since.elapsed().as_secs();
    let head = status.map_or(String::new(), |status| format!(" after the head of its answer ({})", status.as_u16()));
    format!("the model API took the request and has sent nothing{head} for {seconds} s")
}

pub(super) fn broken_sentence(end: End) -> String {
    let how = match end {
        End::Whole | End::Cut => "broke off before it stated its usage",
        End::TooLong => "is too long to be read",
        End::Late => "did not come to its end in time",
    };
    format!("the model API's answer {how}")
}

pub(super) fn foreign_sentence(headers: &HeaderMap, body: &[u8], end: End) -> String {
    let kind = match media_type(headers) {
        "" => "no content type".to_owned(),
        kind => shortened(kind),
    };
    let how = match end {
        End::Whole => "",
        End::Cut => ", cut short",
        End::TooLong => ", too long to be read",
        End::Late => ", not complete in time",
    };
    let quoted = shortened(&String::from_utf8_lossy(&body[..body.len().min(QUOTED_BYTES)]));
    format!(
        "the answer did not come from the model API ({kind}{how}: {quoted:?}); look at what stands in front of it \
         (ANTHROPIC_BASE_URL)"
    )
}
