//! `claude-runner doctor`: checks whether `serve` can run with these settings, and prints the remedy for each problem. It leaves
//! the machine unchanged: everything that a check creates is removed again.

mod access;
mod agent;
mod check;
mod clock;
mod data_dir;
mod engine;
mod git;
mod host;
mod image;
mod key;
mod limits;
mod link;
mod memory;
mod model;
mod open_files;
mod place;
mod port;
mod records;
mod report;
mod runc;
mod runtime;
mod runtime_dir;
mod store;
mod volumes;

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;

use ::engine::{Engine, EngineError, ImageInfo, Network};
use ::sandbox::SandboxSettings;
use gateway::{Credentials, GatewaySettings};
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use check::{Check, Status};
use runtime_dir::RuntimeDir;

pub use port::reachable;

pub const EXAMPLES: &str = "\
Examples:
  claude-runner doctor
  claude-runner doctor --json | jq '.[] | select(.status != \"ok\")'

Exit status 1 where something stops the server or its tasks; what is only to be looked at does not count.";

/// The settings of `serve` that are checked, and their engine.
pub struct Settings {
    pub engine: Arc<dyn Engine>,
    pub engine_address: String,
    pub sandbox: SandboxSettings,
    /// MAX_SANDBOXES, if it is set.
    pub max_sandboxes: Option<usize>,
    /// The default of MAX_SANDBOXES for an engine with this many bytes of memory.
    pub usual_sandboxes: Box<dyn Fn(u64) -> usize + Send + Sync>,
    pub agent_dir: PathBuf,
    pub model: String,
    pub model_prices: Option<PathBuf>,
    /// ANTHROPIC_BASE_URL as configured, and the gateway's settings made from it.
    pub model_api: (String, anyhow::Result<GatewaySettings>),
    pub credentials: anyhow::Result<Credentials>,
    pub host: IpAddr,
    pub port: u16,
    /// The number of keys in API_KEYS.
    pub environment_keys: usize,
    pub data_dir: PathBuf,
    pub secret_key_file: PathBuf,
    pub runtime_dir: PathBuf,
}

/// The exit code is 1 if a check failed. Warnings do not count.
pub async fn run(settings: Settings, json: bool) -> anyhow::Result<ExitCode> {
    let stop = CancellationToken::new();
    let mut checks = pin!(examine(&settings, &stop));
    let checks = tokio::select! {
        checks = &mut checks => checks,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            stop.cancel();
            // A container that a check started is removed first.
            checks.await;
            return Ok(Exit::Interrupted.into());
        }
    };
    let text = if json { report::json(&checks)? } else { report::text(&checks, report::paint) };
    std::io::stdout().write_all(text.as_bytes())?;
    let failed = checks.iter().any(|check| check.status == Status::Fail);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Runs all checks in a helpful order. `stop` ends them early.
async fn examine(settings: &Settings, stop: &CancellationToken) -> Vec<Check> {
    let clock = clock::Watch::start();
    let engine = settings.engine.as_ref();
    let bridged = matches!(settings.sandbox.network, Network::Bridge);
    let runtime_dir = if bridged { RuntimeDir::not_used() } else { runtime_dir::look(&settings.runtime_dir) };

    let mut checks = Vec::new();
    let looked = stop.run_until_cancelled(engine_checks(settings, &mut checks)).await;
    let Some(image) = looked else { return checks };
    // This container is removed by itself, so `stop` does not interrupt it.
    let sandbox = &settings.sandbox;
    checks.push(image::look(engine, &sandbox.image, image.as_ref(), sandbox.claude).await);
    if let (Some(Ok(image)), Ok(model_api)) = (&image, &settings.model_api.1) {
        checks.extend(image::authorities(image.as_ref(), &model_api.network));
    }
    let image_is_there = matches!(image, Some(Ok(Some(_))));
    checks.push(match (image_is_there, &runtime_dir.scratch) {
        _ if bridged => link::bridged(),
        (false, _) => link::not_tried("there is no image to try it with"),
        (true, None) => link::not_tried("RUNTIME_DIR cannot be used"),
        (true, Some(scratch)) => link::try_it(engine, &settings.sandbox, scratch.path(), stop).await,
    });

    let reaches_link = checks.last().is_some_and(|check| check.status == Status::Ok);
    if !bridged {
        checks.push(match (reaches_link, &runtime_dir.scratch) {
            (true, Some(scratch)) => {
                let engine = Arc::clone(&settings.engine);
                limits::try_it(engine, settings.sandbox.clone(), scratch.path(), stop).await
            }
            (false, _) | (true, None) => limits::not_tried("a container has to reach its link"),
        });
    }

    if settings.sandbox.runtime.is_some() && !bridged {
        checks.push(match (reaches_link, &runtime_dir.scratch) {
            (false, _) | (true, None) => runtime::not_tried("a container has to reach its link"),
            (true, Some(scratch)) => {
                let engine = Arc::clone(&settings.engine);
                runtime::try_it(engine, settings.sandbox.clone(), scratch.path(), stop).await
            }
        });
    }

    checks.push(agent::look(&settings.agent_dir));
    checks.extend(model::look(settings).await);
    let data_dir = data_dir::look(&settings.data_dir);
    checks.extend(data_dir.checks);
    let store = store::look(&settings.data_dir, data_dir.scratch.as_ref()).await;
    checks.push(store.check);
    checks.extend(records::look(&settings.data_dir, &settings.secret_key_file));
    let looked = stop.run_until_cancelled(volumes::look(engine, &settings.data_dir, store.in_use)).await;
    checks.extend(looked);
    checks.push(key::look(&settings.secret_key_file, store.has_schema));
    checks.push(runtime_dir.check);
    checks.push(access::look(settings));
    let address = SocketAddr::new(settings.host, settings.port);
    let Some(port) = stop.run_until_cancelled(port::look(address, store.in_use)).await else { return checks };
    checks.push(port);
    checks.push(clock.look(data_dir.scratch.as_ref()));
    checks.push(open_files::look());
    checks.push(git::look());
    checks
}

/// Returns the engine's answer about the image; `None` without an engine.
async fn engine_checks(settings: &Settings, checks: &mut Vec<Check>) -> Option<Result<Option<ImageInfo>, EngineError>> {
    let sandbox = &settings.sandbox;
    let found = settings.engine.info().await;
    checks.extend(engine::look(&settings.engine_address, sandbox.runtime.as_deref(), &found));
    checks.extend(found.as_ref().ok().map(|engine| memory::look(settings, engine.memory_bytes)));
    match found {
        Ok(_) => Some(settings.engine.image(&sandbox.image).await),
        Err(_) => None,
    }
}
