//! The result of a scenario, as a row of the table.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::check::Findings;
use crate::history::History;

/// The results of one fault that was injected several times.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) fault: &'static str,
    pub(crate) runs: usize,
    pub(crate) tasks: usize,
    pub(crate) findings: Findings,
    /// The time from each fault to the recovery.
    pub(crate) recovery: Vec<Duration>,
}

impl Row {
    /// The row of a scenario whose only record is its history.
    pub(crate) fn of(fault: &'static str, runs: usize, history: &History, recovery: Vec<Duration>) -> Self {
        Row { fault, runs, tasks: history.accepted.len(), findings: Findings::of(history), recovery }
    }

    /// Writes the row into the directory FAULTS_REPORT, if set, and fails if there are findings.
    pub(crate) fn report(mut self) {
        self.recovery.sort();
        let (median, max) = (self.recovery.get(self.recovery.len() / 2), self.recovery.last());
        let found = &self.findings;
        let counts =
            [&found.tasks_lost, &found.tasks_doubled, &found.wrong_reason, &found.events_lost, &found.events_doubled];
        let [lost, doubled, reason, events_lost, events_doubled] = counts.map(Vec::len);
        let milliseconds =
            |time: Option<&Duration>| time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let shown = |time| milliseconds(time).map_or_else(|| "–".to_owned(), |time| format!("{time} ms"));
        let markdown = format!(
            "| {} | {} | {} | {lost} | {doubled} | {reason} | {events_lost} | {events_doubled} | {} / {} |\n",
            self.fault,
            self.runs,
            self.tasks,
            shown(median),
            shown(max),
        );
        eprint!("{markdown}");
        if let Some(directory) = std::env::var_os("FAULTS_REPORT").map(PathBuf::from) {
            let json = json!({
                "fault": self.fault, "runs": self.runs, "tasks": self.tasks,
                "tasksLost": lost, "tasksDoubled": doubled, "wrongReason": reason,
                "eventsLost": events_lost, "eventsDoubled": events_doubled,
                "recoveryMedianMs": milliseconds(median), "recoveryMaxMs": milliseconds(max),
            });
            let name: String = self.fault.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            std::fs::write(directory.join(format!("{name}.md")), markdown).unwrap();
            std::fs::write(directory.join(format!("{name}.json")), format!("{json}\n")).unwrap();
        }
        assert!(counts.iter().all(|sentences| sentences.is_empty()), "promises are broken: {found:#?}");
    }
}
