//! Counts what a sandbox's model requests use and cost, and holds back requests for which a task has no money left.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::prices::Prices;
use super::sse::Statement;
use super::tokens::TokenCounts;
use crate::usage::{Cost, Usage};

/// A reading of the meter: everything since the sandbox was opened. Never goes down; a task's share is a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    pub usage: Usage,
    pub cost: Cost,
}

/// What a task may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskLimits {
    pub max_cost: Option<Cost>,
}

pub(super) struct Meter {
    prices: Arc<Prices>,
    state: Mutex<State>,
    released: Notify,
}

#[derive(Default)]
struct State {
    total: Reading,
    /// The reading when the running task began.
    began_at: Cost,
    limits: TaskLimits,
    /// How many requests are being answered, and what they may cost.
    open: u32,
    open_cost: Cost,
}

/// The task's limit is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BudgetSpent {
    pub(super) spent: Cost,
    pub(super) limit: Cost,
}

impl Meter {
    pub(super) fn new(prices: Arc<Prices>) -> Self {
        Meter { prices, state: Mutex::default(), released: Notify::new() }
    }

    pub(super) fn read(&self) -> Reading {
        self.state().total
    }

    pub(super) fn begin_task(&self, limits: TaskLimits) {
        let mut state = self.state();
        state.began_at = state.total.cost;
        state.limits = limits;
        drop(state);
        self.released.notify_waiters();
    }

    /// Waits until a request may start: at once while what was spent and what the open requests may cost leave
    /// something of the limit, else when those have ended. So the limit is overrun by at most one request.
    pub(super) async fn reserve(self: &Arc<Self>, model: &str, expected: &TokenCounts) -> Result<Entry, BudgetSpent> {
        let estimate = self.prices.cost(model, expected);
        let mut released = Box::pin(self.released.notified());
        loop {
            // Listening begins before the look, so that a release in between is not missed.
            released.as_mut().enable();
            if let Some(decided) = self.try_reserve(estimate) {
                let () = decided?;
                return Ok(Entry::new(Arc::clone(self), estimate, model));
            }
            released.as_mut().await;
            released.set(self.released.notified());
        }
    }

    /// `None`: not before an open request has ended.
    fn try_reserve(&self, estimate: Cost) -> Option<Result<(), BudgetSpent>> {
        let mut state = self.state();
        if let Some(limit) = state.limits.max_cost {
            let spent = state.total.cost - state.began_at;
            if spent >= limit {
                return Some(Err(BudgetSpent { spent, limit }));
            }
            if state.open > 0 && spent + state.open_cost >= limit {
                return None;
            }
        }
        state.open += 1;
        state.open_cost += estimate;
        Some(Ok(()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One model request on the meter, open until dropped. What its answer states is added as it is seen, so that a
/// request that is cut has been counted as far as it came.
pub(super) struct Entry {
    meter: Arc<Meter>,
    reserved: Cost,
    model: String,
    answered: bool,
    counts: TokenCounts,
    cost: Cost,
}

impl Entry {
    fn new(meter: Arc<Meter>, reserved: Cost, model: &str) -> Self {
        let model = model.to_owned();
        Entry { meter, reserved, model, answered: false, counts: TokenCounts::default(), cost: Cost::ZERO }
    }

    pub(super) fn add(&mut self, statement: Statement) {
        if let Some(model) = statement.model {
            self.model = model;
        }
        let before = if self.answered { self.counts.usage() } else { Usage::default() };
        self.answered = true;
        self.counts.update(&statement.usage);
        // The prompt's length can change the price of all tokens, never downwards.
        let cost = self.meter.prices.cost(&self.model, &self.counts).max(self.cost);
        let mut state = self.meter.state();
        state.total.usage += self.counts.usage() - before;
        state.total.cost += cost - self.cost;
        self.cost = cost;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut state = self.meter.state();
        state.open -= 1;
        state.open_cost = state.open_cost - self.reserved;
        drop(state);
        self.meter.released.notify_waiters();
    }
}
