//! SANDBOX_RUNTIME: a complete sandbox in this runtime, with a tool call of Claude Code.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use engine::Engine;
use sandbox::SandboxSettings;
use tokio_util::sync::CancellationToken;

use super::check::{Check, in_words};
use super::host::Host;

const NAME: &str = "runtime-test";

pub(super) fn not_tried(why: &str) -> Check {
    Check::warn(NAME, format!("SANDBOX_RUNTIME was not tried: {why}"), "fix that first")
}

/// `directory` is empty, below RUNTIME_DIR. The check leaves nothing in it.
pub(super) async fn try_it(
    engine: Arc<dyn Engine>,
    settings: SandboxSettings,
    directory: &Path,
    stop: &CancellationToken,
) -> Check {
    let runtime = settings.runtime.clone().unwrap_or_default();
    let began = Instant::now();
    match prove(engine, settings, directory, stop).await {
        Ok(()) => Check::ok(
            NAME,
            format!("a sandbox in {runtime} ran a tool call of Claude Code ({} ms)", began.elapsed().as_millis()),
        ),
        Err(error) => Check::fail(
            NAME,
            error,
            "see whether `docker run --runtime` works with it; until it passes, no task runs: leave SANDBOX_RUNTIME \
             empty to do without",
        ),
    }
}

async fn prove(
    engine: Arc<dyn Engine>,
    settings: SandboxSettings,
    directory: &Path,
    stop: &CancellationToken,
) -> Result<(), String> {
    let host = Host::new(engine, settings, directory).await?;
    let proven = host.sandboxes.prove_runtime(stop).await;
    host.end();
    proven.map_err(|error| in_words(&error))
}
