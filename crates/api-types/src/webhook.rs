//! Deliveries of webhooks.

use domain::session::SessionId;
use domain::task::TaskId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WebhookStatus {
    Pending,
    Delivered,
    Failed,
    #[serde(other, skip_serializing)]
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// the webhook-id of every attempt
    pub id: String,
    #[schema(value_type = String)]
    pub task_id: TaskId,
    #[schema(value_type = String)]
    pub session_id: SessionId,
    #[serde(rename = "type")]
    #[schema(schema_with = crate::schema::webhook_type)]
    pub kind: String,
    /// without its query
    pub url: String,
    pub status: WebhookStatus,
    /// when the task ended
    #[schema(value_type = String, format = DateTime)]
    pub created: Time,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub next_attempt: Option<Time>,
    /// the last ones, oldest first
    #[schema(inline)]
    pub attempts: Vec<Attempt>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    #[schema(value_type = String, format = DateTime)]
    pub time: Time,
    /// of the answer
    #[schema(required)]
    pub status: Option<u16>,
    /// why it was not taken
    #[schema(required)]
    pub error: Option<String>,
    pub duration_ms: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Replayed {
    pub id: String,
    #[schema(value_type = String)]
    pub task_id: TaskId,
    pub status: WebhookStatus,
}

impl From<domain::webhook::DeliveryStatus> for WebhookStatus {
    fn from(status: domain::webhook::DeliveryStatus) -> Self {
        match status {
            domain::webhook::DeliveryStatus::Pending => WebhookStatus::Pending,
            domain::webhook::DeliveryStatus::Delivered => WebhookStatus::Delivered,
            domain::webhook::DeliveryStatus::Failed => WebhookStatus::Failed,
        }
    }
}
