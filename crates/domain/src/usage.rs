//! Tokens and money: the usage of model requests, their cost, and the accounts that are charged.

mod account;
mod day;
mod query;
mod request;

use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};

use serde::{Deserialize, Serialize};

pub use account::{Account, Balance};
pub use day::{Day, InvalidDay};
pub use query::{Dimension, UsageFilter, UsageReport, UsageRow};
pub use request::{Charge, CliCharge, OpenRequest};

/// Tokens of one or more model requests. The names are those of the Messages API.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_creation_input_tokens: u64,
    pub cache_read_input_tokens: u64,
    /// Number of model requests that got an answer.
    pub requests: u64,
}

/// An amount of money in nano-dollars. It is an integer because sums of fractions of a cent must not drift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cost(u64);

impl Cost {
    pub const ZERO: Cost = Cost(0);
    const NANOS_PER_DOLLAR: f64 = 1e9;

    pub const fn from_nano_dollars(nanos: u64) -> Self {
        Cost(nanos)
    }

    /// Converts US dollars. Negative amounts and NaN become zero; amounts above 18 billion dollars saturate.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float to integer casts saturate")]
    pub fn from_dollars(dollars: f64) -> Self {
        Cost((dollars * Self::NANOS_PER_DOLLAR).round() as u64)
    }

    pub const fn nano_dollars(self) -> u64 {
        self.0
    }

    /// The amount in US dollars.
    #[expect(clippy::cast_precision_loss, reason = "exact up to nine million dollars")]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / Self::NANOS_PER_DOLLAR
    }
}

impl Add for Usage {
    type Output = Usage;

    fn add(self, other: Usage) -> Usage {
        Usage {
            input_tokens: self.input_tokens + other.input_tokens,
            output_tokens: self.output_tokens + other.output_tokens,
            cache_creation_input_tokens: self.cache_creation_input_tokens + other.cache_creation_input_tokens,
            cache_read_input_tokens: self.cache_read_input_tokens + other.cache_read_input_tokens,
            requests: self.requests + other.requests,
        }
    }
}

impl Sub for Usage {
    type Output = Usage;

    /// The difference between two readings of the same meter. Each field saturates at zero.
    fn sub(self, earlier: Usage) -> Usage {
        Usage {
            input_tokens: self.input_tokens.saturating_sub(earlier.input_tokens),
            output_tokens: self.output_tokens.saturating_sub(earlier.output_tokens),
            cache_creation_input_tokens: self
                .cache_creation_input_tokens
                .saturating_sub(earlier.cache_creation_input_tokens),
            cache_read_input_tokens: self.cache_read_input_tokens.saturating_sub(earlier.cache_read_input_tokens),
            requests: self.requests.saturating_sub(earlier.requests),
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Usage) {
        *self = *self + other;
    }
}

impl Add for Cost {
    type Output = Cost;

    fn add(self, other: Cost) -> Cost {
        Cost(self.0.saturating_add(other.0))
    }
}

impl Sub for Cost {
    type Output = Cost;

    fn sub(self, earlier: Cost) -> Cost {
        Cost(self.0.saturating_sub(earlier.0))
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        *self = *self + other;
    }
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Cost>>(costs: I) -> Cost {
        costs.fold(Cost::ZERO, Add::add)
    }
}
