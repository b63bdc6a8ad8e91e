//! Webhooks: a task's end, told to an address that its caller gave, in the format of Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
//!
//! A [`Target`] is written down with its task, and made due by the commit that ends the task ([`store`]). From then on
//! it is tried until the other side takes it, says that it wants no more (410), or [`RetrySchedule`] is over: over restarts, at
//! least once, always under the same id. What is sent is the task's record as it is at that moment, so a session that was
//! deleted has taken what was said in it along.
//!
//! The address is a caller's, and so is not trusted: [`Outbound`](gateway::Outbound) judges it before each attempt.

mod schedule;
mod signature;
mod worker;

pub use schedule::RetrySchedule;
pub use worker::{Courier, run};
