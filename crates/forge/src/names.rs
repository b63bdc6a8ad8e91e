//! Repositories that were renamed or transferred: the forge redirects from the old name.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use domain::repository::RepositoryName;

/// The number of old names that are remembered.
const MAX_NAMES: usize = 1000;

/// Old names in lower case. `None`: the forge redirected, and the current name is not known yet.
#[derive(Debug, Default)]
pub(super) struct Names(Mutex<HashMap<String, Option<RepositoryName>>>);

impl Names {
    /// Records that the forge redirected a call to this path below the API's address.
    pub(super) fn note_redirect(&self, path: &str) {
        let Some(rest) = path.strip_prefix("/repos/") else { return };
        let name: String = rest.split(['/', '?']).take(2).collect::<Vec<_>>().join("/");
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if names.len() < MAX_NAMES {
            names.entry(name.to_ascii_lowercase()).or_insert(None);
        }
    }

    /// Records that the repository of this name is now called `present`.
    pub(super) fn note(&self, name: &RepositoryName, present: &RepositoryName) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if name == present {
            names.remove(&name.as_str().to_ascii_lowercase());
        } else if names.len() < MAX_NAMES {
            names.insert(name.as_str().to_ascii_lowercase(), Some(present.clone()));
        }
    }

    /// Returns true if the forge redirected from this name.
    pub(super) fn has_moved(&self, name: &RepositoryName) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&name.as_str().to_ascii_lowercase())
    }

    /// Returns the current name, if it is known to differ.
    pub(super) fn present(&self, name: &RepositoryName) -> Option<RepositoryName> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(&name.as_str().to_ascii_lowercase()).cloned().flatten()
    }
}
