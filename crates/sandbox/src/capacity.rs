//! The number of sandboxes: a limit by number, a limit by memory in use, and a queue of waiting sessions.

mod ledger;
mod memory;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::access::KeyId;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use self::ledger::{Decision, Ledger, Ticket};
pub use self::memory::MemoryGauge;

/// The limit while the engine's memory is unknown, and the minimum on small machines.
pub const FEW_SANDBOXES: usize = 4;

/// The time between two checks of the memory while a session waits.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A session starts its own next task until another session has waited this long. Then it yields its sandbox.
const YIELD_AFTER: Duration = Duration::from_secs(5);

/// The capacity of the server. It is cheap to clone.
#[derive(Clone, Debug)]
pub struct Capacity {
    shared: Arc<Mutex<CapacityState>>,
}

#[derive(Debug)]
struct CapacityState {
    ledger: Ledger,
    memory: MemoryGauge,
    claims: HashMap<Ticket, Claim>,
}

#[derive(Debug)]
struct Claim {
    state: watch::Sender<ClaimState>,
    since: Instant,
}

/// The state of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClaimState {
    Waiting,
    Granted,
    /// The claim holds a sandbox and was asked to yield it.
    EvictionRequested,
}

/// The reason why a claim has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// The maximum number of sandboxes exists.
    Sandboxes,
    Memory,
}

/// Numbers of sandboxes and of waiting sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CapacityCounts {
    pub live: usize,
    pub waiting: usize,
    pub max: usize,
}

/// The right to one sandbox. Drop it when the sandbox is removed or no longer wanted.
#[derive(Debug)]
pub struct Slot {
    capacity: Capacity,
    ticket: Ticket,
    state: watch::Receiver<ClaimState>,
}

impl Capacity {
    pub fn new(max: usize, memory: MemoryGauge) -> Self {
        let shared = CapacityState { ledger: Ledger::new(max), memory, claims: HashMap::new() };
        Capacity { shared: Arc::new(Mutex::new(shared)) }
    }

    /// Changes the maximum number of sandboxes.
    pub fn set_max(&self, max: usize) {
        let mut shared = self.lock();
        shared.ledger.set_limit(max);
        shared.settle();
    }

    pub fn counts(&self) -> CapacityCounts {
        let shared = self.lock();
        CapacityCounts { live: shared.ledger.held(), waiting: shared.ledger.waiting(), max: shared.ledger.limit() }
    }

    /// Waits for room for a task of `payer`. If there is none at once, `waits` is called once with the number of claims ahead and the reason.
    /// Dropping the future gives up the place in the queue.
    pub async fn claim(&self, payer: Option<KeyId>, waits: impl AsyncFnOnce(usize, Shortage)) -> Slot {
        let mut slot = self.issue(|ledger| ledger.request(payer), ClaimState::Waiting);
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
        while *slot.state.borrow_and_update() == ClaimState::Waiting {
            tokio::select! {
                // This fails only without a sender, and the sender lives as long as the slot.
                _ = slot.state.changed() => {}
                _ = looks.tick() => self.lock().settle(),
            }
        }
        slot
    }

    /// Claims a slot for an existing sandbox.
    pub fn adopt(&self) -> Slot {
        self.issue(Ledger::adopt, ClaimState::Granted)
    }

    /// Claims a slot for a sandbox that no session waits for. Returns `None` if a session waits, if another sandbox
    /// starts, or if a whole sandbox's worth of memory is not available.
    pub fn spare(&self) -> Option<Slot> {
        let mut shared = self.lock();
        if !shared.memory.has_room_for_spare() {
            return None;
        }
        let ticket = shared.ledger.spare()?;
        Some(self.slot(&mut shared, ticket, ClaimState::Granted))
    }

    fn issue(&self, ask: impl FnOnce(&mut Ledger) -> Ticket, state: ClaimState) -> Slot {
        let mut shared = self.lock();
        let ticket = ask(&mut shared.ledger);
        self.slot(&mut shared, ticket, state)
    }

    fn slot(&self, shared: &mut CapacityState, ticket: Ticket, state: ClaimState) -> Slot {
        let (sender, state) = watch::channel(state);
        shared.claims.insert(ticket, Claim { state: sender, since: Instant::now() });
        Slot { capacity: self.clone(), ticket, state }
    }

    fn lock(&self) -> MutexGuard<'_, CapacityState> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CapacityState {
    fn settle(&mut self) {
        let memory = &self.memory;
        for decision in self.ledger.settle(|starting| memory.has_room_beside(starting)) {
            let (ticket, state) = match decision {
                Decision::Granted(ticket) => (ticket, ClaimState::Granted),
                Decision::Evict(ticket) => (ticket, ClaimState::EvictionRequested),
            };
            if let Some(claim) = self.claims.get(&ticket) {
                claim.state.send_replace(state);
            }
        }
    }

    fn set_state(&self, ticket: Ticket, state: ClaimState) {
        if let Some(claim) = self.claims.get(&ticket) {
            claim.state.send_replace(state);
        }
    }
}

impl Slot {
    /// The sandbox works for a task of this payer from now on.
    pub fn assign(&self, payer: Option<KeyId>) {
        self.capacity.lock().ledger.assign(self.ticket, payer);
    }

    /// Marks the sandbox as busy. A busy sandbox is never evicted; a pending eviction is withdrawn.
    pub fn busy(&self) {
        let mut shared = self.capacity.lock();
        shared.ledger.busy(self.ticket);
        shared.set_state(self.ticket, ClaimState::Granted);
        shared.settle();
    }

    /// Marks the sandbox as idle: it waits for its session's next task and may be evicted.
    pub fn idle(&self) {
        let mut shared = self.capacity.lock();
        shared.ledger.idle(self.ticket);
        shared.set_state(self.ticket, ClaimState::Granted);
        shared.settle();
    }

    /// True if another session has waited so long that this one must not start its next task first. The sandbox then
    /// counts as one that is being evicted.
    pub fn yields_slot(&self) -> bool {
        self.yields_slot_at(Instant::now())
    }

    fn yields_slot_at(&self, now: Instant) -> bool {
        let mut shared = self.capacity.lock();
        let longest = shared.ledger.first().and_then(|first| shared.claims.get(&first)).map(|claim| claim.since);
        let yields_slot =
            shared.ledger.is_short() && longest.is_some_and(|since| now.duration_since(since) >= YIELD_AFTER);
        if yields_slot {
            shared.ledger.yield_slot(self.ticket);
        }
        yields_slot
    }

    /// Resolves while an eviction is requested. Cancel-safe.
    pub async fn eviction_requested(&mut self) {
        if self.state.wait_for(|state| *state == ClaimState::EvictionRequested).await.is_err() {
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
