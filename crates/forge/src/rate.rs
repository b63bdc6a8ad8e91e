//! Rate limits.
//!
//! Every response of the forge contains `x-ratelimit-limit`, `-remaining` and `-reset` (seconds since 1970). A
//! secondary limit is a 403 or 429 with `retry-after` in seconds.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, header};
use jiff::Timestamp;

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

/// Returns the time to wait if the response means that a rate limit was exceeded.
pub(super) fn wait_of(status: u16, headers: &HeaderMap) -> Option<Duration> {
    if !matches!(status, 403 | 429) {
        return None;
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(seconds) = text(header::RETRY_AFTER.as_str()).and_then(|value| value.parse().ok()) {
        return Some(Duration::from_secs(seconds));
    }
    let is_used_up = text("x-ratelimit-remaining") == Some("0");
    let reset = text("x-ratelimit-reset").and_then(|value| value.parse::<i64>().ok());
    let left = reset.map(|reset| reset.saturating_sub(Timestamp::now().as_second()));
    match (is_used_up, left) {
        (true, Some(seconds)) => Some(Duration::from_secs(seconds.max(1).unsigned_abs())),
        // For a secondary limit without a time, the forge's documentation recommends one minute.
        (_, _) if status == 429 => Some(Duration::from_mins(1)),
        (_, _) => None,
    }
}
