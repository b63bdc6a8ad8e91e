//! The time that a sandbox took.

use domain::task::ErrorType;
use jiff::Timestamp;

use super::TaskTrace;

/// How a sandbox for a task came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxStart {
    /// It was there already.
    Warm,
    /// For a conversation that begins.
    Cold,
    /// For a conversation that goes on.
    Resume,
}

/// A sandbox that is being made. Dropped, where nobody wants it any more.
pub struct Preparing {
    trace: TaskTrace,
    start: SandboxStart,
    began: Timestamp,
}

impl Preparing {
    pub fn begin(trace: &TaskTrace, start: SandboxStart) -> Self {
        Preparing { trace: trace.clone(), start, began: Timestamp::now() }
    }

    /// `error`: why there is none.
    pub fn ended(self, error: Option<ErrorType>) {
        let start = match self.start {
            SandboxStart::Warm => "warm",
            SandboxStart::Cold => "cold",
            SandboxStart::Resume => "resume",
        };
        self.trace.prepared(start, self.began, error);
    }
}
