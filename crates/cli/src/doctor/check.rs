//! The result of one check.

use std::error::Error;

use domain::plain::of_os;
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Ok,
    /// The server can run, but a check found a problem or could not be made.
    Warn,
    /// The server does not start, or no task runs.
    Fail,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// The name is the same in every release, because scripts search for it.
    pub(super) name: &'static str,
    pub(super) status: Status,
    /// A sentence without a full stop.
    pub(super) detail: String,
    /// The remedy, in a sentence; `None` if all is well.
    pub(super) remedy: Option<String>,
}

impl Check {
    pub(super) fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Check { name, status: Status::Ok, detail: detail.into(), remedy: None }
    }

    pub(super) fn warn(name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Check { name, status: Status::Warn, detail: of_os(&detail.into()), remedy: Some(remedy.into()) }
    }

    /// Another check has to succeed first.
    pub(super) fn not_tried(name: &'static str, why: &str) -> Self {
        Check::warn(name, format!("not tried: {why}"), "fix that first")
    }

    pub(super) fn fail(name: &'static str, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Check { name, status: Status::Fail, detail: of_os(&detail.into()), remedy: Some(remedy.into()) }
    }
}

/// Formats an error and its causes on one line, because the outermost error alone often lacks the reason.
pub(super) fn in_words(error: &dyn Error) -> String {
    domain::error_chain(error).split_whitespace().collect::<Vec<_>>().join(" ")
}
