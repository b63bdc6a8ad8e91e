//! Bodies of requests as callers send them. [`body`](crate::body) has them as the server reads them.

use std::collections::BTreeMap;

use domain::session::SessionId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::ask::TaskAsks;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum TaskRequest {
    Session(SessionTaskRequest),
    Repository(RepositoryTaskRequest),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionTaskRequest {
    #[schema(schema_with = crate::schema::session_id)]
    pub session_id: SessionId,
    /// the message to the agent
    #[schema(min_length = 1, pattern = r"\S")]
    pub message: String,
    /// of a new session, see `GET /agents`; a session keeps it
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// put before the message
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = crate::schema::env)]
    pub env: Option<BTreeMap<String, String>>,
    /// any name that the model API takes, or a short name of Claude Code such as `sonnet`; default MODEL
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub max_turns: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 86_400_000)]
    pub timeout_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0)]
    pub max_cost_usd: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 3)]
    pub retry: Option<u32>,
    /// returned with the record; at most 16 KiB
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
    /// as `Prefer: respond-async`
    #[serde(rename = "async", default, skip_serializing_if = "Option::is_none")]
    pub respond_async: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookTarget>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asks: Option<TaskAsks>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryTaskRequest {
    /// the task, and the repository in words
    #[schema(min_length = 1, pattern = r"\S")]
    pub prompt: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookTarget>,
    /// OWNER/NAME. Without it, the server determines the repository
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<String>,
    /// the branch to begin at; default the repository's own
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// the branch to work on; default claude/TASK
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = crate::schema::env)]
    pub env: Option<BTreeMap<String, String>>,
    /// put before the message
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// any name that the model API takes, or a short name of Claude Code such as `sonnet`; default MODEL
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub max_turns: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 86_400_000)]
    pub timeout_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0)]
    pub max_cost_usd: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 3)]
    pub retry: Option<u32>,
    /// returned with the record; at most 16 KiB
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Value>,
}

/// the receiver of a message at the task's end, in the format of Standard Webhooks: a URL, signed with WEBHOOK_SECRET, or one with a
/// secret of its own. https on the internet, and what WEBHOOK_ALLOW opens
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum WebhookTarget {
    Url(#[schema(inline)] WebhookUrl),
    Signed(#[schema(inline)] SignedTarget),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(format = "uri", max_length = 2048)]
pub struct WebhookUrl(pub String);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignedTarget {
    #[schema(inline)]
    pub url: WebhookUrl,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^whsec_[A-Za-z0-9+/]{32,88}={0,2}$")]
    pub secret: Option<String>,
}

/// Exactly one of the two
// The type has no `Debug`, because it contains a credential.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum CredentialRequest {
    ApiKey(#[schema(inline)] ApiKeyCredential),
    OauthToken(#[schema(inline)] OauthTokenCredential),
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiKeyCredential {
    #[schema(pattern = "^[!-~]+$", max_length = 4096)]
    pub api_key: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OauthTokenCredential {
    #[schema(pattern = "^[!-~]+$", max_length = 4096)]
    pub oauth_token: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TicketRequest {
    /// the page's origin, where a backend asks for it: `https://app.example.com`
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples("https://app.example.com"))]
    pub origin: Option<String>,
}
