//! Injected faults.

use std::sync::{Mutex, PoisonError};

use axum::http::{Method, StatusCode};

/// Answers matching calls with an error and does not perform them.
#[derive(Clone, Debug)]
pub struct Fault {
    pub method: Method,
    /// A substring of the path with its query: `/pulls`, `service=git-receive-pack`.
    pub path: String,
    pub status: StatusCode,
    /// The `message` of the error's body.
    pub message: String,
    /// The `retry-after` header in seconds.
    pub retry_after: Option<u32>,
    /// The number of calls that fail before calls succeed again.
    pub times: u32,
}

#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub(super) fn push(&self, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    /// Returns the fault for this call and counts it as used.
    pub(super) fn take(&self, method: &Method, path: &str) -> Option<Fault> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |fault: &&mut Fault| fault.times > 0 && fault.method == *method && path.contains(&fault.path);
        let fault = faults.iter_mut().find(fits)?;
        fault.times -= 1;
        Some(fault.clone())
    }
}
