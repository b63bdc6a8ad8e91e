use std::time::{Duration, Instant};

use sandbox_link::files::{Bounds, FailureKind, Summary};

use super::failed::Failed;

/// Bounds that hold whatever the coordinator asks for. Each directory on the way down holds two descriptors.
const MAX_TIME: Duration = Duration::from_mins(15);
const MAX_DEPTH: u32 = 256;

/// The clock is read once for this many entries.
const ENTRIES_PER_LOOK: u64 = 64;

/// Counts the work of a request and ends it at its bounds.
pub(super) struct Meter {
    bounds: Bounds,
    deadline: Instant,
    done: Summary,
}

impl Meter {
    pub(super) fn new(bounds: Bounds) -> Self {
        let deadline = Instant::now() + Duration::from_millis(bounds.time_ms).min(MAX_TIME);
        let bounds = Bounds { depth: bounds.depth.min(MAX_DEPTH), ..bounds };
        Self { bounds, deadline, done: Summary::default() }
    }

    pub(super) fn summary(&self) -> Summary {
        self.done
    }

    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    pub(super) fn in_time(&self) -> Result<(), Failed> {
        if self.is_over() { Err(Failed::new(FailureKind::TooSlow, "the time limit was reached")) } else { Ok(()) }
    }

    /// Counts an entry.
    pub(super) fn entry(&mut self) -> Result<(), Failed> {
        self.done.entries += 1;
        if self.done.entries > self.bounds.entries {
            let message = format!("there are more than {} files", self.bounds.entries);
            return Err(Failed::new(FailureKind::TooLarge, message));
        }
        if self.done.entries.is_multiple_of(ENTRIES_PER_LOOK) { self.in_time() } else { Ok(()) }
    }

    /// Counts bytes of content.
    pub(super) fn bytes(&mut self, bytes: u64) -> Result<(), Failed> {
        self.done.bytes = self.done.bytes.saturating_add(bytes);
        if self.done.bytes > self.bounds.bytes {
            let message = format!("there are more than {} bytes", self.bounds.bytes);
            return Err(Failed::new(FailureKind::TooLarge, message));
        }
        self.in_time()
    }

    /// Adds to the bytes of the summary without a bound.
    pub(super) fn add_bytes(&mut self, bytes: u64) {
        self.done.bytes = self.done.bytes.saturating_add(bytes);
    }

    /// Counts an entry that is left out.
    pub(super) fn skip(&mut self) {
        self.done.skipped += 1;
    }

    /// True if an entry may have this many directories above it, below the path.
    pub(super) fn allows_depth(&self, depth: usize) -> bool {
        depth <= self.bounds.depth as usize
    }
}
