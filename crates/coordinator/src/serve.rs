//! `claude-runner serve`: configuration, then everything is built, runs, and drains.

use std::io::IsTerminal;
use std::num::NonZeroU32;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use agent_template::{Agents, TemplateError};
use anyhow::Context;
use api::access::{Keys, Rate, Tickets};
use api::{self, Api, Defaults, Guard, Perimeter, WebhookRules, router};
use domain::error_chain;
use engine::Engine;
use failpoint::failpoint;
use forge::GitHub;
use gateway::budget::Budgets;
use gateway::{Gateway, Outbound, Prices, SystemResolver};
use observe::audit::{self, AuditFile};
use observe::metrics::Metrics;
use observe::redact::{LogWriter, Redactor};
use observe::telemetry::Telemetry;
use sandbox::capacity::Capacity;
use sandbox::{Instance, Links, SandboxHost, WarmPool};
use secrecy::ExposeSecret;
use sessions::maintenance;
use sessions::registry::Registry;
use sessions::repository::{Git, Mirrors};
use sessions::session::{Feed, SessionContext};
use sessions::webhook::{self, WebhookDispatcher};
use store::{KeyStore, Store, make_directory};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};
use tracing_subscriber::filter::filter_fn;

use crate::config::{self, ConfigError, DrainMode, LogFormat, ServeOptions};

/// How long streams and sandboxes have to end once tasks have.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often an engine that does not answer is asked for its memory.
const ENGINE_RETRY: Duration = Duration::from_secs(5);

pub async fn run(mut options: ServeOptions) -> anyhow::Result<ExitCode> {
    let redactor = Arc::<Redactor>::default();
    set_up_logs(&options, &redactor)?;
    learn_secrets(&redactor, &mut options);
    let prices = Prices::load(options.model_prices.as_deref()).context("MODEL_PRICES")?;
    if !prices.knows(&options.model) {
        let known = prices.models().join(", ");
        return Err(ConfigError::UnknownModel { model: options.model, known }.into());
    }
    check_agents(&options.agent_dir, &prices).context("AGENT_DIR does not name an agent template")?;

    let telemetry = Telemetry::start(config::trace_export()?).map_err(ConfigError::from)?;
    let tracker = TaskTracker::new();
    let shutdown = CancellationToken::new();
    let draining = CancellationToken::new();
    let metrics = Metrics::default();
    let store =
        Store::open(&options.data_dir, options.store_options(metrics.clone())).context("DATA_DIR cannot be used")?;
    let key_store = KeyStore::open(&options.data_dir).context("DATA_DIR cannot be used")?;
    let keys = Keys::open(&options.api_keys, &key_store, options.host).context("the API keys cannot be read")?;
    options.check_keys(&keys)?;
    if keys.is_empty() && keys.anyone().is_none() {
        warn!("no API key is valid any more, so that nobody is let in; `claude-runner key create` makes one");
    }
    let listener = TcpListener::bind((options.host, options.port))
        .await
        .with_context(|| format!("could not listen on {}:{} (HOST, PORT)", options.host, options.port))?;
    let address = listener.local_addr()?;
    let instance = Instance::of(&options.data_dir).context("DATA_DIR cannot be used")?;
    let runtime_dir = options.runtime_dir(instance.as_str());
    let engine = Arc::new(engine_docker::DockerEngine::new(config::docker_host()));
    check_runtime(&options, engine.as_ref()).await?;
    let network = options.sandbox_settings().network;
    let links = Links::open(network, engine.as_ref(), &runtime_dir, tracker.clone(), shutdown.clone()).await?;
    let mut settings = options.gateway_settings(prices)?;
    settings.budgets = Budgets::open(store.clone(), options.budget_limits(), tracker.clone())
        .await
        .context("DATA_DIR cannot be used")?;
    settings.metrics = metrics.clone();
    let gateway = Gateway::new(settings, options.credentials()?.redacted_by(Arc::clone(&redactor)), tracker.clone())?;
    let outbound = Arc::new(Outbound::new(options.webhook_allow.0.clone(), Arc::new(SystemResolver)));
    for listener in std::iter::once(address).chain(links.listener()) {
        gateway.set_own_listener(listener);
        outbound.set_own_listener(listener);
    }
    let sandboxes = SandboxHost::new(engine, links, gateway, instance, options.sandbox_settings(), tracker.clone());

    let sandboxes = Arc::new(sandboxes);
    let capacity = options.capacity();
    let (warm, keep_warm) = WarmPool::new(
        options.warm_settings(),
        Arc::clone(&sandboxes),
        capacity.clone(),
        tracker.clone(),
        draining.clone(),
    );
    if options.max_sandboxes.is_none() {
        tracker.spawn(measure_engine(options.clone(), Arc::clone(&sandboxes), capacity.clone(), shutdown.clone()));
    }

    let mut repositories = options.repositories()?;
    if let Some(repositories) = &mut repositories {
        repositories.mirrors = open_mirrors(&options, &repositories.github, &tracker, &shutdown).await;
    }
    let worker_timeout_ms = repositories.as_ref().map(|_| options.worker_timeout_ms);
    let context = SessionContext {
        store,
        sandboxes,
        capacity,
        warm,
        redactor,
        feed: Feed::default(),
        metrics: metrics.clone(),
        telemetry,
        repositories,
        settings: options.session_settings(),
        tracker: tracker.clone(),
        draining: draining.clone(),
        shutdown: shutdown.clone(),
    };
    let registry = Registry::new(Arc::new(context));
    registry.restore().await?;
    // Not before: whoever starts a sandbox removes those that nobody is known to have.
    tracker.spawn(keep_warm);
    tracker.spawn(maintenance::run(registry.clone()));
    tracker.spawn(prove_runtime(Arc::clone(&registry.context().sandboxes), shutdown.clone()));
    let dispatcher = WebhookDispatcher {
        store: registry.context().store.clone(),
        outbound: Arc::clone(&outbound),
        secrets: options.webhook_secret.clone(),
        schedule: options.webhook_schedule(),
        metrics: metrics.clone(),
        show: api::show_task,
    };
    tracker.spawn(webhook::run(dispatcher, shutdown.clone()));
    let api = Api {
        registry: registry.clone(),
        defaults: Arc::new(Defaults {
            model: options.model.clone(),
            max_turns: options.max_turns,
            timeout_ms: options.task_timeout_ms,
            worker_timeout_ms,
        }),
        guard: Arc::new(Guard {
            keys: keys.clone(),
            tickets: Tickets::default(),
            rate: Rate::new(NonZeroU32::new(options.rate_limit)),
        }),
        cors_origins: options.cors_origins.clone(),
        perimeter: Arc::new(Perimeter::new(address, options.allowed_hosts.clone(), options.cors_origins.clone())),
        streams: tracker.clone(),
        subscriber_timeout: Duration::from_millis(options.subscriber_timeout_ms),
        metrics,
        webhooks: Arc::new(WebhookRules { outbound, has_secret: !options.webhook_secret.is_empty() }),
    };
    let watching = shutdown.clone();
    tracker.spawn_blocking(move || keys.watch(&key_store, &watching));
    info!(address = %address, version = env!("CARGO_PKG_VERSION"), "listening");

    let closing = CancellationToken::new();
    tracker.spawn(api::serve(listener, router(api), closing.clone(), tracker.clone()));
    until_told_to_stop().await?;
    drain(&options, &registry, &draining, &closing, &shutdown, &tracker).await;
    // Stays where sandboxes do.
    let _ = std::fs::remove_dir(runtime_dir);
    Ok(ExitCode::SUCCESS)
}

/// Without its default agent a server is of no use. Another that is broken is named, and the others work.
fn check_agents(directory: &Path, prices: &Prices) -> Result<(), TemplateError> {
    let agents = Agents::load(directory)?;
    for entry in agents.entries() {
        match agents.check(entry, |model| prices.knows(model)) {
            Ok(()) => info!(agent.name = %entry.name, "agent"),
            Err(error) if entry.name == *agents.default_name() => return Err(error),
            Err(error) => warn!(agent.name = %entry.name, error = error_chain(&error), "an agent cannot be used"),
        }
    }
    Ok(())
}

/// `None` where none are wanted, or no git is there to keep them. Tasks clone through the gateway then.
async fn open_mirrors(
    options: &ServeOptions,
    github: &GitHub,
    tracker: &TaskTracker,
    shutdown: &CancellationToken,
) -> Option<Mirrors> {
    let settings = options.mirror_settings()?;
    let Some(git) = Git::find(config::git_environment()).await else {
        info!("this machine has no git 2.32 or newer: repositories are cloned without mirrors");
        return None;
    };
    info!(git.version, directory = %settings.directory.display(), "mirrors of repositories are kept");
    Some(Mirrors::new(git, github.clone(), settings, tracker.clone(), shutdown.clone()))
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

/// An engine that does not answer yet is asked when it is used.
async fn check_runtime(options: &ServeOptions, engine: &dyn Engine) -> Result<(), ConfigError> {
    let Some(runtime) = &options.sandbox_runtime else { return Ok(()) };
    match engine.info().await {
        Ok(info) if !info.runtimes.contains(runtime) => {
            Err(ConfigError::UnknownRuntime { runtime: runtime.clone(), known: info.runtimes.join(", ") })
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Early, so that no task has to wait for it and a failure is seen before one comes. Tasks try again themselves.
async fn prove_runtime(sandboxes: Arc<SandboxHost>, shutdown: CancellationToken) {
    if let Err(error) = sandboxes.prove_runtime(&shutdown).await {
        warn!(%error, "no task will be run");
    }
}

/// The operator's secrets as they were configured. The login's are learnt whenever it is read.
fn learn_secrets(redactor: &Redactor, options: &mut ServeOptions) {
    let credentials = [&options.anthropic_api_key, &options.claude_code_oauth_token, &options.github_token];
    for secret in credentials.into_iter().flatten() {
        redactor.learn(secret.expose_secret().trim());
    }
    for secret in options.api_keys.take_secrets() {
        redactor.learn(secret.expose_secret().trim());
    }
    for secret in options.webhook_secret.each() {
        redactor.learn(secret.text().expose_secret());
    }
}

/// The log goes to stderr, the audit log to its file.
fn set_up_logs(options: &ServeOptions, redactor: &Arc<Redactor>) -> anyhow::Result<()> {
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;
    use tracing_subscriber::{EnvFilter, Layer as _};

    // bollard logs whole request bodies at debug, environment included.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let filter = match "bollard=info".parse() {
        Ok(quiet) => filter.add_directive(quiet),
        Err(_) => filter,
    };
    let audit_file = options.audit_log();
    let elsewhere = audit_file.is_some();
    let log = tracing_subscriber::fmt::layer().with_writer(LogWriter(Arc::clone(redactor)));
    let log = match options.log_format {
        LogFormat::Text => log.with_ansi(std::io::stderr().is_terminal()).boxed(),
        // As the audit log has its lines.
        LogFormat::Json => log.json().flatten_event(true).with_current_span(true).with_span_list(false).boxed(),
    };
    let log = log
        .with_filter(filter)
        .with_filter(filter_fn(move |metadata| !(elsewhere && metadata.target() == audit::TARGET)));
    let audit = match audit_file {
        None => None,
        Some(path) => {
            let redactor = Arc::clone(redactor);
            let opened = path.parent().map_or(Ok(()), make_directory).and_then(|()| AuditFile::open(&path, redactor));
            Some(audit::layer(opened.with_context(|| format!("could not open the audit log {}", path.display()))?))
        }
    };
    tracing_subscriber::registry().with(log).with(audit).init();
    Ok(())
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
    failpoint!("drain.begun");
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
    failpoint!("drain.finished");
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
    failpoint!("drain.swept");
    registry.context().store.close().await;
    registry.context().telemetry.shut_down().await;
    failpoint!("store.closed");
}
