//! Makes the attempts: several at once, one at a time for each delivery.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::task::TaskRecord;
use domain::webhook::{Attempt, Attempted, Due, Outcome, Target, WebhookId, WebhookSecret, WebhookSecrets};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use gateway::Outbound;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use observe::metrics::{Delivered, Metrics};
use serde_json::{Value, json};
use store::{BusyWebhooks, Change, Store, StoreError};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::RetrySchedule;
use super::signature::sign;

/// The number of concurrent attempts. Each holds a connection and a task's record.
const MAX_ATTEMPTS: usize = 32;

/// The number of concurrent attempts of one API key, so that its slow receivers do not delay those of other keys. Without keys
/// there is one caller, who may use all.
const MAX_ATTEMPTS_PER_KEY: usize = 8;

/// The number of concurrent attempts of one key to one host, so that a slow host does not delay the others.
const MAX_ATTEMPTS_PER_HOST: usize = 4;

/// The delay before a read or write of the store that failed is repeated.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// The longest sleep between two checks: the clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_mins(1);

/// The time that open attempts have to end when the coordinator ends. An interrupted attempt is repeated after the next start.
const GRACE: Duration = Duration::from_secs(5);

/// The dispatcher's parts and settings.
pub struct WebhookDispatcher {
    pub store: Store,
    pub outbound: Arc<Outbound>,
    /// The secrets for targets that bring none.
    pub secrets: WebhookSecrets,
    pub schedule: RetrySchedule,
    pub metrics: Metrics,
    /// Renders a task in the form of `GET /task/:id`.
    pub show: fn(&TaskRecord) -> Value,
}

/// The attempts in progress.
#[derive(Default)]
struct Open<'a> {
    attempts: FuturesUnordered<BoxFuture<'a, Due>>,
    numbers: Vec<i64>,
    /// The number of attempts by key.
    keys: HashMap<String, usize>,
    /// The number of attempts by key and host.
    hosts: HashMap<(String, String), usize>,
}

/// Delivers until the coordinator ends.
pub async fn run(dispatcher: WebhookDispatcher, shutdown: CancellationToken) {
    let mut open = Open::default();
    loop {
        let next = match dispatcher.begin(&mut open).await {
            Ok(next) => next.map_or(LONGEST_SLEEP, |at| until(at).min(LONGEST_SLEEP)),
            Err(StoreError::Closed) => return,
            Err(error) => {
                warn!(%error, "could not read the due webhooks");
                STORE_RETRY
            }
        };
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            Some(due) = open.attempts.next() => open.ended(&due),
            () = dispatcher.store.webhooks_made_due() => {}
            () = tokio::time::sleep(next) => {}
        }
    }
    let _ = tokio::time::timeout(GRACE, async { while open.attempts.next().await.is_some() {} }).await;
}

impl WebhookDispatcher {
    /// Begins the due deliveries that the bounds allow. Returns when the next delivery that they allow is due.
    async fn begin<'a>(&'a self, open: &mut Open<'a>) -> Result<Option<Timestamp>, StoreError> {
        loop {
            let room = MAX_ATTEMPTS.saturating_sub(open.numbers.len());
            if room == 0 {
                return Ok(None);
            }
            let busy = open.busy();
            let found = self.store.due_webhooks(Timestamp::now(), busy.clone(), room).await?;
            if found.is_empty() {
                return self.store.next_webhook(busy).await;
            }
            for due in found {
                if open.has_room_for(&due) {
                    open.begun(&due);
                    open.attempts.push(Box::pin(self.attempt(due)));
                }
            }
        }
    }

    /// Makes one attempt. It is committed when this returns.
    async fn attempt(&self, due: Due) -> Due {
        let (time, began) = (Timestamp::now(), Instant::now());
        let sent = self.send(&due).await;
        let (status, error, outcome) = self.judge(&due, sent);
        let attempt = Attempt::of(time, began.elapsed(), status, error);
        match outcome {
            Outcome::Delivered => info!(task.id = %due.task, webhook.id = %due.id, "webhook delivered"),
            Outcome::Again { .. } | Outcome::Failed => {
                warn!(task.id = %due.task, webhook.id = %due.id, status, error = attempt.error, ?outcome, "webhook not accepted");
            }
        }
        self.metrics.webhook_attempted(match outcome {
            Outcome::Delivered => Delivered::Taken,
            Outcome::Again { .. } => Delivered::Later,
            Outcome::Failed => Delivered::GivenUp,
        });
        let change = Change::AttemptedWebhook(Attempted { number: due.number, round: due.round, attempt, outcome });
        // Keep the change until it is committed: a delivery without a result would be tried again at once.
        while let Err(error) = self.store.commit(vec![change.clone()]).await {
            if matches!(error, StoreError::Closed) {
                break;
            }
            warn!(webhook.id = %due.id, %error, "could not store an attempt to deliver a webhook");
            tokio::time::sleep(STORE_RETRY).await;
        }
        due
    }

    /// Returns the status and the receiver's Retry-After, or the reason why there is no answer.
    async fn send(&self, due: &Due) -> Result<(u16, Option<Duration>), NotSent> {
        let target = due.target.as_ref().ok_or(NotSent::ForGood("its address cannot be read any more"))?;
        let record = match self.store.task(&due.task).await {
            Ok(record) => record.ok_or(NotSent::ForGood("its task is not there any more"))?,
            Err(error) => return Err(NotSent::Now(error.to_string())),
        };
        // An attempt holds its body only, however long the receiver takes.
        let body = self.body(due, record);
        let headers =
            self.headers(due.id, target, &body).ok_or(NotSent::ForGood("there is no secret to sign it with"))?;
        let answered = self.outbound.post(target.url(), headers, body).await;
        answered.map(|answer| (answer.status, answer.retry_after)).map_err(|error| NotSent::Now(error.to_string()))
    }

    /// `{"type", "timestamp", "data"}`. The timestamp is the task's end, and so the same in each attempt.
    fn body(&self, due: &Due, record: TaskRecord) -> Bytes {
        let ended = record.finished.unwrap_or(record.created);
        let body = json!({ "type": due.event, "timestamp": format!("{ended:.3}"), "data": (self.show)(&record) });
        drop(record);
        body.to_string().into()
    }

    /// Returns `None` if there is no secret to sign with.
    fn headers(&self, id: WebhookId, target: &Target, body: &[u8]) -> Option<HeaderMap> {
        let (id, timestamp) = (id.to_string(), Timestamp::now().as_second());
        let sign_with = |secret: &WebhookSecret| sign(secret, &id, timestamp, body);
        let signatures: Vec<String> = match target.secret() {
            Some(own) => vec![sign_with(own)],
            None => self.secrets.each().map(sign_with).collect(),
        };
        let signature = HeaderValue::try_from(signatures.join(" ")).ok().filter(|_| !signatures.is_empty())?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("webhook-id", HeaderValue::try_from(&id).ok()?);
        headers.insert("webhook-timestamp", HeaderValue::from(timestamp));
        headers.insert("webhook-signature", signature);
        Some(headers)
    }

    fn judge(
        &self,
        due: &Due,
        sent: Result<(u16, Option<Duration>), NotSent>,
    ) -> (Option<u16>, Option<String>, Outcome) {
        let (status, error, asked) = match sent {
            Ok((status @ 200..=299, _)) => return (Some(status), None, Outcome::Delivered),
            Ok((410, _)) => {
                let error = "the receiver declined further deliveries (410)".to_owned();
                return (Some(410), Some(error), Outcome::Failed);
            }
            Ok((status @ 300..=399, asked)) => {
                (Some(status), "the receiver redirected the request; redirects are not followed".to_owned(), asked)
            }
            Ok((status, asked)) => (Some(status), format!("the receiver answered {status}"), asked),
            Err(NotSent::ForGood(why)) => return (None, Some(why.to_owned()), Outcome::Failed),
            Err(NotSent::Now(why)) => (None, why, None),
        };
        let delay = self.schedule.delay(due.tries.saturating_add(1), asked, rand::random_range(0.0..1.0));
        let at = delay.and_then(|delay| Timestamp::now().checked_add(SignedDuration::try_from(delay).ok()?).ok());
        (status, Some(error), at.map_or(Outcome::Failed, |at| Outcome::Again { at }))
    }
}

enum NotSent {
    ForGood(&'static str),
    Now(String),
}

impl Open<'_> {
    fn has_room_for(&self, due: &Due) -> bool {
        let (key, target) = (&due.key, (due.key.clone(), due.host.clone()));
        self.numbers.len() < MAX_ATTEMPTS
            && self.keys.get(key).is_none_or(|count| !is_key_full(key, *count))
            && self.hosts.get(&target).is_none_or(|count| *count < MAX_ATTEMPTS_PER_HOST)
    }

    fn busy(&self) -> BusyWebhooks {
        let keys = self.keys.iter().filter(|(key, count)| is_key_full(key, **count));
        let hosts = self.hosts.iter().filter(|(_, count)| **count >= MAX_ATTEMPTS_PER_HOST);
        BusyWebhooks {
            numbers: self.numbers.clone(),
            keys: keys.map(|(key, _)| key.clone()).collect(),
            hosts: hosts.map(|(target, _)| target.clone()).collect(),
        }
    }

    fn begun(&mut self, due: &Due) {
        self.numbers.push(due.number);
        *self.keys.entry(due.key.clone()).or_default() += 1;
        *self.hosts.entry((due.key.clone(), due.host.clone())).or_default() += 1;
    }

    fn ended(&mut self, due: &Due) {
        self.numbers.retain(|number| *number != due.number);
        decrement(&mut self.keys, &due.key);
        decrement(&mut self.hosts, &(due.key.clone(), due.host.clone()));
    }
}

fn is_key_full(key: &str, count: usize) -> bool {
    !key.is_empty() && count >= MAX_ATTEMPTS_PER_KEY
}

fn decrement<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

fn until(at: Timestamp) -> Duration {
    at.duration_since(Timestamp::now()).try_into().unwrap_or_default()
}
