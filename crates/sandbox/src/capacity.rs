//! How many sandboxes there may be: a bound by number, a bound by the memory in use, and a line for those who wait.

mod ledger;
mod memory;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use self::ledger::{Ledger, Ticket, Verdict};
pub use self::memory::MemoryGauge;

/// Sandboxes that there may be as long as the engine's memory is not known, and at least, however small that is.
pub const FEW_SANDBOXES: usize = 4;

/// How often memory is looked at again while somebody waits.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A session goes on with its own next task until another has waited this long; then it lets that one go first.
const YIELD_AFTER: Duration = Duration::from_secs(5);

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Capacity {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    ledger: Ledger,
    memory: MemoryGauge,
    claims: HashMap<Ticket, Claim>,
}

#[derive(Debug)]
struct Claim {
    standing: watch::Sender<Standing>,
    since: Instant,
}

/// How a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Waits,
    Holds,
    /// Holds, and was asked to go.
    Unwanted,
}

/// Why a claim has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// There are as many sandboxes as there may be.
    Sandboxes,
    Memory,
}

/// How many sandboxes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapacityCounts {
    pub live: usize,
    pub waiting: usize,
    pub max: usize,
}

/// The right to one sandbox. Dropped when that is gone, or when it is not wanted any more.
#[derive(Debug)]
pub struct Slot {
    capacity: Capacity,
    ticket: Ticket,
    standing: watch::Receiver<Standing>,
}

impl Capacity {
    pub fn new(max: usize, memory: MemoryGauge) -> Self {
        let shared = Shared { ledger: Ledger::new(max), memory, claims: HashMap::new() };
        Capacity { shared: Arc::new(Mutex::new(shared)) }
    }

    pub fn set_max(&self, max: usize) {
        let mut shared = self.lock();
        shared.ledger.set_limit(max);
        shared.settle();
    }

    pub fn counts(&self) -> CapacityCounts {
        let shared = self.lock();
        CapacityCounts { live: shared.ledger.held(), waiting: shared.ledger.waiting(), max: shared.ledger.limit() }
    }

    /// Waits for room. `waits` is told once how many are ahead and why, where there is no room at once. Gives its place up
    /// when it is dropped.
    pub async fn claim(&self, waits: impl AsyncFnOnce(usize, Shortage)) -> Slot {
        let mut slot = self.issue(Ledger::request, Standing::Waits);
        let ahead = {
            let mut shared = self.lock();
            shared.settle();
            let shortage = if shared.ledger.has_room() { Shortage::Memory } else { Shortage::Sandboxes };
            shared.ledger.position(slot.ticket).map(|ahead| (ahead, shortage))
        };
        if let Some((ahead, shortage)) = ahead {
            waits(ahead, shortage).await;
        }
        let mut looks = tokio::time::interval(LOOK_AGAIN);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while *slot.standing.borrow_and_update() == Standing::Waits {
            tokio::select! {
                // Fails only without a sender, which stays as long as the slot does.
                _ = slot.standing.changed() => {}
                _ = looks.tick() => self.lock().settle(),
            }
        }
        slot
    }

    /// For a sandbox that is there already.
    pub fn adopt(&self) -> Slot {
        self.issue(Ledger::adopt, Standing::Holds)
    }

    /// For a sandbox that nobody waits for: `None` where somebody waits for one, where another one starts, or where a whole
    /// sandbox's worth of memory is not there.
    pub fn spare(&self) -> Option<Slot> {
        let mut shared = self.lock();
        if !shared.memory.has_room_for_spare() {
            return None;
        }
        let ticket = shared.ledger.spare()?;
        Some(self.slot(&mut shared, ticket, Standing::Holds))
    }

    fn issue(&self, ask: impl FnOnce(&mut Ledger) -> Ticket, standing: Standing) -> Slot {
        let mut shared = self.lock();
        let ticket = ask(&mut shared.ledger);
        self.slot(&mut shared, ticket, standing)
    }

    fn slot(&self, shared: &mut Shared, ticket: Ticket, standing: Standing) -> Slot {
        let (tell, standing) = watch::channel(standing);
        shared.claims.insert(ticket, Claim { standing: tell, since: Instant::now() });
        Slot { capacity: self.clone(), ticket, standing }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn settle(&mut self) {
        let memory = &self.memory;
        for verdict in self.ledger.settle(|starting| memory.has_room_beside(starting)) {
            let (ticket, standing) = match verdict {
                Verdict::Granted(ticket) => (ticket, Standing::Holds),
                Verdict::PutAway(ticket) => (ticket, Standing::Unwanted),
            };
            if let Some(claim) = self.claims.get(&ticket) {
                claim.standing.send_replace(standing);
            }
        }
    }

    fn stand(&self, ticket: Ticket, standing: Standing) {
        if let Some(claim) = self.claims.get(&ticket) {
            claim.standing.send_replace(standing);
        }
    }
}

impl Slot {
    /// The sandbox works: it cannot be asked to go, and was not, if it was.
    pub fn busy(&self) {
        let mut shared = self.capacity.lock();
        shared.ledger.busy(self.ticket);
        shared.stand(self.ticket, Standing::Holds);
        shared.settle();
    }

    /// The sandbox waits for its session's next task, and may be asked to go.
    pub fn idle(&self) {
        let mut shared = self.capacity.lock();
        shared.ledger.idle(self.ticket);
        shared.stand(self.ticket, Standing::Holds);
        shared.settle();
    }

    /// Whether another session has waited so long that this one should not begin its next task before it. True: the sandbox
    /// counts as one that goes.
    pub fn gives_up(&self) -> bool {
        self.gives_up_at(Instant::now())
    }

    fn gives_up_at(&self, now: Instant) -> bool {
        let mut shared = self.capacity.lock();
        let longest = shared.ledger.first().and_then(|first| shared.claims.get(&first)).map(|claim| claim.since);
        let gives_up =
            shared.ledger.is_short() && longest.is_some_and(|since| now.duration_since(since) >= YIELD_AFTER);
        if gives_up {
            shared.ledger.give_up(self.ticket);
        }
        gives_up
    }

    /// Resolves when the sandbox is asked to go, and as long as it is. Safe to cancel.
    pub async fn unwanted(&mut self) {
        if self.standing.wait_for(|standing| *standing == Standing::Unwanted).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut shared = self.capacity.lock();
        shared.ledger.release(self.ticket);
        shared.claims.remove(&self.ticket);
        shared.settle();
    }
}

#[cfg(test)]
mod tests;
