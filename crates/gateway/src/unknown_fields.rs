//! Fields of model requests that this version does not know. They pass, because a later version of Claude Code may need them.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use observe::metrics::Metrics;

/// Remembers the unknown fields, so that each is logged once.
#[derive(Debug, Default)]
pub(super) struct UnknownFields {
    logged: Mutex<BTreeSet<String>>,
}

impl UnknownFields {
    /// The number of fields that are logged. The names come from the agent, so their number must have a bound.
    const MAX_LOGGED: usize = 32;

    pub(super) fn note(&self, fields: &[String], metrics: &Metrics) {
        for field in fields {
            metrics.unknown_field();
            let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
            if logged.len() < Self::MAX_LOGGED && logged.insert(field.clone()) {
                tracing::warn!(
                    field,
                    "a model request has a field whose price is not known: it passes, and runs alone on accounts with a limit"
                );
            }
        }
    }
}
