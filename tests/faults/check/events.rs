//! Checks that events are numbered from 1 without a gap, and that each subscriber received exactly the events of the log, once and
//! in order, even after reconnecting.

use serde_json::Value;

use super::Findings;
use crate::history::{Follower, History, seq};

pub(super) fn check(history: &History, findings: &mut Findings) {
    for (session, log) in &history.logs {
        numbered(&format!("the log of {session}"), 0, log, findings);
    }
    for follower in &history.followers {
        saw_the_log(follower, history.log(&follower.session), findings);
    }
}

fn numbered(what: &str, since: u64, events: &[Value], findings: &mut Findings) {
    let mut last = since;
    for event in events {
        match seq(event) {
            Some(seq) if seq == last + 1 => {}
            Some(seq) if seq > last => {
                findings.events_lost.push(format!("{what}: {seq} comes after {last}"));
            }
            Some(seq) => findings.events_doubled.push(format!("{what}: {seq} comes after {last}")),
            None => findings.events_lost.push(format!("{what}: {event} instead of {}", last + 1)),
        }
        last = seq(event).unwrap_or(last);
    }
}

fn saw_the_log(follower: &Follower, log: &[Value], findings: &mut Findings) {
    for connection in &follower.connections {
        let what = format!("a subscriber of {} from {}", follower.session, connection.since);
        numbered(&what, connection.since, &connection.events, findings);
        for event in &connection.events {
            let place = seq(event).and_then(|seq| usize::try_from(seq).ok()).and_then(|seq| seq.checked_sub(1));
            let logged = place.and_then(|place| log.get(place));
            if logged != Some(event) {
                findings.events_lost.push(format!("{what}: saw {event}, and the log has {logged:?}"));
            }
        }
    }
    // Each connection must continue where the one before ended.
    for pair in follower.connections.windows(2) {
        let reached = pair[0].events.last().and_then(seq).unwrap_or(pair[0].since);
        if pair[1].since != reached {
            findings.events_lost.push(format!("a subscriber had {reached} and came back with {}", pair[1].since));
        }
    }
}
