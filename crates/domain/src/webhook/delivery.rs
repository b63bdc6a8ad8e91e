//! The record of one webhook delivery.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Target;
use crate::session::SessionId;
use crate::task::TaskId;

/// The `webhook-id` header: `msg_` and 32 hexadecimal digits. All attempts carry the same id, so that a receiver can
/// detect duplicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WebhookId(Uuid);

#[derive(Debug, thiserror::Error)]
#[error("a webhook's id is msg_ and 32 hexadecimal digits")]
pub struct InvalidWebhookId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// The dispatcher is trying or will try again.
    Pending,
    Delivered,
    /// The dispatcher has given up. A replay starts again.
    Failed,
}

/// One attempt to deliver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    pub time: Timestamp,
    /// The HTTP status of the response. `None` if there was no response.
    pub status: Option<u16>,
    /// The reason why the attempt failed.
    pub error: Option<String>,
    pub duration_ms: u64,
}

/// A delivery as `GET /webhooks` returns it.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    pub id: WebhookId,
    pub task: TaskId,
    pub session_id: SessionId,
    /// `task.completed`, `task.failed` or `task.aborted`.
    pub event: String,
    /// The URL without its query.
    pub url: String,
    pub status: DeliveryStatus,
    /// The time when the task ended.
    pub created: Timestamp,
    pub next_attempt: Option<Timestamp>,
    /// The most recent attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

/// A delivery whose next attempt is due.
#[derive(Debug)]
pub struct Due {
    pub number: i64,
    /// Number of replays. The result of an attempt from an earlier round does not end a delivery that was replayed
    /// meanwhile.
    pub round: i64,
    /// Number of attempts in this round.
    pub tries: u32,
    pub id: WebhookId,
    pub task: TaskId,
    pub event: String,
    pub host: String,
    /// `None` if the sealed target cannot be opened because it was modified or moved.
    pub target: Option<Target>,
    /// The API key that submitted the task; empty without one.
    pub key: String,
}

/// The result of an attempt, for the store to record.
#[derive(Clone, Debug)]
pub struct Attempted {
    pub number: i64,
    pub round: i64,
    pub attempt: Attempt,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Delivered,
    Again { at: Timestamp },
    Failed,
}

impl WebhookId {
    /// Generates a random id, which reveals nothing about other deliveries.
    pub fn generate() -> Self {
        WebhookId(Uuid::new_v4())
    }

    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        WebhookId(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "msg_{}", self.0.simple())
    }
}

impl FromStr for WebhookId {
    type Err = InvalidWebhookId;

    fn from_str(text: &str) -> Result<Self, InvalidWebhookId> {
        let digits = text.strip_prefix("msg_").filter(|digits| digits.len() == 32).ok_or(InvalidWebhookId)?;
        Uuid::try_parse(digits).map(WebhookId).map_err(|_| InvalidWebhookId)
    }
}

impl DeliveryStatus {
    pub const fn as_str(self) -> &'static str {
        match self {
            DeliveryStatus::Pending => "pending",
            DeliveryStatus::Delivered => "delivered",
            DeliveryStatus::Failed => "failed",
        }
    }
}

impl Attempt {
    /// Number of attempts that the store keeps for each delivery.
    pub const KEPT: usize = 50;

    pub fn of(time: Timestamp, took: Duration, status: Option<u16>, error: Option<String>) -> Self {
        Attempt { time, status, error, duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX) }
    }
}
