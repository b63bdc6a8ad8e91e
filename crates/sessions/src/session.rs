//! A session: one conversation, its workspace, its queue of tasks. An actor: [`SessionHandle`] is its address,
//! `worker` owns its state.

mod context;
mod conversation;
mod environment;
mod feed;
mod handle;
mod journal;
mod log;
mod message;
mod narrator;
mod payer;
pub(crate) mod questions;
mod queue;
mod running;
mod state;
mod worker;

pub use context::{SessionContext, SessionSettings};
pub use environment::own_credential;
pub use feed::{Changed, Feed, News, Notice, NoticeKind, Render, Watcher};
pub use handle::{SessionHandle, Status};
pub use log::{Cursor, EventLog, Frames, Page};
pub use message::{AbortMode, AbortScope, Accepted, OwnCredential, SessionView, Submission, SubmitError, Subscription};

pub(crate) use message::Message;
