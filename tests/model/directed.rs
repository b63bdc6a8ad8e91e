//! Orders of events that matter, told one by one. Each ends with everything that `promises` checks.

mod answers;
mod full_disk;
mod restarts;
mod sandboxes;
mod stops;
