//! Rate limits.
//!
//! Every response of the forge contains `x-ratelimit-limit`, `-remaining` and `-reset` (seconds since 1970). A
//! secondary limit is a 403 or 429, mostly with `retry-after` in seconds.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, header};
use jiff::Timestamp;

use super::GitHubError;

/// The rate limit of the credential: `remaining` of `limit` calls until `reset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    pub limit: u64,
    pub remaining: u64,
    pub reset: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Rate(Mutex<Option<RateLimit>>);

impl Rate {
    pub(super) fn read(&self) -> Option<RateLimit> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, headers: &HeaderMap) {
        let number = |name: &str| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
        let reset =
            number("x-ratelimit-reset").and_then(|seconds| Timestamp::from_second(seconds.try_into().ok()?).ok());
        if let (Some(limit), Some(remaining), Some(reset)) =
            (number("x-ratelimit-limit"), number("x-ratelimit-remaining"), reset)
        {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(RateLimit { limit, remaining, reset });
        }
    }
}

/// The pause for a secondary limit that names none: the forge's documentation recommends at least one minute.
pub(super) const SECONDARY_PAUSE: Duration = Duration::from_mins(1);

/// Returns the error if the response means that a rate limit was exceeded. `message` is the forge's.
pub(super) fn limit_of(status: u16, headers: &HeaderMap, message: &str) -> Option<GitHubError> {
    if !matches!(status, 403 | 429) {
        return None;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(pause) = text(header::RETRY_AFTER.as_str()).and_then(retry_after) {
        return Some(GitHubError::Throttled(pause));
    }
    let is_used_up = text("x-ratelimit-remaining") == Some("0");
    let reset = text("x-ratelimit-reset").and_then(|value| value.parse::<i64>().ok());
    let left = reset.map(|reset| reset.saturating_sub(Timestamp::now().as_second()));
    if let (true, Some(seconds)) = (is_used_up, left) {
        return Some(GitHubError::RateLimited(Duration::from_secs(seconds.max(1).unsigned_abs())));
    }
    // Some responses to a secondary limit have no header.
    let message = message.to_ascii_lowercase();
    let is_secondary = ["secondary rate limit", "abuse detection"].iter().any(|words| message.contains(words));
    (is_secondary || status == 429).then_some(GitHubError::Throttled(SECONDARY_PAUSE))
}

/// Reads `retry-after`: seconds, or a date.
fn retry_after(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.trim()).ok()?;
    Some(Duration::from_secs(date.duration_since(Timestamp::now()).as_secs().max(1).unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::HeaderMap;

    use super::limit_of;
    use crate::GitHubError;

    #[test]
    fn a_secondary_limit_is_known_by_its_words_where_it_has_no_header() {
        const MESSAGE: &str =
            "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect::<HeaderMap>()
        };
        for (status, pairs, message, seconds) in [
            (403, &[("x-ratelimit-remaining", "4000")][..], MESSAGE, Some(60)),
            (403, &[], "You have triggered an abuse detection mechanism.", Some(60)),
            (429, &[], "", Some(60)),
            (403, &[("retry-after", "7")], MESSAGE, Some(7)),
            // A date that has passed.
            (429, &[("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT")], MESSAGE, Some(1)),
            (403, &[], "Resource not accessible by personal access token", None),
            (422, &[], MESSAGE, None),
        ] {
            let limit = limit_of(status, &headers(pairs), message);
            let wait = limit.as_ref().and_then(GitHubError::wait).as_ref().map(Duration::as_secs);
            assert_eq!(wait, seconds, "{status} {pairs:?} {message}");
            assert!(limit.is_none_or(|limit| matches!(limit, GitHubError::Throttled(_))));
        }
        let primary =
            limit_of(403, &headers(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "9999999999")]), "");
        assert!(matches!(primary, Some(GitHubError::RateLimited(_))), "{primary:?}");
    }
}
