//! The room for the bodies of model requests. A body is in memory from its first byte until the API begins to answer.
//!
//! Each sandbox has a bound, each key has one over all of its sandboxes, and the process has one over all keys. The bound of a key is
//! lower than that of the process, so no key takes all of the room.

use std::sync::Arc;
use std::time::Duration;

use domain::access::KeyId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::key_shares::KeyShares;
use super::settings::Bounds;

/// The unit of the room.
const UNIT: usize = 1024;

pub(super) struct BodyRoom {
    all: Arc<Semaphore>,
    keys: KeyShares,
    timeout: Duration,
}

/// The room of one body, until it is dropped.
pub(super) struct Room {
    _permits: [OwnedSemaphorePermit; 3],
}

/// There was no room for a body for so long.
#[derive(Debug)]
pub(super) struct NoRoom;

impl BodyRoom {
    pub(super) fn new(bounds: &Bounds) -> BodyRoom {
        BodyRoom {
            all: room_of(bounds.all_buffered_bytes),
            keys: KeyShares::new(units(bounds.key_buffered_bytes)),
            timeout: bounds.buffer_timeout,
        }
    }

    /// Waits for the room of a body in the share of its sandbox, of its key and in all.
    pub(super) async fn take(
        &self,
        sandbox: &Arc<Semaphore>,
        key: Option<KeyId>,
        bytes: usize,
    ) -> Result<Room, NoRoom> {
        let share = self.keys.of(key);
        let units = u32::try_from(units(bytes)).unwrap_or(u32::MAX);
        let take = async {
            // The order is always the same, so that no two bodies wait for each other.
            let sandbox = Arc::clone(sandbox).acquire_many_owned(units).await?;
            let key = share.acquire_many_owned(units).await?;
            let all = Arc::clone(&self.all).acquire_many_owned(units).await?;
            Ok::<_, tokio::sync::AcquireError>([sandbox, key, all])
        };
        match tokio::time::timeout(self.timeout, take).await {
            Ok(Ok(permits)) => Ok(Room { _permits: permits }),
            // No semaphore is ever closed.
            Ok(Err(_)) | Err(_) => Err(NoRoom),
        }
    }
}

/// Returns the room for so many bytes of bodies.
pub(super) fn room_of(bytes: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(units(bytes)))
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn room() -> BodyRoom {
        BodyRoom::new(&Bounds { key_buffered_bytes: 20 << 10, all_buffered_bytes: 30 << 10, ..Bounds::default() })
    }

    #[tokio::test]
    async fn a_key_leaves_room_to_the_others_however_many_sandboxes_it_has() {
        let (room, key) = (room(), "a".parse::<KeyId>().ok());
        let sandbox = || room_of(10 << 10);
        let taken = (
            room.take(&sandbox(), key.clone(), 10 << 10).await.unwrap(),
            room.take(&sandbox(), key.clone(), 10 << 10).await.unwrap(),
        );
        assert!(room.take(&sandbox(), key.clone(), 1).now_or_never().is_none(), "its share is used up");
        let other = room.take(&sandbox(), None, 10 << 10).await.unwrap();
        assert!(room.take(&sandbox(), None, 1).now_or_never().is_none(), "all is used up");
        drop(taken);
        room.take(&sandbox(), key, 10 << 10).await.unwrap();
        drop(other);
        assert_eq!(room.all.available_permits(), 30);
    }

    #[tokio::test]
    async fn a_body_waits_so_long_and_no_longer() {
        let room = BodyRoom::new(&Bounds { buffer_timeout: Duration::ZERO, ..Bounds::default() });
        let sandbox = room_of(10 << 10);
        let _taken = room.take(&sandbox, None, 10 << 10).await.unwrap();
        assert!(room.take(&sandbox, None, 1).await.is_err());
    }
}
