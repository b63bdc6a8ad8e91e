//! Important orders of events, one test for each. Each test ends with all checks of `promises`.

mod answers;
mod full_disk;
mod restarts;
mod sandboxes;
mod stops;
