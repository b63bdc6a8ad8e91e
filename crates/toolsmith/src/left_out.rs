//! The parts of an input that are not part of any tool.

use std::collections::BTreeMap;

/// The maximum number of places that are named for one reason.
const MAX_PLACES: usize = 3;

/// The requests and operations left out, by reason.
#[derive(Debug, Default)]
pub struct LeftOut(BTreeMap<String, Omitted>);

/// The entries left out for one reason.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Omitted {
    pub count: usize,
    /// The first of their places in the input. The list is empty if the reason explains itself.
    pub places: Vec<String>,
}

impl LeftOut {
    /// Counts one entry.
    pub(super) fn add(&mut self, reason: impl Into<String>) {
        self.0.entry(reason.into()).or_default().count += 1;
    }

    /// Counts an odd entry and records its place, as in `log.entries[3].request.url`.
    pub(super) fn add_odd(&mut self, Odd { reason, place }: Odd) {
        let omitted = self.0.entry(reason).or_default();
        omitted.count += 1;
        if omitted.places.len() < MAX_PLACES {
            omitted.places.push(place);
        }
    }

    pub(super) fn add_all(&mut self, odd: Vec<Odd>) {
        for odd in odd {
            self.add_odd(odd);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Omitted)> {
        self.0.iter().map(|(reason, omitted)| (reason.as_str(), omitted))
    }
}

impl Omitted {
    /// The places for people: `log.entries[1], log.entries[4], …`.
    pub(super) fn shown(&self) -> String {
        let more = if self.count > self.places.len() { ", …" } else { "" };
        if self.places.is_empty() { String::new() } else { format!("({}{more})", self.places.join(", ")) }
    }
}

/// A part of an input that cannot be used.
#[derive(Debug)]
pub(super) struct Odd {
    pub(super) reason: String,
    pub(super) place: String,
}

impl Odd {
    pub(super) fn new(reason: impl Into<String>, place: impl Into<String>) -> Self {
        Odd { reason: reason.into(), place: place.into() }
    }
}
