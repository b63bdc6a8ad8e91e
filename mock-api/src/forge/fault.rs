//! Failures to order.

use std::sync::{Mutex, PoisonError};

use axum::http::{Method, StatusCode};

/// Answers calls that fit with an error instead of doing them.
#[derive(Clone, Debug)]
pub struct Fault {
    pub method: Method,
    /// A part of the path with its query: `/pulls`, `service=git-receive-pack`.
    pub path: String,
    pub status: StatusCode,
    /// The `message` of the error's body.
    pub message: String,
    /// Seconds.
    pub retry_after: Option<u32>,
    /// How many calls fail before they work again.
    pub times: u32,
}

#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<Vec<Fault>>);

impl Faults {
    pub(super) fn push(&self, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(fault);
    }

    /// The fault for this call, counted as used.
    pub(super) fn take(&self, method: &Method, path: &str) -> Option<Fault> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |fault: &&mut Fault| fault.times > 0 && fault.method == *method && path.contains(&fault.path);
        let fault = faults.iter_mut().find(fits)?;
        fault.times -= 1;
        Some(fault.clone())
    }
}
