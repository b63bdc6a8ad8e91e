//! One delivery: what is kept of it, and what is told of it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Target;
use crate::session::SessionId;
use crate::task::TaskId;

/// `webhook-id`: `msg_` and 32 hexadecimal digits. The same for all attempts, so that a receiver can tell that it has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WebhookId(Uuid);

#[derive(Debug, thiserror::Error)]
#[error("a webhook's id is msg_ and 32 hexadecimal digits")]
pub struct InvalidWebhookId;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// It is tried, or will be.
    Pending,
    Delivered,
    /// It is not tried any more, unless it is replayed.
    Failed,
}

/// One request that was made, or could not be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    pub time: Timestamp,
    /// What the other side answered.
    pub status: Option<u16>,
    /// Why that is not enough, in words of ours.
    pub error: Option<String>,
    pub duration_ms: u64,
}

/// A delivery as `GET /webhooks` tells of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    pub id: WebhookId,
    pub task: TaskId,
    pub session_id: SessionId,
    /// `task.completed`, `task.failed` or `task.aborted`.
    pub event: String,
    /// Without its query.
    pub url: String,
    pub status: DeliveryStatus,
    /// When the task ended.
    pub created: Timestamp,
    pub next_attempt: Option<Timestamp>,
    /// The last ones, oldest first.
    pub attempts: Vec<Attempt>,
}

/// A delivery whose time has come.
#[derive(Debug)]
pub struct Due {
    pub number: i64,
    /// Counts replays: what an attempt of before came to does not end a delivery that was replayed meanwhile.
    pub round: i64,
    /// Attempts that this round has had.
    pub tries: u32,
    pub id: WebhookId,
    pub task: TaskId,
    pub event: String,
    pub host: String,
    /// `None`: it does not open, because it was changed or moved.
    pub target: Option<Target>,
}

/// What an attempt came to, to be written down.
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
    /// Random, so that it tells nothing of others.
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
    /// At most so many are kept of one delivery, the last ones.
    pub const KEPT: usize = 50;

    pub fn of(time: Timestamp, took: Duration, status: Option<u16>, error: Option<String>) -> Self {
        Attempt { time, status, error, duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX) }
    }
}
