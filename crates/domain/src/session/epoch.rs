//! The lives of a session's name, and positions in the events of one of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One life of a session: a session that is created again after its deletion has another epoch. It is random, so that it
/// says nothing about other sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Epoch(u64);

#[derive(Debug, thiserror::Error)]
#[error("an epoch has {} lower-case hexadecimal digits", Epoch::DIGITS)]
pub struct InvalidEpoch;

impl Epoch {
    const DIGITS: usize = 16;

    pub fn generate() -> Self {
        Epoch(rand::random())
    }

    pub const fn from_number(number: u64) -> Self {
        Epoch(number)
    }

    pub const fn number(self) -> u64 {
        self.0
    }
}

impl FromStr for Epoch {
    type Err = InvalidEpoch;

    fn from_str(text: &str) -> Result<Self, InvalidEpoch> {
        let is_digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != Self::DIGITS || !text.bytes().all(is_digit) {
            return Err(InvalidEpoch);
        }
        u64::from_str_radix(text, 16).map(Epoch).map_err(|_| InvalidEpoch)
    }
}

impl TryFrom<String> for Epoch {
    type Error = InvalidEpoch;

    fn try_from(text: String) -> Result<Self, InvalidEpoch> {
        text.parse()
    }
}

impl From<Epoch> for String {
    fn from(epoch: Epoch) -> String {
        epoch.to_string()
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// A client's position in a session's events: `EPOCH-SEQ`, or `SEQ` from a client that knows no epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventCursor {
    pub epoch: Option<Epoch>,
    /// The number of the last event that the client has; 0 if it has none.
    pub seq: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("it must be EPOCH-SEQ or SEQ")]
pub struct InvalidEventCursor;

impl From<u64> for EventCursor {
    fn from(seq: u64) -> Self {
        EventCursor { epoch: None, seq }
    }
}

impl FromStr for EventCursor {
    type Err = InvalidEventCursor;

    fn from_str(text: &str) -> Result<Self, InvalidEventCursor> {
        let (epoch, seq) = match text.split_once('-') {
            Some((epoch, seq)) => (Some(epoch.parse().map_err(|_| InvalidEventCursor)?), seq),
            None => (None, text),
        };
        Ok(EventCursor { epoch, seq: seq.parse().map_err(|_| InvalidEventCursor)? })
    }
}

impl fmt::Display for EventCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.epoch {
            Some(epoch) => write!(f, "{epoch}-{}", self.seq),
            None => write!(f, "{}", self.seq),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Epoch, EventCursor};

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        let epoch = Some(Epoch::from_number(0xab));
        for (text, cursor) in [
            ("00000000000000ab-7", EventCursor { epoch, seq: 7 }),
            ("7", EventCursor::from(7)),
            ("18446744073709551615", EventCursor::from(u64::MAX)),
        ] {
            assert_eq!(text.parse::<EventCursor>().unwrap(), cursor);
            assert_eq!(cursor.to_string(), text);
        }
        for bad in [
            "",
            "-7",
            "ab-7",
            "00000000000000AB-7",
            "00000000000000ab-",
            "00000000000000ab--7",
            "+00000000000000a-1",
            "1-2",
        ] {
            assert!(bad.parse::<EventCursor>().is_err(), "{bad:?}");
        }
    }
}
