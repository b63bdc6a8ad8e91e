//! Tasks. A task is one submitted message. It is queued, then running, then completed, failed or aborted. It ends
//! exactly once.

mod id;
mod outcome;
mod record;
mod repository;
mod trace_parent;
mod variable;

pub use id::{InvalidTaskId, TaskId};
pub use outcome::{Answer, ErrorType, Failure};
pub use record::{MAX_TIMEOUT_MS, MAX_TURNS, TaskKind, TaskRecord, TaskRequest, TaskStatus};
pub use repository::{RepositoryProgress, RepositoryRequest, Stage};
pub use trace_parent::{InvalidTraceParent, TraceParent};
pub use variable::{MAX_VARIABLE_BYTES, VariableProblem, check_variable};
