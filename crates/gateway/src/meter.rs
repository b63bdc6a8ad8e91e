//! Counts what a sandbox's model requests use and cost, and holds back requests for which there is no money left.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use domain::budget::Payer;
use domain::usage::{Cost, Usage};
use http::StatusCode;
use jiff::Timestamp;
use observe::metrics::Metrics;
use observe::telemetry::{ModelRequest, TaskTrace};
use serde::{Deserialize, Serialize};

use super::prices::Prices;
use super::sse::Statement;
use super::tokens::TokenCounts;
use crate::budget::{Budgets, Refusal, Reservation};

/// A reading of the meter: everything since the sandbox was opened. Never goes down; a task's share is a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    pub usage: Usage,
    pub cost: Cost,
}

pub(super) struct Meter {
    prices: Arc<Prices>,
    budgets: Budgets,
    metrics: Metrics,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    total: Reading,
    payer: Arc<Payer>,
    trace: TaskTrace,
}

impl Meter {
    pub(super) fn new(prices: Arc<Prices>, budgets: Budgets, metrics: Metrics) -> Self {
        Meter { prices, budgets, metrics, state: Mutex::default() }
    }

    pub(super) fn read(&self) -> Reading {
        self.state().total
    }

    /// From here on, requests are this one's.
    pub(super) fn charge_to(&self, payer: Payer) {
        let mut state = self.state();
        state.payer = Arc::new(payer);
        state.trace = TaskTrace::default();
        drop(state);
        self.budgets.look_again();
    }

    pub(super) fn trace_as(&self, trace: TaskTrace) {
        self.state().trace = trace;
    }

    pub(super) fn payer(&self) -> Arc<Payer> {
        Arc::clone(&self.state().payer)
    }

    /// Waits until a request may start, and writes down that it does. `expected`: the most that it is expected to use.
    pub(super) async fn reserve(self: &Arc<Self>, model: &str, expected: &TokenCounts) -> Result<Entry, Refusal> {
        let estimate = self.prices.cost(model, expected);
        let mut released = Box::pin(self.budgets.released());
        loop {
            // Listening begins before the look, so that a release in between is not missed.
            released.as_mut().enable();
            let payer = self.payer();
            if let Some(reservation) = self.budgets.try_reserve(&payer, model, estimate).await? {
                return Ok(Entry::new(Arc::clone(self), reservation, *expected));
            }
            released.as_mut().await;
            released.set(self.budgets.released());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One model request on the meter, open until dropped. What its answer states is added as it is seen, so that a
/// request that is cut has been counted as far as it came; what it does not state is estimated at the end.
pub(super) struct Entry {
    meter: Arc<Meter>,
    reservation: Reservation,
    expected: TokenCounts,
    stage: Stage,
    counts: TokenCounts,
    /// Tokens of content that passed.
    streamed: u64,
    /// When it went out.
    sent: Option<(Instant, Timestamp)>,
    /// The status of the answer in place of the API's.
    refused: Option<StatusCode>,
    /// The answer names its model.
    names_model: bool,
    trace: TaskTrace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing of it costs anything: it was not sent, or it was refused.
    Free,
    Sent,
    /// The answer has begun, and is a stream.
    Streaming,
    /// The answer has begun, and is a document, which states its usage at the end of everything.
    Document,
    /// The answer stated all.
    Stated,
}

impl Entry {
    fn new(meter: Arc<Meter>, reservation: Reservation, expected: TokenCounts) -> Self {
        let trace = meter.state().trace.clone();
        Entry {
            meter,
            reservation,
            expected,
            stage: Stage::Free,
            counts: TokenCounts::default(),
            streamed: 0,
            sent: None,
            refused: None,
            names_model: false,
            trace,
        }
    }

    /// It goes out: somebody may answer it, whether we see that or not.
    pub(super) fn sent(&mut self) {
        self.stage = Stage::Sent;
        self.sent = Some((Instant::now(), Timestamp::now()));
    }

    /// It was not answered, and costs nothing.
    pub(super) fn refused(&mut self, status: StatusCode) {
        self.stage = Stage::Free;
        self.refused = Some(status);
    }

    pub(super) fn begin_stream(&mut self) {
        self.stage = Stage::Streaming;
    }

    pub(super) fn begin_document(&mut self) {
        self.stage = Stage::Document;
    }

    pub(super) fn streamed(&mut self, tokens: u64) {
        self.streamed = tokens;
    }

    pub(super) fn add(&mut self, statement: Statement) {
        if let Some(model) = statement.model {
            self.reservation.charge.model = model;
            self.names_model = true;
        }
        if statement.is_final {
            self.stage = Stage::Stated;
        }
        self.counts.update(&statement.usage);
        self.count();
    }

    /// Brings what is charged, and the meter, to what is known by now.
    fn count(&mut self) {
        let charge = &mut self.reservation.charge;
        let usage = self.counts.usage();
        // The prompt's length can change the price of all tokens, never downwards.
        let cost = self.meter.prices.cost(&charge.model, &self.counts).max(charge.cost);
        let mut state = self.meter.state();
        state.total.usage += usage - charge.usage;
        state.total.cost += cost - charge.cost;
        drop(state);
        charge.usage = usage;
        charge.cost = cost;
    }

    /// What was not stated: the prompt where nothing was, and the answer as far as it passed. An answer in one document is
    /// complete before it begins, so one that is cut costs what was expected at most.
    fn estimate_the_rest(&mut self) {
        match self.stage {
            Stage::Free | Stage::Stated => return,
            Stage::Sent | Stage::Streaming => {
                if self.counts.prompt() == 0 {
                    self.counts = TokenCounts { output: self.counts.output, ..self.expected };
                }
                self.counts.output = self.counts.output.max(self.streamed);
            }
            Stage::Document => self.counts = self.expected,
        }
        let stated = self.reservation.charge.cost;
        self.count();
        self.reservation.charge.estimated = self.reservation.charge.cost - stated;
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.estimate_the_rest();
        let charge = &self.reservation.charge;
        let Some((sent, began)) = self.sent else { return };
        let answered = self.stage != Stage::Free;
        if answered {
            let model = self.meter.prices.name_of(&charge.model);
            self.meter.metrics.model_request(model, &charge.usage, charge.cost, sent.elapsed());
        }
        let error = match (self.refused, self.stage) {
            (Some(status), _) => Some(status.as_u16().to_string().into()),
            (None, Stage::Free | Stage::Sent) => Some("no_answer".into()),
            (None, Stage::Streaming | Stage::Document) => Some("incomplete".into()),
            (None, Stage::Stated) => None,
        };
        self.trace.model_requested(&ModelRequest {
            model: &self.reservation.request().model,
            answered_by: self.names_model.then_some(&charge.model),
            usage: answered.then_some(&charge.usage),
            began,
            error,
        });
    }
}
