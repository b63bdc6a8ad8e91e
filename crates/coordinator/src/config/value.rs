//! Types of settings that are more than a number. Each error names the allowed values.

use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use domain::egress::EgressRule;
use domain::model::{InvalidModelName, check_model_name};
use domain::usage::Cost;

/// An amount of memory: a number of bytes, or one with k, m or g behind it (powers of 1024).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(u64);

impl ByteSize {
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        let (number, unit) = match lower.strip_suffix(['k', 'm', 'g']) {
            Some(number) => (number, lower.as_bytes()[lower.len() - 1]),
            None => (lower.as_str(), b'b'),
        };
        let shift = match unit {
            b'k' => 10,
            b'm' => 20,
            b'g' => 30,
            _ => 0,
        };
        number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(1 << shift))
            .filter(|bytes| *bytes > 0)
            .map(ByteSize)
            .ok_or_else(|| "it must be a number of bytes, or like 512m or 2g".to_owned())
    }
}

/// The value of REPOSITORY_CACHE: a size, or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheSize(Option<ByteSize>);

impl CacheSize {
    pub fn bytes(self) -> Option<u64> {
        self.0.map(ByteSize::bytes)
    }
}

impl FromStr for CacheSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "0" => Ok(CacheSize(None)),
            text => text.parse().map(|size| CacheSize(Some(size))).map_err(|error: String| format!("{error}, or 0")),
        }
    }
}

/// A number of CPUs, kept in billionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuCount(u64);

impl CpuCount {
    pub const fn nano_cpus(self) -> u64 {
        self.0
    }
}

impl FromStr for CpuCount {
    type Err = String;

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0.01 and 1024")]
    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().parse::<f64>() {
            Ok(cpus) if (0.01..=1024.0).contains(&cpus) => Ok(CpuCount((cpus * 1e9) as u64)),
            Ok(_) | Err(_) => Err("it must be a number from 0.01 to 1024".to_owned()),
        }
    }
}

/// An amount of US dollars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dollars(Cost);

impl Dollars {
    pub const fn cost(self) -> Cost {
        self.0
    }
}

impl FromStr for Dollars {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim().parse::<f64>() {
            Ok(dollars) if dollars > 0.0 && dollars <= 1e9 => Ok(Dollars(Cost::from_dollars(dollars))),
            Ok(_) | Err(_) => Err("it must be a number of US dollars above 0, like 20 or 0.5".to_owned()),
        }
    }
}

/// The value of SANDBOX_NETWORK.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NetworkMode {
    None,
    Bridge,
}

/// The value of DRAIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DrainMode {
    Finish,
    Handoff,
}

/// The value of LOG_FORMAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// The value of WEBHOOK_ALLOW.
#[derive(Clone, Debug, Default)]
pub struct RuleList(pub Vec<EgressRule>);

impl FromStr for RuleList {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parts(text)
            .map(|part| part.parse().map_err(|error| format!("{part}: {error}")))
            .collect::<Result<_, _>>()
            .map(RuleList)
    }
}

/// The value of EVENT_RETENTION and AUDIT_RETENTION.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    pub max_age: Option<Duration>,
    pub max_bytes: Option<u64>,
}

impl FromStr for Retention {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut retention = Retention::default();
        for part in parts(text) {
            if let Some(age) = age(part) {
                retention.max_age = Some(age);
            } else if let Ok(size) = part.parse::<ByteSize>() {
                retention.max_bytes = Some(size.bytes());
            } else {
                return Err(format!("{part}: it must be an age like 30d or 12h, or a size like 500m or 10g"));
            }
        }
        Ok(retention)
    }
}

/// The value of TASK_RETENTION. `None` keeps all tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskRetention(pub Option<Duration>);

impl FromStr for TaskRetention {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "" => Ok(TaskRetention(None)),
            text => match age(text) {
                Some(age) => Ok(TaskRetention(Some(age))),
                None => Err(format!("{text}: it must be an age like 365d or 12h")),
            },
        }
    }
}

/// The value of MODEL.
pub(super) fn model_name(text: &str) -> Result<String, InvalidModelName> {
    check_model_name(text.trim()).map(|()| text.trim().to_owned())
}

/// `30d` or `12h`.
fn age(text: &str) -> Option<Duration> {
    let (number, seconds) = match text.strip_suffix('d') {
        Some(days) => (days, 24 * 60 * 60),
        None => (text.strip_suffix('h')?, 60 * 60),
    };
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    number.checked_mul(seconds).map(Duration::from_secs)
}

/// The parts of a list with commas.
pub(super) fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{ByteSize, CacheSize, CpuCount, Retention, TaskRetention};

    #[test]
    fn sizes_and_counts() {
        assert_eq!("2g".parse::<ByteSize>().unwrap().bytes(), 2 << 30);
        assert_eq!("512M".parse::<ByteSize>().unwrap().bytes(), 512 << 20);
        assert_eq!("1000".parse::<ByteSize>().unwrap().bytes(), 1000);
        for bad in ["", "0", "-1", "2t", "g", "99999999999g"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
        }
        assert_eq!("0".parse::<CacheSize>().unwrap().bytes(), None);
        assert_eq!("1k".parse::<CacheSize>().unwrap().bytes(), Some(1024));
        assert!("off".parse::<CacheSize>().is_err());
        assert_eq!("0.5".parse::<CpuCount>().unwrap().nano_cpus(), 500_000_000);
        assert!("0".parse::<CpuCount>().is_err() && "nan".parse::<CpuCount>().is_err());
    }

    #[test]
    fn retention_is_an_age_and_a_size() {
        let both: Retention = "30d, 10g".parse().unwrap();
        assert_eq!(both, Retention { max_age: Some(Duration::from_hours(720)), max_bytes: Some(10 << 30) });
        assert_eq!("12h".parse::<Retention>().unwrap().max_age, Some(Duration::from_hours(12)));
        assert_eq!("".parse::<Retention>().unwrap(), Retention::default());
        assert!("0d".parse::<Retention>().is_err() && "soon".parse::<Retention>().is_err());
        assert_eq!("2d".parse(), Ok(TaskRetention(Some(Duration::from_hours(48)))));
        assert_eq!("".parse(), Ok(TaskRetention(None)));
        assert!("0h".parse::<TaskRetention>().is_err() && "10g".parse::<TaskRetention>().is_err());
    }
}
