//! The time that it takes to provide a sandbox.

use domain::task::ErrorType;
use jiff::Timestamp;

use super::TaskTrace;

/// The way in which a task gets its sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SandboxStart {
    /// A warm sandbox was ready.
    Warm,
    /// A new sandbox for a new conversation.
    Cold,
    /// A new sandbox for an existing conversation.
    Resume,
}

/// A sandbox that is being prepared. Drop it without a span if the sandbox is no longer wanted.
pub struct Preparing {
    trace: TaskTrace,
    start: SandboxStart,
    began: Timestamp,
}

impl Preparing {
    pub fn begin(trace: &TaskTrace, start: SandboxStart) -> Self {
        Preparing { trace: trace.clone(), start, began: Timestamp::now() }
    }

    /// Records the span. `error` is the reason why there is no sandbox.
    pub fn ended(self, error: Option<ErrorType>) {
        let start = match self.start {
            SandboxStart::Warm => "warm",
            SandboxStart::Cold => "cold",
            SandboxStart::Resume => "resume",
        };
        self.trace.prepared(start, self.began, error);
    }
}
