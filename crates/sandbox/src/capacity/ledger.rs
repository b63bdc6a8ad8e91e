//! The rules of capacity as plain data: the sandboxes in use, the queue, and the choice of sandboxes to evict.
//!
//! A session claims one sandbox at a time and goes to the end of the queue with its next claim. The payer who has the fewest
//! sandboxes is served first, so that no payer keeps the others waiting while its own tasks take turns. Among the claims of one payer,
//! earlier ones are served first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, VecDeque};

use domain::access::KeyId;

/// The key whose task a sandbox works for; `None` where no keys are needed.
pub(super) type Payer = Option<KeyId>;

/// One claim on a sandbox, from the request until the sandbox is removed. Later tickets are larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(u64);

/// The current state of a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Starting,
    /// Works for a task, or is about to.
    Busy,
    /// Waits for its session's next task. The number orders the moments at which sandboxes became idle.
    Idle(u64),
    /// Warm, or being launched as a warm sandbox: no session has it.
    Spare,
    /// Was asked to yield its slot.
    Evicting,
}

/// A decision of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// The sandbox may be launched now.
    Granted(Ticket),
    /// The sandbox must be evicted, because others wait.
    Evict(Ticket),
}

#[derive(Debug)]
pub(super) struct Ledger {
    limit: usize,
    issued: u64,
    /// The number of times that a sandbox became idle.
    moments: u64,
    held: BTreeMap<Ticket, Held>,
    /// In the order of the requests.
    waiting: VecDeque<(Ticket, Payer)>,
}

#[derive(Debug)]
struct Held {
    used: Use,
    payer: Payer,
}

/// The place of a claim in the order of grants: the number of sandboxes that its payer will have by then, and its ticket.
type Place = (usize, Ticket);

impl Ledger {
    pub(super) fn new(limit: usize) -> Self {
        Ledger { limit, issued: 0, moments: 0, held: BTreeMap::new(), waiting: VecDeque::new() }
    }

    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The number of claims ahead of a waiting ticket; `None` if it does not wait.
    pub(super) fn position(&self, ticket: Ticket) -> Option<usize> {
        let places = self.places();
        let own = places.iter().find(|(_, waiting)| *waiting == ticket)?;
        Some(places.iter().filter(|place| *place < own).count())
    }

    /// The longest waiting claim for which this sandbox may be taken from its session: one of the same payer, or of a payer who
    /// would not have more sandboxes than the payer of this one.
    pub(super) fn first_to_yield_to(&self, own: Ticket) -> Option<Ticket> {
        let held = self.held.get(&own)?;
        let own_count = self.counts().get(&held.payer).copied().unwrap_or_default();
        let mut claims = self.waiting.iter().zip(self.places());
        let first = claims.find(|((_, payer), (count, _))| *payer == held.payer || *count <= own_count);
        first.map(|((ticket, _), _)| *ticket)
    }

    /// True if the number of sandboxes is below the limit, regardless of memory.
    pub(super) fn has_room(&self) -> bool {
        self.held.len() < self.limit
    }

    /// Appends a claim to the queue. [`Ledger::settle`] grants it.
    pub(super) fn request(&mut self, payer: Payer) -> Ticket {
        let ticket = self.issue();
        self.waiting.push_back((ticket, payer));
        ticket
    }

    /// Counts an existing sandbox of an earlier coordinator, even above the limit.
    pub(super) fn adopt(&mut self) -> Ticket {
        let ticket = self.issue();
        self.held.insert(ticket, Held { used: Use::Busy, payer: None });
        ticket
    }

    /// Grants room for a sandbox that no session has claimed, if no claim waits and no sandbox starts.
    pub(super) fn spare(&mut self) -> Option<Ticket> {
        if !self.waiting.is_empty() || self.starting() > 0 || !self.has_room() {
            return None;
        }
        let ticket = self.issue();
        self.held.insert(ticket, Held { used: Use::Spare, payer: None });
        Some(ticket)
    }

    /// Releases a ticket: its sandbox was removed, or the claim was dropped. May be repeated.
    pub(super) fn release(&mut self, ticket: Ticket) {
        self.held.remove(&ticket);
        self.waiting.retain(|(waiting, _)| *waiting != ticket);
    }

    /// The sandbox works for this payer from now on.
    pub(super) fn assign(&mut self, ticket: Ticket, payer: Payer) {
        if let Some(held) = self.held.get_mut(&ticket) {
            held.payer = payer;
        }
    }

    pub(super) fn busy(&mut self, ticket: Ticket) {
        self.become_now(ticket, Use::Busy);
    }

    pub(super) fn idle(&mut self, ticket: Ticket) {
        self.moments += 1;
        self.become_now(ticket, Use::Idle(self.moments));
    }

    /// Yields the sandbox of a session that could start its next task.
    pub(super) fn yield_slot(&mut self, ticket: Ticket) {
        self.become_now(ticket, Use::Evicting);
    }

    /// True if more claims wait than sandboxes are being evicted. A claim that still waits after [`Ledger::settle`]
    /// lacks a slot or memory.
    pub(super) fn is_short(&self) -> bool {
        self.waiting.len() > self.evicting()
    }

    /// Grants claims in the order of their places and evicts as many sandboxes as are missing: warm ones first, then those of the
    /// payer who has the most, the longest idle first.
    /// `fits` decides if memory allows one more sandbox beside the given number of starting ones.
    pub(super) fn settle(&mut self, fits: impl Fn(usize) -> bool) -> Vec<Decision> {
        let mut decisions = Vec::new();
        while let Some((_, first)) = self.places().into_iter().min() {
            // One sandbox may always start if there is none, because no eviction could make room for it.
            let may_start = self.held.is_empty() || (self.has_room() && fits(self.starting()));
            if !may_start {
                break;
            }
            let Some(index) = self.waiting.iter().position(|(ticket, _)| *ticket == first) else { break };
            let payer = self.waiting.remove(index).and_then(|(_, payer)| payer);
            self.held.insert(first, Held { used: Use::Starting, payer });
            decisions.push(Decision::Granted(first));
        }
        let short_of_memory = !self.waiting.is_empty() && self.has_room();
        let wanted = if short_of_memory { 1 } else { self.waiting.len().saturating_sub(self.free()) };
        for _ in self.evicting()..wanted {
            let Some(next) = self.least_needed() else { break };
            self.become_now(next, Use::Evicting);
            decisions.push(Decision::Evict(next));
        }
        decisions
    }

    fn least_needed(&self) -> Option<Ticket> {
        let counts = self.counts();
        let rank = |held: &Held| match held.used {
            Use::Spare => Some((0, Reverse(0), 0)),
            Use::Idle(moment) => Some((1, Reverse(counts.get(&held.payer).copied().unwrap_or(0)), moment)),
            Use::Starting | Use::Busy | Use::Evicting => None,
        };
        let ranked = self.held.iter().filter_map(|(ticket, held)| Some((rank(held)?, *ticket)));
        ranked.min().map(|(_, ticket)| ticket)
    }

    /// The number of sandboxes of each payer that has some, without those that are being evicted.
    fn counts(&self) -> HashMap<&Payer, usize> {
        let mut counts = HashMap::new();
        for held in self.held.values().filter(|held| !matches!(held.used, Use::Spare | Use::Evicting)) {
            *counts.entry(&held.payer).or_default() += 1;
        }
        counts
    }

    /// The places of the waiting claims, in the order of the requests.
    fn places(&self) -> Vec<Place> {
        let mut counts = self.counts();
        let place = self.waiting.iter().map(|(ticket, payer)| {
            let count = counts.entry(payer).or_default();
            *count += 1;
            (*count, *ticket)
        });
        place.collect()
    }

    fn free(&self) -> usize {
        self.limit.saturating_sub(self.held.len())
    }

    fn evicting(&self) -> usize {
        self.held.values().filter(|held| held.used == Use::Evicting).count()
    }

    fn starting(&self) -> usize {
        self.held.values().filter(|held| held.used == Use::Starting).count()
    }

    fn issue(&mut self) -> Ticket {
        self.issued += 1;
        Ticket(self.issued)
    }

    fn become_now(&mut self, ticket: Ticket, used: Use) {
        if let Some(held) = self.held.get_mut(&ticket) {
            held.used = used;
        }
    }
}

#[cfg(test)]
mod tests;
