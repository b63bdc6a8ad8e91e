//! A task: one submitted message. Queued, then running, then completed, failed or aborted; it ends exactly once.

mod id;
mod outcome;
mod record;
mod repository;

pub use id::{InvalidTaskId, TaskId};
pub use outcome::{Answer, ErrorType, Failure};
pub use record::{TaskRecord, TaskRequest, TaskStatus};
pub use repository::{RepositoryProgress, RepositoryRequest, Stage};
