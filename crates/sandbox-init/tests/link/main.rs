//! The real sandbox-init as an ordinary process on one end, the coordinator's link on the other.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test ends where its set-up fails")]

mod carrying;
mod ending;
mod forwarding;
mod interruptions;
mod programs;
mod support;
