//! An age in a setting.

use std::str::FromStr;
use std::time::Duration;

/// A number of days, hours, minutes or seconds, or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age(Duration);

impl Age {
    pub const fn duration(self) -> Duration {
        self.0
    }
}

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let age = |suffix: char, seconds: u64| {
            let number: u64 = text.strip_suffix(suffix)?.parse().ok()?;
            number.checked_mul(seconds).map(Duration::from_secs)
        };
        (text == "0")
            .then_some(Duration::ZERO)
            .or_else(|| age('d', 24 * 60 * 60))
            .or_else(|| age('h', 60 * 60))
            .or_else(|| age('m', 60))
            .or_else(|| age('s', 1))
            .map(Age)
            .ok_or_else(|| "it must be an age like 7d, 12h or 30m, or 0".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Age;

    #[test]
    fn ages_have_a_unit() {
        let age = |text: &str| text.parse::<Age>().map(Age::duration);
        assert_eq!(age("7d"), Ok(Duration::from_hours(168)));
        assert_eq!(age("90s"), Ok(Duration::from_secs(90)));
        assert_eq!((age("0"), age("0d")), (Ok(Duration::ZERO), Ok(Duration::ZERO)));
        assert!(["", "7", "d", "-1d", "1w"].iter().all(|bad| age(bad).is_err()));
    }
}
