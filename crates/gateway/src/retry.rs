//! Retries requests to an overloaded API, within bounds, before the task fails.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;

/// The limit on retries. The CLI's own retries would take about three minutes and end as a "success".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudget {
    /// The total number of tries.
    pub tries: u32,
    /// The total time, including the waits.
    pub total: Duration,
    /// The first wait. Each further one is twice as long, and all have a jitter of a quarter.
    pub first_delay: Duration,
}

impl Default for RetryBudget {
    fn default() -> Self {
        RetryBudget { tries: 3, total: Duration::from_secs(15), first_delay: Duration::from_secs(1) }
    }
}

impl RetryBudget {
    /// Returns the wait before the next try, or `None` to give up. `tries` were made in `elapsed`, and the API asked for
    /// `retry_after`. `jitter` is between 0 and 1.
    pub(super) fn delay(
        &self,
        tries: u32,
        elapsed: Duration,
        retry_after: Option<Duration>,
        jitter: f64,
    ) -> Option<Duration> {
        if tries >= self.tries {
            return None;
        }
        let doubled = self.first_delay.saturating_mul(1 << tries.saturating_sub(1).min(16));
        let own = doubled.mul_f64(0.75 + jitter.clamp(0.0, 1.0) / 2.0);
        let delay = retry_after.map_or(own, |asked| asked.max(own));
        (elapsed + delay <= self.total).then_some(delay)
    }
}

/// The wait that the API asks for: `retry-after-ms`, or `Retry-After` in seconds or as a date.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let number = |name: &str, unit: f64| {
        let value: f64 = headers.get(name)?.to_str().ok()?.trim().parse().ok()?;
        Duration::try_from_secs_f64(value * unit).ok()
    };
    let date = || {
        let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
        let at = DateTimeParser::new().parse_timestamp(text).ok()?;
        Some(Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO))
    };
    number("retry-after-ms", 0.001).or_else(|| number("retry-after", 1.0)).or_else(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_and_end_with_the_tries_or_the_time() {
        let budget = RetryBudget { tries: 4, total: 10 * SECOND, first_delay: SECOND };
        assert_eq!(budget.delay(1, Duration::ZERO, None, 0.5), Some(SECOND));
        assert_eq!(budget.delay(2, Duration::ZERO, None, 0.5), Some(2 * SECOND));
        assert_eq!(budget.delay(3, Duration::ZERO, None, 1.0), Some(5 * SECOND));
        assert_eq!(budget.delay(4, Duration::ZERO, None, 0.5), None, "no tries left");
        assert_eq!(budget.delay(3, 7 * SECOND, None, 0.5), None, "no time left");
        assert_eq!(budget.delay(1, Duration::ZERO, Some(3 * SECOND), 0.5), Some(3 * SECOND));
        assert_eq!(budget.delay(1, Duration::ZERO, Some(11 * SECOND), 0.5), None, "asked for more than there is");
    }

    #[test]
    fn retry_after_is_read_in_its_three_forms() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let read = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(read("retry-after", "3"), Some(3 * SECOND));
        assert_eq!(read("retry-after", "1.5"), Some(Duration::from_millis(1500)));
        assert_eq!(read("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(read("retry-after", "Sat, 21 Nov 2026 10:00:07 GMT"), Some(7 * SECOND));
        assert_eq!(read("retry-after", "Sat, 21 Nov 2026 09:00:00 GMT"), Some(Duration::ZERO));
        for nonsense in ["soon", "-1", "NaN", ""] {
            assert_eq!(read("retry-after", nonsense), None, "{nonsense:?}");
        }
    }
}
