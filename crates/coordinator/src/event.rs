//! Events: immutable, numbered things that happened in a session, serialised once.

use bytes::Bytes;

/// One numbered event, as subscribers get it and as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    /// Counts per session from 1 without holes.
    pub seq: u64,
    /// The whole JSON object on one line, `seq`, `ts`, `type` and `taskId` in it. Always UTF-8.
    pub json: Bytes,
}
