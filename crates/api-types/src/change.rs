//! The lines of `GET /watch`: what changes in all sessions and tasks.

use domain::session::SessionId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ask::Ask;
use crate::session::Session;
use crate::task::Task;

/// A line of `/watch`. Types may be added: ignore those you do not know.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Change {
    Task(Box<TaskChanged>),
    Ask(Box<AskChanged>),
    Session(SessionChanged),
    SessionDeleted(SessionGone),
    Reload(Reload),
    #[serde(other, skip_serializing)]
    Unknown,
}

/// A task is new, or changed
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskChanged {
    pub task: Task,
}

/// An ask was opened or ended
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AskChanged {
    pub ask: Ask,
}

/// A session's state, queue or turns changed
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionChanged {
    pub session: Session,
}

/// A session was deleted, with the content of its tasks
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionGone {
    #[schema(value_type = String)]
    pub session_id: SessionId,
}

/// List again: sent at the beginning, and when the client missed changes
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reload {}
