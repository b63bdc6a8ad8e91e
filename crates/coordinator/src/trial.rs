//! `claude-runner try`: the product for a first look, from this program alone. It runs a server with the sample agent, the API of the
//! made-up company Acme that the agent works with, and a first task. Everything is in a temporary directory and ends with Ctrl-C.
#![expect(clippy::print_stderr, reason = "it talks to the person who tries it")]

use std::io::{self, IsTerminal as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser};
use cli::Exit;
use engine::{Engine, EngineError, ImageInfo};
use engine_docker::DockerEngine;
use futures::FutureExt as _;
use mock_api::acme::{AcmeApi, DEFAULT_TOKEN};
use observe::redact::Redactor;
use sandbox::Instance;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::commands;
use crate::config::{self, ConfigError, DrainMode, LogFormat, ServeOptions};
use crate::{logs, serve};

pub(super) const EXAMPLES: &str = "\
Examples:
  claude-runner try
  claude-runner try \"Upgrade bob@acme.test to Pro\"
  claude-runner try --once > answer.json

Needs a container engine. Settings of `serve` from the environment and .env apply, except those of its address, keys, agent and data.";

/// The session of the first task.
const SESSION: &str = "demo";

const MESSAGE: &str = "How many API calls has Alice (alice@acme.test) left this month?";

/// The files of the sample agent.
const AGENT: [(&str, &str, u32); 4] = [
    ("AGENTS.md", include_str!("../../../agent/AGENTS.md"), 0o644),
    ("OUTPUT.md", include_str!("../../../agent/OUTPUT.md"), 0o644),
    ("OUTPUT.schema.json", include_str!("../../../agent/OUTPUT.schema.json"), 0o644),
    ("tools/acme-cli.sh", include_str!("../../../agent/tools/acme-cli.sh"), 0o755),
];

/// The time that running tasks have after Ctrl-C.
const DRAIN_MS: u64 = 2000;

/// Options of `claude-runner try`.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct TryOptions {
    /// The message to the sample agent
    #[arg(default_value = MESSAGE)]
    message: String,

    /// Let the scripted model answer, even if there is a credential
    #[arg(long)]
    scripted: bool,

    /// Exit after the answer, as when standard input is not a terminal. The exit status is the task's
    #[arg(long)]
    once: bool,
}

/// The settings of `serve` as the environment and `.env` have them.
#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    serve: ServeOptions,
}

pub(super) async fn run(options: TryOptions) -> anyhow::Result<ExitCode> {
    let mut interrupts = Interrupts::listen()?;
    let engine = DockerEngine::new(config::docker_host().map_err(ConfigError::from)?);
    let place = Place::make()?;
    let settings = settings(&options, &place)?;
    tokio::select! {
        built = build_missing_image(&engine, &settings.docker_image) => built?,
        () = interrupts.next() => return Ok(Exit::Interrupted.into()),
    }
    let acme =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("the Acme API could not listen on 127.0.0.1")?;
    let acme = AcmeApi::serve(acme, DEFAULT_TOKEN).context("the Acme API could not start")?;

    let redactor = Arc::<Redactor>::default();
    // The task shows what the server does.
    logs::set_up_logs(&settings, &redactor, "warn")?;
    say(if settings.scripted {
        "the scripted model answers, not Claude; set ANTHROPIC_API_KEY or CLAUDE_CODE_OAUTH_TOKEN to use the real API"
    } else {
        "there is a credential: Claude answers, and the account is billed; --scripted uses the scripted model"
    });
    let (started, address) = oneshot::channel();
    let stop = CancellationToken::new();
    let until_stopped = stop.clone();
    let server = serve::run_until(
        settings,
        redactor,
        |greeting| {
            // The visit waits for it.
            let _ = started.send(greeting.address());
        },
        async move {
            until_stopped.cancelled().await;
            Ok(())
        },
    );
    let visit = async {
        let address = tokio::select! {
            address = address => address.map_err(|_| Exit::Failed),
            () = interrupts.next() => Err(Exit::Interrupted),
        };
        let visited = match address {
            Ok(address) => visit(&engine, &options, address, acme.serving().address(), &mut interrupts).await,
            // A server that did not start logs the reason.
            Err(exit) => Ok(exit.into()),
        };
        stop.cancel();
        visited
    };
    let (served, visited) = tokio::join!(server, visit);
    place.clean(&engine).await;
    served?;
    visited
}

/// Sends the message and waits for Ctrl-C. The exit status is that of the task.
async fn visit(
    engine: &dyn Engine,
    options: &TryOptions,
    server: SocketAddr,
    acme: SocketAddr,
    interrupts: &mut Interrupts,
) -> anyhow::Result<ExitCode> {
    let url = format!("http://{server}");
    say(&format!("you: {}", options.message));
    let acme_url = format!("ACME_API_URL=http://host.docker.internal:{}", acme.port());
    let acme_token = format!("ACME_API_TOKEN={DEFAULT_TOKEN}");
    let task =
        ["task", "--url", &url, "--key", "", "--session", SESSION, "--env", &acme_url, "--env", &acme_token, "--"];
    let ended = tokio::select! {
        ended = commands::run_words(engine, task.into_iter().chain([options.message.as_str()])) => ended?,
        // The command itself ends its task at Ctrl-C.
        _ = interrupts.terminate.recv() => return Ok(Exit::Interrupted.into()),
    };
    if interrupts.has_come() {
        return Ok(Exit::Interrupted.into());
    }
    if options.once || !io::stdin().is_terminal() {
        return Ok(ended);
    }
    let own = if server.port() == 3456 { String::new() } else { format!("CLAUDE_RUNNER_URL={url} ") };
    say(&format!(
        "the page is at {url}: open it in a browser\n\n  Or try, in another terminal (the session remembers what was said):\n\n    \
         {own}claude-runner task --session {SESSION} \"And which plan is she on?\"\n\n  Ctrl-C ends everything and removes it."
    ));
    interrupts.next().await;
    Ok(Exit::Done.into())
}

/// Takes the settings of `serve`, and replaces those that could meet another server, its data or its callers.
fn settings(options: &TryOptions, place: &Place) -> anyhow::Result<ServeOptions> {
    let parsed = commands::parse(Settings::command(), ["claude-runner try".into()]);
    let settings = parsed.and_then(|matches| Settings::from_arg_matches(&matches));
    let mut settings = settings.map_err(commands::WrongSetting::from)?.serve;
    settings.host = Ipv4Addr::LOCALHOST.into();
    settings.port = free_port(settings.port);
    settings.api_keys = "".parse().map_err(anyhow::Error::msg)?;
    settings.agent_dir = place.agent_dir();
    settings.data_dir = place.data_dir();
    settings.runtime_dir = None;
    settings.secret_key_file = None;
    settings.audit_log = None;
    settings.log_format = LogFormat::Text;
    settings.drain = DrainMode::Finish;
    settings.drain_timeout_ms = DRAIN_MS;
    settings.scripted |= options.scripted || settings.credentials()?.state().usable.is_err();
    Ok(settings)
}

/// Returns `port`, or 0 for any free one if it is taken.
fn free_port(port: u16) -> u16 {
    if std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
        return port;
    }
    say(&format!("port {port} is taken, so the server gets a free one"));
    0
}

async fn build_missing_image(engine: &dyn Engine, image: &str) -> anyhow::Result<()> {
    if is_there(engine.image(image).await)? {
        return Ok(());
    }
    if image != config::DEFAULT_IMAGE {
        bail!(
            "the image {image} (DOCKER_IMAGE) does not exist: build it, or leave DOCKER_IMAGE out to use {}",
            config::DEFAULT_IMAGE
        );
    }
    say(&format!("building the image {image} of the sandboxes, which takes a few minutes once"));
    let built = commands::run_words(engine, ["image", "build", "--tag", image]).await?;
    if built != ExitCode::SUCCESS {
        bail!("the image {image} could not be built");
    }
    Ok(())
}

/// An error points to `claude-runner doctor`, because a missing engine is the most likely cause.
fn is_there(found: Result<Option<ImageInfo>, EngineError>) -> anyhow::Result<bool> {
    match found {
        Ok(found) => Ok(found.is_some()),
        Err(error) => bail!("{error}. `claude-runner doctor` checks the machine and names the remedy"),
    }
}

fn say(text: &str) {
    eprintln!("==> {text}");
}

/// The temporary directory of the agent and the data.
struct Place(TempDir);

impl Place {
    fn make() -> anyhow::Result<Self> {
        let directory = tempfile::Builder::new().prefix("claude-runner-try-").tempdir();
        let place = Place(directory.context("no temporary directory could be made (TMPDIR)")?);
        write_agent(&place.agent_dir()).context("the sample agent could not be written (TMPDIR)")?;
        Ok(place)
    }

    fn agent_dir(&self) -> PathBuf {
        self.0.path().join("agent")
    }

    fn data_dir(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// Removes the files of the sessions, which outlive a server, and the directory.
    async fn clean(self, engine: &dyn Engine) {
        let instance = Instance::existing(&self.data_dir()).ok().flatten();
        if let Some(instance) = instance {
            for volume in engine.list_volumes(&instance.labels()).await.unwrap_or_default() {
                if let Err(error) = engine.remove_volume(&volume.name).await {
                    say(&format!("the volume {} could not be removed: {error}", volume.name));
                }
            }
        }
        let path = self.0.path().to_owned();
        if let Err(error) = self.0.close() {
            say(&format!("{} could not be removed: {}", path.display(), domain::error_chain(&error)));
        }
    }
}

fn write_agent(directory: &Path) -> io::Result<()> {
    for (name, text, mode) in AGENT {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(directory))?;
        std::fs::write(&path, text)?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode))?;
    }
    Ok(())
}

/// Ctrl-C and SIGTERM, also those that arrived before the first wait.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn listen() -> anyhow::Result<Self> {
        let failed = "could not listen for Ctrl-C";
        Ok(Interrupts {
            interrupt: signal(SignalKind::interrupt()).context(failed)?,
            terminate: signal(SignalKind::terminate()).context(failed)?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    /// Returns true if one has come since the last call.
    fn has_come(&mut self) -> bool {
        self.next().now_or_never().is_some()
    }
}
