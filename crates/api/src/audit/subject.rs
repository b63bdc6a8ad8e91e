//! The subject of a request, for the audit log.

use percent_encoding::percent_decode_str;

/// No id is longer. A path may be longer, and it must not fill the disk.
const MAX_CHARS: usize = 128;

/// Handlers that learn it from a body put it into the response's extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Subject {
    pub(in super::super) session: Option<String>,
    pub(in super::super) task: Option<String>,
}

impl Subject {
    /// Returns the subject that the path names.
    pub(super) fn of_path(route: Option<&str>, path: &str) -> Subject {
        let id = || {
            let id = path.split('/').nth(2)?;
            Some(percent_decode_str(id).decode_utf8_lossy().chars().take(MAX_CHARS).collect())
        };
        match route {
            Some(route) if route.starts_with("/session/{id}") || route.starts_with("/stream/{id}") => {
                Subject { session: id(), task: None }
            }
            Some(route) if route.starts_with("/task/{id}") => Subject { session: None, task: id() },
            Some(_) | None => Subject::default(),
        }
    }
}
