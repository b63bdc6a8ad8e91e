//! Checks a history against the promises. The code is pure: a history in, violations out. The wrong histories of [`tests`] show
//! that the checker finds violations.

mod answers;
mod events;
mod tasks;

use crate::history::History;

/// The violations that were found, one sentence each.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// Accepted tasks without an end.
    pub(crate) tasks_lost: Vec<String>,
    /// Tasks that ended, ran or reached the model more than once, and tasks that no caller submitted.
    pub(crate) tasks_doubled: Vec<String>,
    /// Tasks that ended for a reason that does not apply, or with another answer than the model gave.
    pub(crate) wrong_reason: Vec<String>,
    pub(crate) events_lost: Vec<String>,
    /// Events that a subscriber received twice or out of order.
    pub(crate) events_doubled: Vec<String>,
}

impl Findings {
    pub(crate) fn of(history: &History) -> Self {
        let mut findings = Findings::default();
        tasks::check(history, &mut findings);
        events::check(history, &mut findings);
        answers::check(history, &mut findings);
        findings
    }

    pub(crate) fn add(&mut self, other: Findings) {
        self.tasks_lost.extend(other.tasks_lost);
        self.tasks_doubled.extend(other.tasks_doubled);
        self.wrong_reason.extend(other.wrong_reason);
        self.events_lost.extend(other.events_lost);
        self.events_doubled.extend(other.events_doubled);
    }
}

#[cfg(test)]
mod tests;
