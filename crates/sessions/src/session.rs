//! A session: one conversation, its workspace, its queue of tasks. An actor: [`SessionHandle`] is its address, `worker`
//! its loop, and the other modules are the parts of the worker's state.

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
pub use log::{Cursor, EventLog, Frames, Page};
pub use published::Status;
pub use request::{AbortMode, AbortScope, Accepted, OwnCredential, SessionView, Submission, SubmitError, Subscription};

pub(crate) use request::{Reply, Request};
