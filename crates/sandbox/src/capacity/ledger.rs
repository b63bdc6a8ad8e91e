//! Who has a sandbox, who waits for one and who has to make room: the rules, as plain data.
//!
//! Each session asks for one sandbox at a time and goes to the end of the line when it asks again, so whoever waits is
//! served before everybody who asked later.

use std::collections::{BTreeMap, VecDeque};

/// One claim on a sandbox, from when it is asked for until the sandbox is gone. Later ones are larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(u64);

/// What a sandbox is good for at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Starting,
    /// Works for a task, or is about to.
    Busy,
    /// Waits for its session's next task since that moment.
    Idle(u64),
    /// Warm, or on the way there: no session has it.
    Spare,
    /// Was asked to go.
    Leaving,
}

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// May be started now.
    Granted(Ticket),
    /// Has to go, because others wait.
    PutAway(Ticket),
}

#[derive(Debug)]
pub(super) struct Ledger {
    limit: usize,
    issued: u64,
    /// Counts moments at which sandboxes became idle.
    moments: u64,
    held: BTreeMap<Ticket, Use>,
    waiting: VecDeque<Ticket>,
}

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

    /// Those ahead of a ticket that waits; `None` where it does not.
    pub(super) fn position(&self, ticket: Ticket) -> Option<usize> {
        self.waiting.iter().position(|waiting| *waiting == ticket)
    }

    /// Who waits longest.
    pub(super) fn first(&self) -> Option<Ticket> {
        self.waiting.front().copied()
    }

    /// Whether there is room by number, whatever memory says.
    pub(super) fn has_room(&self) -> bool {
        self.held.len() < self.limit
    }

    /// Puts a claim at the end of the line. [`Ledger::settle`] grants it.
    pub(super) fn request(&mut self) -> Ticket {
        let ticket = self.issue();
        self.waiting.push_back(ticket);
        ticket
    }

    /// A sandbox that is there already, of an earlier coordinator: counted, even beyond the limit.
    pub(super) fn adopt(&mut self) -> Ticket {
        let ticket = self.issue();
        self.held.insert(ticket, Use::Busy);
        ticket
    }

    /// Room for a sandbox that nobody asked for yet: only where nobody waits and nothing else starts.
    pub(super) fn spare(&mut self) -> Option<Ticket> {
        if !self.waiting.is_empty() || self.starting() > 0 || !self.has_room() {
            return None;
        }
        let ticket = self.issue();
        self.held.insert(ticket, Use::Spare);
        Some(ticket)
    }

    /// The sandbox is gone, or its claim is given up. May be repeated.
    pub(super) fn release(&mut self, ticket: Ticket) {
        self.held.remove(&ticket);
        self.waiting.retain(|waiting| *waiting != ticket);
    }

    pub(super) fn busy(&mut self, ticket: Ticket) {
        self.become_now(ticket, Use::Busy);
    }

    pub(super) fn idle(&mut self, ticket: Ticket) {
        self.moments += 1;
        self.become_now(ticket, Use::Idle(self.moments));
    }

    /// A session that could go on with its next task gives its sandbox up for those who wait.
    pub(super) fn give_up(&mut self, ticket: Ticket) {
        self.become_now(ticket, Use::Leaving);
    }

    /// Whether more wait than there are sandboxes on their way out. Who still waits after [`Ledger::settle`] does so for
    /// want of number or of memory.
    pub(super) fn is_short(&self) -> bool {
        self.waiting.len() > self.leaving()
    }

    /// Gives out what there is, in the order of asking, and asks as many as are missing to go: warm ones first, then those
    /// that are idle longest. `fits`: whether memory allows one more, with so many starting.
    pub(super) fn settle(&mut self, fits: impl Fn(usize) -> bool) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        while let Some(first) = self.waiting.front().copied() {
            // Where there is no sandbox at all one may always start: nothing else would make room.
            let may_start = self.held.is_empty() || (self.has_room() && fits(self.starting()));
            if !may_start {
                break;
            }
            self.waiting.pop_front();
            self.held.insert(first, Use::Starting);
            verdicts.push(Verdict::Granted(first));
        }
        let short_of_memory = !self.waiting.is_empty() && self.has_room();
        let wanted = if short_of_memory { 1 } else { self.waiting.len().saturating_sub(self.free()) };
        for _ in self.leaving()..wanted {
            let Some(next) = self.least_needed() else { break };
            self.held.insert(next, Use::Leaving);
            verdicts.push(Verdict::PutAway(next));
        }
        verdicts
    }

    fn least_needed(&self) -> Option<Ticket> {
        let rank = |use_: &Use| match use_ {
            Use::Spare => Some(0),
            Use::Idle(moment) => Some(*moment),
            Use::Starting | Use::Busy | Use::Leaving => None,
        };
        let ranked = self.held.iter().filter_map(|(ticket, use_)| Some((rank(use_)?, *ticket)));
        ranked.min().map(|(_, ticket)| ticket)
    }

    fn free(&self) -> usize {
        self.limit.saturating_sub(self.held.len())
    }

    fn leaving(&self) -> usize {
        self.held.values().filter(|use_| **use_ == Use::Leaving).count()
    }

    fn starting(&self) -> usize {
        self.held.values().filter(|use_| **use_ == Use::Starting).count()
    }

    fn issue(&mut self) -> Ticket {
        self.issued += 1;
        Ticket(self.issued)
    }

    fn become_now(&mut self, ticket: Ticket, use_: Use) {
        if let Some(now) = self.held.get_mut(&ticket) {
            *now = use_;
        }
    }
}

#[cfg(test)]
mod tests;
