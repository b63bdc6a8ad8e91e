//! `claude-runner serve`: configuration, then everything is built, runs, and drains.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::agent::AgentTemplate;
use crate::config::{ConfigError, DrainMode, ServeOptions};
use crate::gateway::{Gateway, Prices};
use crate::http::{Api, Defaults, router};
use crate::registry::Registry;
use crate::sandbox::capacity::Capacity;
use crate::sandbox::{Instance, Links, SandboxHost, WarmPool};
use crate::session::SessionContext;
use crate::store::Store;
use crate::upkeep;

/// How long streams and sandboxes have to end once tasks have.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often an engine that does not answer is asked for its memory.
const ENGINE_RETRY: Duration = Duration::from_secs(5);

pub(super) async fn run(options: ServeOptions) -> anyhow::Result<ExitCode> {
    log_to_stderr();
    options.check()?;
    AgentTemplate::load(&options.agent_dir).context("AGENT_DIR does not name an agent template")?;
    let prices = Prices::load(options.model_prices.as_deref()).context("MODEL_PRICES")?;
    if !prices.knows(&options.model) {
        let known = prices.models().join(", ");
        return Err(ConfigError::UnknownModel { model: options.model, known }.into());
    }

    let tracker = TaskTracker::new();
    let shutdown = CancellationToken::new();
    let draining = CancellationToken::new();
    let store = Store::open(&options.data_dir, options.store_options()).context("DATA_DIR cannot be used")?;
    let listener = TcpListener::bind((options.host, options.port))
        .await
        .with_context(|| format!("could not listen on {}:{} (HOST, PORT)", options.host, options.port))?;
    let address = listener.local_addr()?;
    let instance = Instance::of(&options.data_dir).context("DATA_DIR cannot be used")?;
    let runtime_dir = options.runtime_dir(instance.as_str());
    let engine = Arc::new(container_engine::DockerEngine::from_environment());
    let network = options.sandbox_settings().network;
    let links = Links::open(network, engine.as_ref(), &runtime_dir, tracker.clone(), shutdown.clone()).await?;
    let gateway = Gateway::new(options.gateway_settings(prices)?, options.credentials()?, tracker.clone())?;
    for listener in std::iter::once(address).chain(links.listener()) {
        gateway.set_own_listener(listener);
    }
    let sandboxes = SandboxHost::new(engine, links, gateway, instance, options.sandbox_settings(), tracker.clone());

    let sandboxes = Arc::new(sandboxes);
    let capacity = options.capacity();
    let warm =
        WarmPool::start(options.warm_settings(), Arc::clone(&sandboxes), capacity.clone(), &tracker, draining.clone());
    if options.max_sandboxes.is_none() {
        tracker.spawn(measure_engine(options.clone(), Arc::clone(&sandboxes), capacity.clone(), shutdown.clone()));
    }

    let context = SessionContext {
        store,
        sandboxes,
        capacity,
        warm,
        settings: options.session_settings(),
        tracker: tracker.clone(),
        draining: draining.clone(),
        shutdown: shutdown.clone(),
    };
    let registry = Registry::new(Arc::new(context));
    registry.restore().await?;
    tracker.spawn(upkeep::run(registry.clone()));
    let api = Api {
        registry: registry.clone(),
        defaults: Arc::new(Defaults {
            model: options.model.clone(),
            max_turns: options.max_turns,
            timeout_ms: options.task_timeout_ms,
        }),
        keys: Arc::new(options.api_keys.clone()),
        cors_origins: options.cors_origins.clone(),
        streams: tracker.clone(),
    };
    info!(address = %address, version = env!("CARGO_PKG_VERSION"), "listening");

    let closing = CancellationToken::new();
    let server = axum::serve(listener, router(api)).with_graceful_shutdown(closing.clone().cancelled_owned());
    let server = tracker.spawn(async move { server.await });
    until_told_to_stop().await?;
    drain(&options, &registry, &draining, &closing, &shutdown, &tracker).await;
    drop(server);
    // Stays where sandboxes do.
    let _ = std::fs::remove_dir(runtime_dir);
    Ok(ExitCode::SUCCESS)
}

/// Sets MAX_SANDBOXES by the engine's memory, as soon as it answers.
async fn measure_engine(
    options: ServeOptions,
    sandboxes: Arc<SandboxHost>,
    capacity: Capacity,
    shutdown: CancellationToken,
) {
    loop {
        if let Ok(info) = sandboxes.engine().info().await {
            let max = options.max_sandboxes_on(info.memory_bytes);
            info!(max, engine.memory_bytes = info.memory_bytes, "sandboxes that there may be at once");
            return capacity.set_max(max);
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(ENGINE_RETRY) => {}
        }
    }
}

fn log_to_stderr() {
    use tracing_subscriber::EnvFilter;

    // bollard logs whole request bodies at debug, environment included.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let filter = match "bollard=info".parse() {
        Ok(quiet) => filter.add_directive(quiet),
        Err(_) => filter,
    };
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
}

async fn until_told_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => info!("told to stop (SIGTERM)"),
        _ = interrupt.recv() => info!("told to stop (Ctrl-C)"),
    }
    Ok(())
}

/// No new tasks; running ones may finish in time; then everything ends. A second signal does not wait.
async fn drain(
    options: &ServeOptions,
    registry: &Registry,
    draining: &CancellationToken,
    closing: &CancellationToken,
    shutdown: &CancellationToken,
    tracker: &TaskTracker,
) {
    draining.cancel();
    let finished = async {
        while registry.load().0 > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = finished => {}
        () = std::future::ready(()), if options.drain == DrainMode::Handoff => {}
        () = tokio::time::sleep(Duration::from_millis(options.drain_timeout_ms)) => warn!("tasks still run; ending them"),
        _ = until_told_to_stop() => {
            // What is left running is taken over, or taken down, by the next start.
            warn!("told twice; ending now");
            std::process::exit(1);
        }
    }
    shutdown.cancel();
    closing.cancel();
    tracker.close();
    tokio::select! {
        ended = tokio::time::timeout(CLOSE_TIMEOUT, tracker.wait()) => {
            if ended.is_err() {
                warn!("some connections did not end in time");
            }
        }
        _ = until_told_to_stop() => std::process::exit(1),
    }
    if options.drain == DrainMode::Finish {
        // What could not be taken down when its time came; a failure is left to the next start.
        let _ = registry.context().sandboxes.sweep_sandboxes().await;
    }
    registry.context().store.close().await;
}
