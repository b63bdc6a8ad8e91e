//! Webhooks: the end of a task is posted to an address of its caller, in the format of Standard Webhooks
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
//!
//! A [`Target`](domain::webhook::Target) is stored with its task, and the commit that ends the task makes it due ([`store`]). From then on the
//! dispatcher tries it until the receiver accepts it or answers 410, or [`RetrySchedule`] is over: across restarts, at
//! least once, always under the same id. The body has the task's record at that moment, so a deleted session's record
//! is not sent.
//!
//! The address is a caller's and not trusted: [`Outbound`](gateway::Outbound) checks it before each attempt.

mod schedule;
mod signature;
mod worker;

pub use schedule::RetrySchedule;
pub use worker::{WebhookDispatcher, run};
