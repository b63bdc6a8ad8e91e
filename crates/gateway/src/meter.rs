//! Counts the usage and cost of a sandbox's model requests, and holds back requests without budget.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::access::KeyId;
use domain::budget::Payer;
use domain::usage::{Cost, Usage};
use http::StatusCode;
use jiff::Timestamp;
use observe::metrics::Metrics;
use observe::telemetry::{ModelRequest, TaskTrace};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::bound::Bound;
use super::prices::{Named, Priced, Prices};
use super::sse::Statement;
use super::task::{CutCharge, SettleBounds, TaskEnd, TaskRequests};
use super::tiers::Tiers;
use super::tokens::TokenCounts;
use crate::budget::{Budgets, MAX_MODEL_CHARS, Refusal, Reservation};

/// Usage and cost of a task since it began in this sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageSnapshot {
    pub usage: Usage,
    pub cost: Cost,
    /// The part of `cost` of models without a price, which are counted as the most expensive one.
    #[serde(default)]
    pub assumed: Cost,
}

pub(super) struct Meter {
    prices: Arc<Prices>,
    tiers: Arc<Tiers>,
    budgets: Budgets,
    metrics: Metrics,
    settle: SettleBounds,
    /// The running task, or the last one. `None`: the sandbox had no task yet.
    task: Mutex<Option<Arc<TaskRequests>>>,
}

impl Meter {
    pub(super) fn new(
        prices: Arc<Prices>,
        tiers: Arc<Tiers>,
        budgets: Budgets,
        metrics: Metrics,
        settle: SettleBounds,
    ) -> Self {
        Meter { prices, tiers, budgets, metrics, settle, task: Mutex::default() }
    }

    /// The usage of the current task, or of the last one.
    pub(super) fn read(&self) -> UsageSnapshot {
        self.task().as_ref().map(|task| task.used()).unwrap_or_default()
    }

    /// Starts a task: new requests are charged to it. If the same task already runs, it continues.
    pub(super) fn begin(&self, payer: Payer, model: Option<String>) {
        let mut current = self.task();
        let goes_on = |task: &Arc<TaskRequests>| {
            payer.task.is_some() && task.payer == payer && task.model == model && !task.has_ended()
        };
        if !current.as_ref().is_some_and(goes_on)
            && let Some(earlier) = current.replace(Arc::new(TaskRequests::new(payer, model)))
        {
            earlier.end(TaskEnd::Own, &self.settle);
        }
        drop(current);
        self.budgets.look_again();
    }

    /// Ends the task. No request starts until the next task starts.
    pub(super) fn end(&self, end: TaskEnd) {
        if let Some(task) = self.task().as_ref() {
            task.end(end, &self.settle);
        }
    }

    /// Ends the task, so that the sandbox has none.
    pub(super) fn forget(&self) {
        if let Some(earlier) = self.task().take() {
            earlier.end(TaskEnd::Own, &self.settle);
        }
    }

    /// Returns the running task.
    pub(super) fn running(&self) -> Option<Arc<TaskRequests>> {
        self.task().as_ref().filter(|task| !task.has_ended()).map(Arc::clone)
    }

    /// The key that pays for the current task, or paid for the last one.
    pub(super) fn key(&self) -> Option<KeyId> {
        self.task().as_ref().and_then(|task| task.payer.key.clone())
    }

    pub(super) fn trace_as(&self, trace: TaskTrace) {
        if let Some(task) = self.task().as_ref() {
            task.trace_as(trace);
        }
    }

    /// Waits until a request of a task may start, and stores its reservation.
    pub(super) async fn reserve(
        self: &Arc<Self>,
        task: &Arc<TaskRequests>,
        model: &str,
        bound: &Bound,
    ) -> Result<MeteredRequest, Refusal> {
        let priority = self.tiers.has(task.payer.key.as_ref());
        let most = TokenCounts { priority, ..bound.most };
        let estimate = self.prices.cost(model, &most);
        let mut released = Box::pin(self.budgets.released());
        loop {
            // Register interest before the check, so that a release in between is not missed.
            released.as_mut().enable();
            if let Some(reservation) = self.budgets.try_reserve(&task.payer, model, estimate, bound.certainty).await? {
                return Ok(MeteredRequest::new(Arc::clone(self), Arc::clone(task), reservation, most));
            }
            released.as_mut().await;
            released.set(self.budgets.released());
        }
    }

    fn task(&self) -> MutexGuard<'_, Option<Arc<TaskRequests>>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The output tokens per second that a model is assumed to write if their number is unknown. The fastest measured models write a
/// little less.
const TOKENS_PER_SECOND: u128 = 250;

/// The number of different further models of one answer that count. Claude Code knows one, the adviser's.
const MAX_OTHERS: usize = 64;

/// One model request on the meter, open until dropped. The usage that its answer states is added as it arrives. The rest is
/// estimated at the end.
pub(super) struct MeteredRequest {
    meter: Arc<Meter>,
    task: Arc<TaskRequests>,
    reservation: Reservation,
    /// The upper bound on the request's usage.
    most: TokenCounts,
    stage: Stage,
    counts: TokenCounts,
    /// The output when the API last counted it. `None`: it did not, except at the answer's beginning.
    counted_output: Option<u64>,
    /// Tokens of content that passed since then.
    streamed: u64,
    /// The time at which it was sent for the first time.
    began: Option<(Instant, Timestamp)>,
    /// The time at which it was sent for the last time.
    sent: Option<Instant>,
    /// Set if the answer was not read to its end, and nobody knows what the rest of it cost.
    cut: Option<CutCharge>,
    /// The status of the answer that replaces the API's.
    refused: Option<StatusCode>,
    /// The model that the answer names.
    answered: Option<String>,
    /// Other models that had a part in the answer.
    others: Vec<String>,
    /// The name under which the model has its price. `None`: it has none.
    priced_as: Option<Arc<str>>,
    /// The model without a price that decided the cost.
    unpriced: Option<String>,
    trace: TaskTrace,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The request costs nothing: it was not sent, it was refused, or the answer did not come from the API.
    Free,
    /// The request was sent, and the API has stated no usage.
    Sent,
    /// The answer is a stream that began with a message of the API.
    Streaming,
    /// The answer stated its whole usage.
    Stated,
}

impl MeteredRequest {
    fn new(meter: Arc<Meter>, task: Arc<TaskRequests>, reservation: Reservation, most: TokenCounts) -> Self {
        let trace = task.trace();
        MeteredRequest {
            meter,
            task,
            reservation,
            most,
            stage: Stage::Free,
            counts: TokenCounts::default(),
            counted_output: None,
            streamed: 0,
            began: None,
            sent: None,
            cut: None,
            refused: None,
            answered: None,
            others: Vec::new(),
            priced_as: None,
            unpriced: None,
            trace,
        }
    }

    /// Marks the request as sent, perhaps again: from now on it may be answered even if the gateway does not receive the answer.
    pub(super) fn sent(&mut self) {
        let now = Instant::now();
        self.stage = Stage::Sent;
        self.refused = None;
        self.began.get_or_insert_with(|| (now, Timestamp::now()));
        self.sent = Some(now);
    }

    /// Marks the request as free, because the API did not answer it.
    pub(super) fn refused(&mut self, status: StatusCode) {
        self.began.get_or_insert_with(|| (Instant::now(), Timestamp::now()));
        self.stage = Stage::Free;
        self.refused = Some(status);
    }

    /// Marks the answer as not read any further, or as broken off.
    pub(super) fn cut(&mut self, charge: CutCharge) {
        self.cut = Some(charge);
    }

    /// Marks a streamed answer as complete. Only content that the API did not count is estimated.
    pub(super) fn complete(&mut self) {
        if self.stage == Stage::Streaming {
            let stated = self.reservation.charge.cost;
            self.count_streamed();
            self.count();
            self.reservation.charge.estimated = self.reservation.charge.cost - stated;
            self.stage = Stage::Stated;
        }
    }

    pub(super) fn streamed(&mut self, tokens: u64) {
        self.streamed = tokens;
    }

    pub(super) fn add(&mut self, statement: Statement) {
        if let Some(model) = statement.model {
            let model: String = model.chars().take(MAX_MODEL_CHARS).collect();
            let prices = &self.meter.prices;
            // A gateway may answer with its own name for the model, which is less specific than the one in the request.
            if prices.has_price(&model) || !prices.has_price(&self.reservation.request().model) {
                self.reservation.charge.model.clone_from(&model);
            }
            self.answered = Some(model);
        }
        self.stage = if statement.is_final || self.stage == Stage::Stated { Stage::Stated } else { Stage::Streaming };
        for field in statement.usage.unknown_fields() {
            self.meter.prices.warn_of_field(field);
        }
        for model in statement.usage.other_models() {
            let model: String = model.chars().take(MAX_MODEL_CHARS).collect();
            if self.others.len() < MAX_OTHERS && !self.others.contains(&model) {
                self.others.push(model);
            }
        }
        self.counts.update(&statement.usage);
        if self.counts.priority {
            self.meter.tiers.add(self.task.payer.key.as_ref());
        }
        if statement.counts_output {
            self.counted_output = Some(self.counts.output);
        }
        self.count();
    }

    /// Updates the charge and the task's meter to the known usage.
    fn count(&mut self) {
        let usage = self.counts.usage();
        // The prompt's length can raise the price of all tokens, but never lower it.
        let cost = self.price();
        self.charge(usage, cost);
    }

    /// The cost of the known usage.
    fn price(&mut self) -> Cost {
        let named = Named {
            requested: &self.reservation.request().model,
            answered: self.answered.as_deref(),
            others: &self.others,
        };
        let Priced { cost, name, unpriced } = self.meter.prices.price(named, &self.counts);
        self.priced_as = name;
        self.unpriced = unpriced;
        cost
    }

    fn charge(&mut self, usage: Usage, cost: Cost) {
        let is_assumed = self.priced_as.is_none();
        let charge = &mut self.reservation.charge;
        let cost = cost.max(charge.cost);
        let assumed = if is_assumed { cost } else { Cost::ZERO };
        self.task.add(usage - charge.usage, cost - charge.cost);
        self.task.assume(charge.assumed, assumed);
        charge.usage = usage;
        charge.cost = cost;
        charge.assumed = assumed;
    }

    /// Adds the content that passed and that the API did not count.
    fn count_streamed(&mut self) {
        let written = self.counted_output.unwrap_or_default().saturating_add(self.streamed);
        self.counts.output = self.counts.output.max(written);
    }

    /// Charges what the API did not state.
    fn estimate_the_rest(&mut self) {
        if matches!(self.stage, Stage::Free | Stage::Stated) {
            return;
        }
        let stated = self.reservation.charge.cost;
        if self.counts.prompt() == 0 {
            self.counts.raise(&TokenCounts { output: 0, ..self.most });
        }
        self.count_streamed();
        // Nobody knows what an answer cost whose beginning never came.
        let cut = self.cut.or((self.stage == Stage::Sent).then_some(CutCharge::Reservation));
        match cut {
            // The connection to the API broke: the tokens that passed are those that were written.
            None => self.count(),
            Some(CutCharge::Reservation) => {
                self.counts.output = self.counts.output.max(self.most.output);
                self.price();
                self.charge(self.counts.usage(), self.reservation.request().estimate);
            }
            Some(CutCharge::Elapsed) => {
                let open = self.sent.map(|sent| sent.elapsed()).unwrap_or_default();
                let written = (open.as_millis() * TOKENS_PER_SECOND).div_ceil(1000);
                let written = u64::try_from(written).unwrap_or(u64::MAX).min(self.most.output);
                self.counts.output = self.counts.output.max(written);
                let cost = self.price();
                self.charge(self.counts.usage(), cost.min(self.reservation.request().estimate));
            }
        }
        self.reservation.charge.estimated = self.reservation.charge.cost - stated;
    }
}

impl Drop for MeteredRequest {
    fn drop(&mut self) {
        self.estimate_the_rest();
        let charge = &self.reservation.charge;
        let Some((first, began)) = self.began else { return };
        let answered = self.stage != Stage::Free;
        if answered {
            let model = self.priced_as.as_deref();
            self.meter.metrics.model_request(model, &charge.usage, charge.cost, first.elapsed());
            if model.is_none() {
                self.meter.metrics.price_assumed();
                let model = self.unpriced.as_deref().unwrap_or(&self.reservation.request().model);
                self.meter.prices.warn_of_model(model);
            }
        }
        let error = match (self.refused, self.stage) {
            (Some(status), _) => Some(status.as_u16().to_string().into()),
            (None, Stage::Free | Stage::Sent) => Some("no_answer".into()),
            (None, Stage::Streaming) => Some("incomplete".into()),
            (None, Stage::Stated) => None,
        };
        self.trace.model_requested(&ModelRequest {
            model: &self.reservation.request().model,
            answered_by: self.answered.as_deref(),
            usage: answered.then_some(&charge.usage),
            began,
            error,
        });
    }
}
