//! The caller's trace.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The `traceparent` header of W3C Trace Context: the caller's span, of which the task becomes a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceParent {
    /// Never 0.
    pub trace: u128,
    /// Never 0.
    pub span: u64,
    /// The caller records its trace.
    pub sampled: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("traceparent is 00-TRACE-SPAN-FLAGS with 32, 16 and 2 lower-case hexadecimal digits")]
pub struct InvalidTraceParent;

const SAMPLED: u64 = 1;

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    /// Parses any version. A later version may append fields after the flags; they are ignored.
    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let mut parts = text.split('-');
        let mut digits = |count| parts.next().filter(|part| is_hexadecimal(part, count)).ok_or(InvalidTraceParent);
        let (version, trace, span, flags) = (digits(2)?, digits(32)?, digits(16)?, digits(2)?);
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return Err(InvalidTraceParent);
        }
        let number = |digits| u64::from_str_radix(digits, 16).map_err(|_| InvalidTraceParent);
        let trace = u128::from_str_radix(trace, 16).map_err(|_| InvalidTraceParent)?;
        let (span, sampled) = (number(span)?, number(flags)? & SAMPLED == SAMPLED);
        if trace == 0 || span == 0 { Err(InvalidTraceParent) } else { Ok(TraceParent { trace, span, sampled }) }
    }
}

fn is_hexadecimal(part: &str, digits: usize) -> bool {
    part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

impl TryFrom<String> for TraceParent {
    type Error = InvalidTraceParent;

    fn try_from(text: String) -> Result<Self, InvalidTraceParent> {
        text.parse()
    }
}

impl From<TraceParent> for String {
    fn from(parent: TraceParent) -> String {
        parent.to_string()
    }
}

#[cfg(test)]
mod tests;
