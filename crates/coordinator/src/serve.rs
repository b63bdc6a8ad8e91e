//! `claude-runner serve`: reads the configuration, builds the server, runs it, drains it.

mod lease;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use agent_template::{Agents, TemplateError};
use anyhow::Context;
use api::access::{Keys, Rate, Shares, Tickets};
use api::{self, Api, Defaults, Guard, Perimeter, ReadyChecks, WebhookRules, router};
use domain::error_chain;
use domain::model::is_alias;
use engine::{Engine, EngineInfo};
use failpoint::failpoint;
use forge::GitHub;
use gateway::budget::Budgets;
use gateway::{Gateway, Outbound, Prices, SystemResolver};
use network_access::NetworkAccess;
use observe::metrics::Metrics;
use observe::redact::Redactor;
use observe::telemetry::Telemetry;
use sandbox::capacity::Capacity;
use sandbox::{Instance, InstanceLock, LeaseHeld, LeaseHolder, Links, SandboxHost};
use sessions::repository::{Git, Mirrors};
use sessions::webhook::{self, WebhookDispatcher};
use store::Store;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::config::{self, ConfigError, DrainMode, ServeOptions};
use crate::greeting::Greeting;
use crate::listen::listen;
use crate::logs;
use crate::scripted;
use crate::server::{Lifetime, Parts, Server};
use lease::{LeaseKeeper, place_of};

/// The time that streams and sandboxes have to end after the last task.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The time that the start waits for an engine. A server whose engine is not there yet starts without it.
const ENGINE_PATIENCE: Duration = Duration::from_secs(2);

/// The interval at which an engine that does not answer is asked for its memory.
const ENGINE_RETRY: Duration = Duration::from_secs(5);

pub async fn run(options: ServeOptions) -> anyhow::Result<ExitCode> {
    let redactor = Arc::<Redactor>::default();
    logs::set_up_logs(&options, &redactor, "info")?;
    let format = options.log_format;
    run_until(options, redactor, |greeting| greeting.print(format), until_stop_signal()).await
}

/// Runs the server until `stop` ends. `greet` gets the facts of the server as soon as it listens.
pub(crate) async fn run_until(
    mut options: ServeOptions,
    redactor: Arc<Redactor>,
    greet: impl FnOnce(&Greeting),
    stop: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<ExitCode> {
    logs::learn_secrets(&redactor, &mut options);
    let prices = Prices::load(options.model_prices.as_deref()).context("MODEL_PRICES")?;
    warn_of_price(&options.model, &prices);
    let agents = check_agents(&options.agent_dir).context("AGENT_DIR does not name an agent template")?;

    let engine_address = config::docker_host().map_err(ConfigError::from)?;
    let network_access = options.network.access(config::variable).map_err(ConfigError::from)?;
    let telemetry = Telemetry::start(config::trace_export()?, &network_access).map_err(ConfigError::from)?;
    let lifetime = Lifetime::default();
    let Lifetime { tracker, draining, shutdown } = lifetime.clone();
    let metrics = Metrics::default();
    let store =
        Store::open(&options.data_dir, options.store_options(metrics.clone())).context("DATA_DIR cannot be used")?;
    let key_store = store.keys().context("DATA_DIR cannot be used")?;
    let keys = Keys::open(&options.api_keys, &key_store, options.host).context("the API keys cannot be read")?;
    options.check_keys(&keys)?;
    if keys.is_empty() && keys.anyone().is_none() {
        warn!("no API key is valid, so every request is refused; `claude-runner key create` creates one");
    }
    let scripted = scripted::start(&mut options).await?;
    let listener = listen(SocketAddr::new(options.host, options.port)).await?;
    let address = listener.local_addr()?;
    let instance = Instance::of(&options.data_dir).context("DATA_DIR cannot be used")?;
    let runtime_dir = options.runtime_dir(&instance);
    let engine: Arc<dyn Engine> = Arc::new(engine_docker::DockerEngine::new(engine_address.clone()));
    let engine_info = tokio::time::timeout(ENGINE_PATIENCE, engine.info()).await;
    let engine_info = match engine_info {
        Ok(found) => found.map_err(|error| error.to_string()),
        Err(_) => Err(format!("the engine at {engine_address} has not answered yet")),
    };
    check_runtime(&options, &engine_info)?;
    let network = options.sandbox_settings().network;
    let links = Links::open(network, engine.as_ref(), &runtime_dir, tracker.clone(), shutdown.clone()).await?;
    let mut settings = options.gateway_settings(prices)?;
    if !network_access.is_direct() {
        info!(network = %network_access, "other servers are reached by these settings");
    }
    network_access.warnings().iter().for_each(|warning| warn!("{warning}"));
    settings.budgets = Budgets::open(store.clone(), options.budget_limits(), tracker.clone())
        .await
        .context("DATA_DIR cannot be used")?;
    settings.metrics = metrics.clone();
    let gateway = Gateway::new(settings, options.credentials()?.redacted_by(Arc::clone(&redactor)), tracker.clone())?;
    let outbound =
        Arc::new(Outbound::new(options.webhook_allow.0.clone(), Arc::new(SystemResolver), network_access.clone()));
    let price_feed = options.price_feed(&gateway, &metrics)?.map(Arc::new);
    let model = scripted.as_ref().map(|model| model.serving().address());
    for listener in std::iter::once(address).chain(links.listener()).chain(model) {
        gateway.set_own_listener(listener);
        outbound.set_own_listener(listener);
        if let Some(feed) = &price_feed {
            feed.set_own_listener(listener);
        }
    }
    let mut repositories = options.repositories()?;
    let worker_timeout_ms = repositories.as_ref().map(|_| options.worker_timeout_ms);
    // Up to here, the installation is unchanged.
    let instance_lock = InstanceLock::acquire(&runtime_dir, &instance)?;
    let place = place_of(&engine_address);
    let holder = LeaseHolder::of(&options.data_dir, place).context("DATA_DIR cannot be used")?;
    let (lease, engine) = LeaseKeeper::start(place, holder, &engine_address, engine, &instance).await?;
    let greeting = Greeting::new(&options, address, agents)
        .keys(!keys.is_empty())
        .credential(gateway.credential_state())
        .engine(&engine_address, &engine_info);
    greet(&greeting);
    if let Some(repositories) = &mut repositories {
        repositories.mirrors = open_mirrors(&options, &network_access, &repositories.github, &tracker, &shutdown).await;
    }
    let parts = Parts {
        store,
        engine,
        links,
        gateway,
        instance,
        capacity: options.capacity(),
        sandbox: options.sandbox_settings(),
        warm: options.warm_settings(),
        sessions: options.session_settings(),
        repositories,
        redactor,
        metrics: metrics.clone(),
        telemetry,
        lifetime,
    };
    let server = Server::build(parts).await?;
    let context = Arc::clone(&server.context);
    if options.max_sandboxes.is_none() {
        let (sandboxes, capacity) = (Arc::clone(&context.sandboxes), context.capacity.clone());
        tracker.spawn(measure_engine(options.clone(), sandboxes, capacity, shutdown.clone()));
    }
    let (sandboxes, until) = (Arc::clone(&context.sandboxes), shutdown.clone());
    tracker.spawn(async move { sandboxes.watch_launches(until).await });
    tracker.spawn(prove_runtime(Arc::clone(&context.sandboxes), shutdown.clone()));
    let dispatcher = WebhookDispatcher {
        store: context.store.clone(),
        outbound: Arc::clone(&outbound),
        secrets: options.webhook_secret.clone(),
        schedule: options.webhook_schedule(),
        metrics: metrics.clone(),
        show: api::show_task,
    };
    tracker.spawn(webhook::run(dispatcher, shutdown.clone()));
    if let Some(feed) = &price_feed {
        tracker.spawn(Arc::clone(feed).run(shutdown.clone()));
    }
    let api = Api {
        registry: server.registry.clone(),
        store: context.store.clone(),
        sandboxes: Arc::clone(&context.sandboxes),
        gateway: context.sandboxes.gateway().clone(),
        capacity: context.capacity.clone(),
        warm: context.warm.clone(),
        feed: context.feed.clone(),
        github: context.repositories.as_ref().map(|repositories| repositories.github.clone()),
        agent_dir: options.agent_dir.clone(),
        defaults: Arc::new(Defaults {
            model: options.model.clone(),
            max_turns: options.max_turns,
            timeout_ms: options.task_timeout_ms,
            worker_timeout_ms,
            scripted: scripted.is_some(),
        }),
        guard: Arc::new(Guard {
            keys: keys.clone(),
            tickets: Tickets::default(),
            rate: Rate::new(NonZeroU32::new(options.rate_limit)),
            shares: Shares::default(),
        }),
        cors_origins: options.cors_origins.clone(),
        perimeter: Arc::new(Perimeter::new(address, options.allowed_hosts.clone(), options.cors_origins.clone())),
        streams: tracker.clone(),
        subscriber_timeout: Duration::from_millis(options.subscriber_timeout_ms),
        metrics,
        ready: ReadyChecks::default(),
        price_feed,
        webhooks: Arc::new(WebhookRules { outbound, has_secret: !options.webhook_secret.is_empty() }),
        draining,
        shutdown: shutdown.clone(),
    };
    tracker.spawn(context.store.clone().check_after_unclean_stop(shutdown.clone()));
    let watching = shutdown.clone();
    tracker.spawn_blocking(move || keys.watch(&key_store, &watching));
    info!(address = %address, version = env!("CARGO_PKG_VERSION"), "listening");

    let closing = CancellationToken::new();
    let (guard, proxies) = (Arc::clone(&api.guard), options.trusted_proxies.clone());
    let stall = api.subscriber_timeout;
    tracker.spawn(api::serve(listener, router(api), guard, proxies, stall, closing.clone(), tracker.clone()));
    tokio::select! {
        stopped = stop => stopped?,
        // The sandboxes belong to another server now, so none of them may be removed.
        () = lease.lost.cancelled() => return Err(LeaseHeld.into()),
    }
    drain(&options, &server, &closing).await;
    lease.release().await;
    instance_lock.release();
    Links::remove_if_unused(&runtime_dir);
    Ok(ExitCode::SUCCESS)
}

/// Logs that MODEL has no price. A short name of the CLI needs none: the price is the one of the model in the request.
fn warn_of_price(model: &str, prices: &Prices) {
    if !is_alias(model) && !prices.has_price(model) {
        warn!(
            model,
            "MODEL has no price, so it is counted as the most expensive one; MODEL_PRICES or MODEL_PRICES_URL can add it"
        );
    }
}

/// Refuses to start without a usable default agent. Other broken agents are logged. Returns the names of the usable ones.
fn check_agents(directory: &Path) -> Result<Vec<String>, TemplateError> {
    let agents = Agents::load(directory)?;
    let mut usable = Vec::new();
    for entry in agents.entries() {
        match agents.check(entry) {
            Ok(warnings) => {
                for warning in warnings {
                    warn!(agent.name = %entry.name, warning, "a file of an agent's template does not work in a sandbox");
                }
                usable.push(entry.name.to_string());
            }
            Err(error) if entry.name == *agents.default_name() => return Err(error),
            Err(error) => warn!(agent.name = %entry.name, error = error_chain(&error), "an agent cannot be used"),
        }
    }
    Ok(usable)
}

/// Returns `None` if mirrors are off or git is missing. Tasks then clone through the gateway.
async fn open_mirrors(
    options: &ServeOptions,
    network: &NetworkAccess,
    github: &GitHub,
    tracker: &TaskTracker,
    shutdown: &CancellationToken,
) -> Option<Mirrors> {
    let settings = options.mirror_settings()?;
    let environment = match config::git_environment(network, &options.data_dir) {
        Ok(environment) => environment,
        Err(error) => {
            warn!(%error, "the certificates for git could not be written to DATA_DIR: repositories are cloned without mirrors");
            return None;
        }
    };
    let Some(git) = Git::find(environment).await else {
        info!("this machine has no git 2.32 or newer: repositories are cloned without mirrors");
        return None;
    };
    info!(git.version, directory = %settings.directory.display(), "repository mirrors are enabled");
    Some(Mirrors::new(git, github.clone(), settings, tracker.clone(), shutdown.clone()))
}

/// Derives MAX_SANDBOXES from the engine's memory, as soon as the engine answers.
async fn measure_engine(
    options: ServeOptions,
    sandboxes: Arc<SandboxHost>,
    capacity: Capacity,
    shutdown: CancellationToken,
) {
    loop {
        if let Ok(info) = sandboxes.engine().info().await {
            let max = options.max_sandboxes_on(info.memory_bytes);
            info!(max, engine.memory_bytes = info.memory_bytes, "the limit on concurrent sandboxes");
            return capacity.set_max(max);
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(ENGINE_RETRY) => {}
        }
    }
}

/// Checks SANDBOX_RUNTIME if the engine answers already. Otherwise the first launch does.
fn check_runtime(options: &ServeOptions, engine: &Result<EngineInfo, String>) -> Result<(), ConfigError> {
    let Some(runtime) = &options.sandbox_runtime else { return Ok(()) };
    match engine {
        Ok(info) if !info.runtimes.contains(runtime) => {
            Err(ConfigError::UnknownRuntime { runtime: runtime.clone(), known: info.runtimes.join(", ") })
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Proves the runtime at the start, so that no task waits for it and a failure is logged before the first task. Each launch
/// tries again.
async fn prove_runtime(sandboxes: Arc<SandboxHost>, shutdown: CancellationToken) {
    if let Err(error) = sandboxes.prove_runtime(&shutdown).await {
        warn!(%error, "the runtime failed its self-test: tasks do not run");
    }
}

async fn until_stop_signal() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => info!("received SIGTERM"),
        _ = interrupt.recv() => info!("received Ctrl-C"),
    }
    Ok(())
}

/// Starts no more tasks, lets running tasks finish within DRAIN_TIMEOUT_MS, then ends everything. A second signal ends the
/// process at once.
async fn drain(options: &ServeOptions, server: &Server, closing: &CancellationToken) {
    let Lifetime { tracker, draining, shutdown } = &server.lifetime;
    draining.cancel();
    failpoint!("drain.begun");
    let finished = async {
        while server.registry.load().0 > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        () = finished => {}
        () = std::future::ready(()), if options.drain == DrainMode::Handoff => {}
        () = tokio::time::sleep(Duration::from_millis(options.drain_timeout_ms)) => warn!("tasks still run; ending them"),
        _ = until_stop_signal() => {
            // The next start takes over the sandboxes that run, or removes them.
            warn!("received a second signal; ending now");
            std::process::exit(1);
        }
    }
    failpoint!("drain.finished");
    shutdown.cancel();
    // An agent that is handed off repeats a request that is cut.
    server.context.sandboxes.gateway().close();
    closing.cancel();
    tracker.close();
    tokio::select! {
        ended = tokio::time::timeout(CLOSE_TIMEOUT, tracker.wait()) => {
            if ended.is_err() {
                warn!("some connections did not end in time");
            }
        }
        _ = until_stop_signal() => std::process::exit(1),
    }
    if options.drain == DrainMode::Finish {
        // Removes sandboxes whose removal failed before. The next start retries if it fails again.
        let _ = server.context.sandboxes.remove_orphans().await;
    }
    failpoint!("drain.orphans_removed");
    server.context.store.close().await;
    server.context.telemetry.shut_down().await;
    failpoint!("store.closed");
}
