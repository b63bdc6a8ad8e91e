//! Days, the periods of accounting.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Date);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be a date like 2026-11-21")]
pub struct InvalidDay;

impl Day {
    pub fn of(time: Timestamp) -> Self {
        Day(time.to_zoned(TimeZone::UTC).date())
    }

    /// The day that is `days` earlier.
    #[must_use]
    pub fn minus(self, days: i64) -> Self {
        Day(self.0.saturating_sub(days.days()))
    }
}

impl FromStr for Day {
    type Err = InvalidDay;

    /// Accepts exactly `YYYY-MM-DD`. Such texts sort in the order of the days.
    fn from_str(text: &str) -> Result<Self, InvalidDay> {
        let shaped = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        let date = if shaped { text.parse().ok() } else { None };
        date.map(Day).ok_or(InvalidDay)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight_utc() {
        let day = |text: &str| Day::of(text.parse().unwrap()).to_string();
        assert_eq!(day("2026-11-21T23:59:59.999Z"), "2026-11-21");
        assert_eq!(day("2026-11-22T00:00:00Z"), "2026-11-22");
        assert_eq!("2026-03-01".parse::<Day>().unwrap().minus(1).to_string(), "2026-02-28");
        for bad in ["", "today", "2026-1-1", "2026-02-30", "20261121", "2026-11-21T00:00:00Z"] {
            assert_eq!(bad.parse::<Day>(), Err(InvalidDay), "{bad}");
        }
    }
}
