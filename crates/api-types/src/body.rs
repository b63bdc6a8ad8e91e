//! Bodies as the server reads them. Every member is optional here, so that an error can name the missing member and the
//! forms that there are.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// The body of `POST /task`, of both forms. Without `Debug`: `env` has secrets.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskBody {
    pub session_id: Option<String>,
    pub agent: Option<String>,
    pub message: Option<String>,
    pub prompt: Option<Value>,
    pub context: Option<String>,
    pub env: Option<BTreeMap<String, String>>,
    pub model: Option<String>,
    pub max_turns: Option<u32>,
    pub timeout_ms: Option<u64>,
    pub max_cost_usd: Option<f64>,
    pub retry: Option<u32>,
    pub metadata: Option<Value>,
    pub webhook: Option<Value>,
    pub repo: Option<String>,
    pub base: Option<String>,
    pub branch: Option<String>,
    #[serde(rename = "async")]
    pub respond_async: Option<bool>,
}

/// The body of `PUT /session/:id/credential`. Without `Debug`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialBody {
    pub api_key: Option<String>,
    pub oauth_token: Option<String>,
}
