//! Sessions, and the tickets for their streams.

use domain::agent::AgentName;
use domain::session::{Epoch, SessionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::time::Time;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Session {
    #[schema(value_type = String)]
    pub session_id: SessionId,
    /// as long as the session lives
    #[schema(value_type = String)]
    pub agent: AgentName,
    #[schema(value_type = String, format = DateTime)]
    pub created: Time,
    #[schema(value_type = String, format = DateTime)]
    pub last_active: Time,
    pub turns: u64,
    pub busy: bool,
    pub queued: usize,
    pub state: String,
    pub seq: u64,
    #[schema(required)]
    pub sdk_session_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(inline, nullable = false)]
    pub credential: Option<CredentialSource>,
    /// of the session's present life: EPOCH-SEQ is a cursor
    #[schema(value_type = String)]
    pub epoch: Epoch,
}

/// The owner of the credential that a session's model requests use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialSource {
    Session,
    Operator,
    #[serde(other, skip_serializing)]
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deleted {
    pub deleted: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reset {
    pub session_id: String,
    pub reset: bool,
}

// The type has no `Debug`, because a ticket opens a stream.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ticket {
    pub ticket: String,
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Time,
    /// the second argument of the page's `new WebSocket`
    #[schema(value_type = Vec<String>, min_items = 2, max_items = 2)]
    pub protocols: [String; 2],
}
