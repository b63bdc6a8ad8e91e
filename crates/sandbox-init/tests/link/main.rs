//! Tests of the real sandbox-init, as an ordinary process, with the coordinator's end of the link.
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test panics if its set-up fails")]

mod carrying;
mod ending;
mod files;
mod forwarding;
mod hostile_files;
mod interruptions;
mod programs;
mod support;
