//! SANDBOX_RUNTIME: a complete sandbox in this runtime, with a tool call of Claude Code.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use engine::{Engine, Network};
use gateway::{Credentials, Gateway, GatewaySettings, Prices};
use sandbox::{Instance, LaunchError, Links, SandboxHost, SandboxSettings};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::check::{Check, in_words};

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
    // The check uses its own installation, which no running server knows.
    let instance = Instance::of(directory).map_err(|error| in_words(&error))?;
    let (tracker, ended) = (TaskTracker::new(), CancellationToken::new());
    let links = directory.join("link");
    let links = Links::open(Network::None, engine.as_ref(), &links, tracker.clone(), ended.clone()).await;
    let links = links.map_err(|error| in_words(&error))?;
    let prices = Prices::load(None).map_err(|error| in_words(&error))?;
    // The address is not used: the self-test has its own model.
    let nowhere = "http://127.0.0.1:9".parse().map_err(|_| "no address".to_owned())?;
    let gateway = Gateway::new(GatewaySettings::new(nowhere, prices), Credentials::new(None, None), tracker.clone());
    let gateway = gateway.map_err(|error| in_words(&error))?;
    let host = SandboxHost::new(engine, links, gateway, instance, settings, tracker);
    let proven = host.prove_runtime(stop).await;
    ended.cancel();
    proven.map_err(|error: LaunchError| in_words(&error))
}
