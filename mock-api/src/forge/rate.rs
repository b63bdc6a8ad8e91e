//! The primary rate limit: a number of calls per hour, reported in the headers of every response.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderValue};

/// The hourly limit of an authenticated user.
const LIMIT: u32 = 5000;
const PERIOD: Duration = Duration::from_hours(1);

#[derive(Debug)]
pub(super) struct Rate(Mutex<Window>);

#[derive(Debug)]
struct Window {
    remaining: u32,
    /// Seconds since 1970.
    reset: u64,
}

/// No calls are left until `reset`.
pub(super) struct Exhausted;

impl Default for Rate {
    fn default() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Rate(Mutex::new(Window { remaining: LIMIT, reset: (now + PERIOD).as_secs() }))
    }
}

impl Rate {
    pub(super) fn set_remaining(&self, remaining: u32) {
        self.window().remaining = remaining;
    }

    /// Counts a call.
    pub(super) fn take(&self) -> Result<(), Exhausted> {
        let mut window = self.window();
        window.remaining = window.remaining.checked_sub(1).ok_or(Exhausted)?;
        Ok(())
    }

    pub(super) fn write(&self, headers: &mut HeaderMap) {
        let window = self.window();
        headers.insert("x-ratelimit-limit", HeaderValue::from(LIMIT));
        headers.insert("x-ratelimit-remaining", HeaderValue::from(window.remaining));
        headers.insert("x-ratelimit-used", HeaderValue::from(LIMIT.saturating_sub(window.remaining)));
        headers.insert("x-ratelimit-reset", HeaderValue::from(window.reset));
        headers.insert("x-ratelimit-resource", HeaderValue::from_static("core"));
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
