//! End-to-end tests: the coordinator as a process, real containers, the real CLI in them, and a scripted model. They need an engine
//! and the agent image (`scripts/setup`), whose name `DOCKER_IMAGE` may change, and fail without them.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and prints the reason"
)]

mod agent_image;
mod bounds;
mod command;
mod engine;
mod epoch;
mod probe;
mod queue;
mod redact;
mod server;
mod subscriber;
#[path = "../support/mod.rs"]
mod support;

mod abort;
mod access;
mod agents;
mod asks;
mod backup;
mod broken_agent;
mod budget;
mod capacity;
mod claude_code;
mod claude_update;
mod claude_version;
mod cli;
mod compatibility;
mod credential;
mod damage;
mod damaged_home;
mod disk;
mod docs;
mod doctor;
mod egress;
mod files;
mod first_hour;
mod guides;
mod hardening;
mod hostile;
mod idempotency;
mod input;
mod limits;
mod lists;
mod lost_agent;
mod masking;
mod mcp;
mod metrics;
mod model_failure;
mod models;
mod network;
mod output;
mod perimeter;
mod rekey;
mod repository;
mod restart;
mod restore;
mod runtime;
mod secrets;
mod session;
mod settings;
mod silent_agent;
mod slow_subscriber;
mod stream;
mod telemetry;
mod templates;
mod tools;
mod warm;
mod watch;
mod web_fetch;
mod webhook;
mod wire;
