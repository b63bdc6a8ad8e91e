//! Counts the traffic of one sandbox's gateway, for stall detection and for traffic accounting.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A snapshot of one sandbox's traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Activity {
    /// Model requests that have not been answered to their end.
    pub open_requests: u32,
    /// Model requests that arrived, however they were answered.
    pub requests: u64,
    /// The time at which a request arrived or the last bytes passed, in either direction. The API's pings count.
    pub last: Instant,
    /// Bytes to outside hosts other than the model API.
    pub egress_sent_bytes: u64,
    /// Bytes from outside hosts other than the model API.
    pub egress_received_bytes: u64,
}

/// Counters that every connection of the sandbox shares.
pub(super) struct ActivityTracker {
    began: Instant,
    last_micros: AtomicU64,
    open_requests: AtomicU32,
    requests: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl ActivityTracker {
    pub(super) fn new() -> Self {
        ActivityTracker {
            began: Instant::now(),
            last_micros: AtomicU64::new(0),
            open_requests: AtomicU32::new(0),
            requests: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        }
    }

    pub(super) fn read(&self) -> Activity {
        Activity {
            open_requests: self.open_requests.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
            last: self.last(),
            egress_sent_bytes: self.sent.load(Ordering::Relaxed),
            egress_received_bytes: self.received.load(Ordering::Relaxed),
        }
    }

    pub(super) fn last(&self) -> Instant {
        self.began + Duration::from_micros(self.last_micros.load(Ordering::Relaxed))
    }

    pub(super) fn touch(&self) {
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last_micros.fetch_max(micros, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        self.touch();
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        self.touch();
    }
}

/// A model request that counts as open until this is dropped, however it ends.
pub(super) struct OpenRequest(Arc<ActivityTracker>);

impl OpenRequest {
    pub(super) fn new(activity_tracker: &Arc<ActivityTracker>) -> Self {
        activity_tracker.open_requests.fetch_add(1, Ordering::Relaxed);
        activity_tracker.requests.fetch_add(1, Ordering::Relaxed);
        activity_tracker.touch();
        OpenRequest(Arc::clone(activity_tracker))
    }

    pub(super) fn touch(&self) {
        self.0.touch();
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.open_requests.fetch_sub(1, Ordering::Relaxed);
        self.0.touch();
    }
}
