//! Damaged rows of the store.

use std::path::Path;
use std::time::Duration;

use super::check::{Check, in_words};

const NAME: &str = "records";
const REMEDY: &str = "delete the sessions that are named (`claude-runner sessions delete ID`), or restore a backup with \
                      `claude-runner restore`; the server runs without these rows";

/// The time for which tasks are read, newest first.
const LIMIT: Duration = Duration::from_secs(5);

/// Returns `None` if there is no store of this version.
pub(super) fn look(data_dir: &Path, key_file: &Path) -> Option<Check> {
    let damage = match store::inspect(data_dir) {
        Ok(None) => return None,
        Ok(Some(store)) => store.damage(key_file, LIMIT),
        Err(error) => Err(error),
    };
    Some(match damage {
        Ok(damage) if damage.is_empty() => Check::ok(NAME, "every record that was read is whole"),
        Ok(damage) => Check::warn(NAME, format!("damaged: {}", damage.join("; ")), REMEDY),
        Err(error) => Check::warn(NAME, format!("they cannot be read: {}", in_words(&error)), REMEDY),
    })
}
