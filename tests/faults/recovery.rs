//! Measures the time until the server works again.

use std::time::Duration;

use jiff::Timestamp;

use crate::history::{History, time_of};

/// Returns, for each kill and restart, the time from the kill to the first event of any session after the start.
pub(crate) fn after_kills(history: &History, kills: &[(Timestamp, Timestamp)]) -> Vec<Duration> {
    let mut times: Vec<Timestamp> = history.logs.values().flatten().filter_map(time_of).collect();
    times.sort();
    kills
        .iter()
        .filter_map(|(killed, started)| between(*killed, times[times.partition_point(|at| at < started)..].first()))
        .collect()
}

fn between(killed: Timestamp, on: Option<&Timestamp>) -> Option<Duration> {
    on?.duration_since(killed).try_into().ok()
}
