//! A session: one conversation, its workspace, its queue of tasks. An actor: [`SessionHandle`] is its address, `worker` its
//! loop, and the other modules are the parts of the worker's state.
//!
//! | module | contains |
//! |---|---|
//! | `request` | the requests to a worker, each with the type of its answer |
//! | `worker` | the `select!`: requests, reports, output of the agent, deadlines |
//! | `state` | the transition table: which action follows which input |
//! | `durable`, `journal` | the session's record and the changes of the next commit |
//! | `tasks`, `queue`, `running` | the tasks that wait, the one that runs, and how it ends |
//! | `agent` | the sandbox, the dialogue and the work in a repository, together |
//! | `sandbox` | the resources that the session holds for its sandbox; launch, reattachment, removal |
//! | `conversation`, `narrator` | the dialogue with one agent process, and its lines as events |
//! | `repository_work` | stages, pull request, and the work that is handed in |
//! | `waiters`, `published`, `idle` | the callers that wait, the published status, the idle time |
//! | `log`, `feed` | the events of one session, and the changes of all, as subscribers read them |

mod agent;
mod context;
mod conversation;
mod durable;
mod environment;
mod feed;
mod handle;
mod idle;
mod intake;
mod journal;
mod log;
mod narrator;
mod payer;
mod published;
mod queue;
mod report;
mod repository_work;
mod request;
mod running;
mod sandbox;
mod state;
mod tasks;
mod waiters;
mod worker;

pub use context::{SessionContext, SessionSettings};
pub use environment::own_credential;
pub use feed::{Changed, Feed, News, Notice, NoticeKind, Render, Watcher};
pub use handle::SessionHandle;
pub use log::{Cursor, EventLog, Frames, Missing, Page};
pub use published::Status;
pub use request::{
    AbortMode, AbortScope, Accepted, AnswerError, AnswerRequest, OwnCredential, SessionView, Submission, SubmitError,
    Subscription, Until,
};

pub(crate) use request::{Reply, Request};
