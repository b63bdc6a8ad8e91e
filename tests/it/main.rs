//! The real ring: the coordinator as a process, real containers, the real CLI in them, and a scripted model. Needs an
//! engine and the agent image (`scripts/setup`), whose name `DOCKER_IMAGE` may change; fails without them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and tells why"
)]

mod agent_image;
mod bounds;
mod engine;
mod redact;
mod server;
mod subscriber;

mod abort;
mod broken_agent;
mod capacity;
mod compatibility;
mod docs;
mod doctor;
mod egress;
mod idempotency;
mod input;
mod limits;
mod lost_agent;
mod model_failure;
mod output;
mod restart;
mod secrets;
mod session;
mod settings;
mod stream;
mod warm;
