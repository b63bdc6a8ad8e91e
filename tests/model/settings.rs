//! The coordinator's settings and the task requests that a test chooses.

use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) idle_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    /// The agent template asks for structured answers.
    pub(crate) schema: bool,
    pub(crate) max_sandboxes: usize,
    /// The number of warm sandboxes.
    pub(crate) warm: usize,
}

/// A test's request for a task.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) word: &'static str,
    pub(crate) timeout: Duration,
    pub(crate) retry: u32,
}

impl Default for Settings {
    fn default() -> Self {
        let long = Duration::from_hours(1);
        Settings { idle_timeout: long, stall_timeout: long, schema: false, max_sandboxes: 100, warm: 0 }
    }
}

impl Wish {
    pub(crate) fn to(word: &'static str) -> Self {
        Wish { word, timeout: Duration::from_hours(1), retry: 0 }
    }
}
