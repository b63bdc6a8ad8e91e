//! `claude-runner doctor`: looks whether `serve` can run with these settings, and says what to do where it cannot. Nothing
//! on the machine is changed: what is made for a try is removed again.

mod access;
mod agent;
mod check;
mod clock;
mod data_dir;
mod engine;
mod git;
mod image;
mod key;
mod link;
mod memory;
mod model;
mod open_files;
mod place;
mod port;
mod report;
mod runc;
mod runtime;
mod runtime_dir;
mod store;

use std::io::Write as _;
use std::pin::pin;
use std::process::ExitCode;

use ::engine::Engine;
use clap::Args;
use engine_docker::DockerEngine;
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use crate::config::{NetworkMode, ServeOptions};
use check::{Check, Status};
use runtime_dir::RuntimeDir;

/// Where [`DockerEngine::from_environment`] looks when nothing is said.
const DEFAULT_ENGINE: &str = "unix:///var/run/docker.sock";

const EXAMPLES: &str = "\
Examples:
  claude-runner doctor
  claude-runner doctor --json | jq '.[] | select(.status != \"ok\")'

Exit status 1 where something stops the server or its tasks; what is only to be looked at does not count.";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct DoctorOptions {
    #[command(flatten)]
    serve: ServeOptions,

    /// Print a JSON array of {name, status, detail, remedy}; status is ok, warn or fail, remedy null where there is none
    #[arg(long)]
    json: bool,

    /// The engine, as every command takes it from the environment: here only to name it
    #[arg(long, env = "DOCKER_HOST", hide = true)]
    docker_host: Option<String>,
}

/// Exit code 1 where a check failed; warnings do not count.
pub(super) async fn run(options: DoctorOptions) -> anyhow::Result<ExitCode> {
    let stop = CancellationToken::new();
    let mut checks = pin!(examine(&options, &stop));
    let checks = tokio::select! {
        checks = &mut checks => checks,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            stop.cancel();
            // A container that was started for a try is removed first.
            checks.await;
            return Ok(Exit::Interrupted.into());
        }
    };
    let text = if options.json { report::json(&checks)? } else { report::text(&checks, report::paint) };
    std::io::stdout().write_all(text.as_bytes())?;
    let failed = checks.iter().any(|check| check.status == Status::Fail);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// All checks, in the order in which a person would go about it. Cut short by `stop`.
async fn examine(options: &DoctorOptions, stop: &CancellationToken) -> Vec<Check> {
    let serve = &options.serve;
    let clock = clock::Watch::start();
    let address = options.docker_host.clone().filter(|host| !host.is_empty()).unwrap_or(DEFAULT_ENGINE.to_owned());
    let engine = DockerEngine::new(address.clone());
    let runtime_dir = runtime_dir::look(serve);

    let mut checks = Vec::new();
    let looked = stop.run_until_cancelled(engine_checks(&engine, &address, serve, &mut checks)).await;
    let Some(image_is_there) = looked else { return checks };
    checks.push(match (image_is_there, &runtime_dir, serve.sandbox_network) {
        (_, _, NetworkMode::Bridge) => link::bridged(),
        (false, _, NetworkMode::None) => link::not_tried("there is no image to try it with"),
        (true, RuntimeDir { scratch: None, .. }, NetworkMode::None) => link::not_tried("RUNTIME_DIR cannot be used"),
        (true, RuntimeDir { scratch: Some(scratch), .. }, NetworkMode::None) => {
            link::try_it(&engine, &serve.sandbox_settings(), scratch.path(), stop).await
        }
    });

    if serve.sandbox_runtime.is_some() && serve.sandbox_network == NetworkMode::None {
        checks.push(match (image_is_there, &runtime_dir) {
            (false, _) => runtime::not_tried("there is no image to try it with"),
            (true, RuntimeDir { scratch: None, .. }) => runtime::not_tried("RUNTIME_DIR cannot be used"),
            (true, RuntimeDir { scratch: Some(scratch), .. }) => {
                let engine = DockerEngine::new(address.clone());
                runtime::try_it(engine, serve.sandbox_settings(), scratch.path(), stop).await
            }
        });
    }

    checks.push(agent::look(&serve.agent_dir));
    checks.extend(model::look(serve));
    let data_dir = data_dir::look(&serve.data_dir);
    checks.extend(data_dir.checks);
    let store = store::look(&serve.data_dir, data_dir.scratch.as_ref()).await;
    checks.push(store.check);
    checks.push(key::look(serve, store.has_schema));
    checks.push(runtime_dir.check);
    checks.push(access::look(serve));
    let Some(port) = stop.run_until_cancelled(port::look(serve, store.in_use)).await else { return checks };
    checks.push(port);
    checks.push(clock.look(data_dir.scratch.as_ref()));
    checks.push(open_files::look());
    checks.push(git::look());
    checks
}

/// True: the image is there.
async fn engine_checks(engine: &dyn Engine, address: &str, serve: &ServeOptions, checks: &mut Vec<Check>) -> bool {
    let found = engine.info().await;
    checks.extend(engine::look(address, serve.sandbox_runtime.as_deref(), &found));
    checks.extend(found.as_ref().ok().map(|engine| memory::look(serve, engine.memory_bytes)));
    let image = match &found {
        Ok(_) => Some(engine.image(&serve.docker_image).await),
        Err(_) => None,
    };
    checks.push(image::look(&serve.docker_image, image.as_ref()));
    matches!(image, Some(Ok(Some(_))))
}
