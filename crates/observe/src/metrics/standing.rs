//! Gauges that are set when `GET /metrics` is called, so that no code has to keep them up to date.

use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::{Labels, Names, process};

/// The state of the server at the time of the request.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Number of sandboxes by state.
    pub sandboxes: Vec<(&'static str, usize)>,
    /// The maximum number of sandboxes.
    pub max_sandboxes: usize,
    /// Sessions that wait for a sandbox.
    pub waiting_sessions: usize,
    pub running_tasks: usize,
    pub queued_tasks: usize,
    /// Deliveries that are not finished.
    pub pending_webhooks: u64,
    /// GitHub's rate limit: remaining calls in this hour, and calls per hour. `None` before the first call.
    pub github: Option<(u64, u64)>,
}

#[derive(Clone)]
pub(super) struct Gauges {
    sandboxes: Family<Labels<1>, Gauge>,
    max_sandboxes: Gauge,
    waiting_sessions: Gauge,
    tasks: Family<Labels<1>, Gauge>,
    webhooks: Gauge,
    github_remaining: Family<[(&'static str, &'static str); 0], Gauge>,
    github_limit: Family<[(&'static str, &'static str); 0], Gauge>,
    memory: Gauge,
    open_files: Gauge,
    max_files: Gauge,
    cpu: Counter<f64, AtomicU64>,
}

impl Gauges {
    pub(super) fn register(names: &mut Names) -> Gauges {
        let build: Family<Labels<1>, Gauge> =
            names.add("claude_runner_build_info", "The version that runs", Family::default());
        build.get_or_create(&[("version", env!("CARGO_PKG_VERSION").into())]).set(1);
        let started: Gauge<f64, AtomicU64> =
            names.add("process_start_time_seconds", "When this process started, since 1970", Gauge::default());
        started.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64());
        Gauges {
            sandboxes: names.add("claude_runner_sandboxes", "Sandboxes, by what they do", Family::default()),
            max_sandboxes: names.add("claude_runner_sandboxes_max", "Sandboxes that there may be", Gauge::default()),
            waiting_sessions: names.add(
                "claude_runner_sessions_waiting",
                "Sessions that wait for room for their sandbox",
                Gauge::default(),
            ),
            tasks: names.add("claude_runner_tasks_open", "Tasks that have not ended, by status", Family::default()),
            webhooks: names.add("claude_runner_webhooks_pending", "Webhooks still to be delivered", Gauge::default()),
            github_remaining: names.add(
                "claude_runner_github_rate_limit_remaining",
                "Calls that GitHub still allows in this hour",
                Family::default(),
            ),
            github_limit: names.add(
                "claude_runner_github_rate_limit",
                "Calls that GitHub allows in an hour",
                Family::default(),
            ),
            memory: names.add("process_resident_memory_bytes", "Memory of this process", Gauge::default()),
            open_files: names.add("process_open_fds", "File descriptors that are open", Gauge::default()),
            max_files: names.add("process_max_fds", "File descriptors that may be open", Gauge::default()),
            cpu: names.add("process_cpu_seconds", "CPU time that this process used", Counter::default()),
        }
    }

    pub(super) fn set(&self, standing: &Standing) {
        for (state, count) in &standing.sandboxes {
            self.sandboxes.get_or_create(&[("state", (*state).into())]).set(number(*count));
        }
        self.max_sandboxes.set(number(standing.max_sandboxes));
        self.waiting_sessions.set(number(standing.waiting_sessions));
        for (status, count) in [("running", standing.running_tasks), ("queued", standing.queued_tasks)] {
            self.tasks.get_or_create(&[("status", status.into())]).set(number(count));
        }
        self.webhooks.set(i64::try_from(standing.pending_webhooks).unwrap_or(i64::MAX));
        if let Some((remaining, limit)) = standing.github {
            self.github_remaining.get_or_create(&[]).set(i64::try_from(remaining).unwrap_or(i64::MAX));
            self.github_limit.get_or_create(&[]).set(i64::try_from(limit).unwrap_or(i64::MAX));
        }
        let used = process::read();
        self.memory.set(used.memory_bytes);
        self.open_files.set(used.open_files);
        self.max_files.set(used.max_files);
        // Two concurrent requests may both add the same part. The error is a fraction of a second and is never
        // corrected.
        self.cpu.inc_by((used.cpu_seconds - self.cpu.get()).max(0.0));
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
