//! Checks that a sandbox reaches its link: it starts a container of the image with a directory of RUNTIME_DIR mounted, and its
//! `sandbox-init` must connect over the socket in it. Only a real attempt shows this: an engine in a virtual machine mounts a
//! directory without its sockets, and SELinux lets a container see a socket without connecting to it.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use engine::{ContainerExit, ContainerId, ContainerSpec, Engine, EngineError, Labels, Mount};
use futures::StreamExt as _;
use sandbox::SandboxSettings;
use sandbox_link::codec::DecodeError;
use sandbox_link::frame::Up;
use tokio::net::UnixListener;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_util::sync::CancellationToken;

use super::check::{Check, in_words};

const NAME: &str = "link";

/// A container starts and connects within half a second; a machine under load may take many times that.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The time that `sandbox-init` tries to connect before it ends with the reason. It is also the time after which a container
/// that could not be removed ends by itself.
const ORPHAN_TTL_MS: &str = "8000";

/// The bound on the log of a container that ended.
const LOG_BYTES: usize = 2048;

/// The label of doctor's containers. They have no label of an installation, because a running server would remove them
/// as orphans.
const LABEL: &str = "claude-runner.doctor";

pub(super) fn not_tried(why: &str) -> Check {
    Check::not_tried(NAME, why)
}

/// The result for SANDBOX_NETWORK=bridge, which uses no socket.
pub(super) fn bridged() -> Check {
    Check::warn(
        NAME,
        "not tried: with SANDBOX_NETWORK=bridge sandboxes connect by TCP, and have a network that EGRESS_ALLOW does not bound",
        "set SANDBOX_NETWORK=none unless containers cannot share a socket with this host",
    )
}

/// `directory` is empty, below RUNTIME_DIR or its future place. The container is removed in every case.
pub(super) async fn try_it(
    engine: &dyn Engine,
    settings: &SandboxSettings,
    directory: &Path,
    stop: &CancellationToken,
) -> Check {
    let container = ContainerId::new(format!("claude-runner-doctor-{:016x}", rand::random::<u64>()));
    let began = Instant::now();
    let outcome = stop.run_until_cancelled(connect(engine, settings, &container, directory)).await;
    let milliseconds = began.elapsed().as_millis();
    // The container is removed after an error too, because the engine may have started it without confirming that.
    let removed = engine.remove_container(&container).await;
    match (outcome, removed) {
        (None, _) => not_tried("it was interrupted"),
        (Some(Err(failure)), _) => Check::fail(NAME, in_words(&failure), failure.remedy(settings)),
        (Some(Ok(())), Err(error)) => Check::warn(
            NAME,
            format!("a container connected, but could not be removed: {}", in_words(&error)),
            format!("remove it with `docker rm -f {container}`"),
        ),
        (Some(Ok(())), Ok(())) => {
            Check::ok(NAME, format!("a container started, connected to its socket and was removed ({milliseconds} ms)"))
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("could not listen for the container")]
    Listen(#[source] io::Error),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the container ended ({exit}): {log}")]
    Ended { exit: String, log: String },
    #[error("the container did not connect within {} s", TIMEOUT.as_secs())]
    Timeout,
    #[error("the connection of the container broke")]
    Socket(#[from] tungstenite::Error),
    #[error("the image's sandbox-init is not the one of this program")]
    Decode(#[from] DecodeError),
    #[error("the container connected, but did not send sandbox-init's greeting")]
    Greeting,
}

impl Failure {
    fn remedy(&self, settings: &SandboxSettings) -> String {
        let remedy = match self {
            Failure::Listen(_) => "set RUNTIME_DIR to a directory on a file system with Unix sockets",
            Failure::Engine(EngineError::PathNotShared { .. }) => {
                "run this where the engine runs, or mount RUNTIME_DIR at the same path on both sides"
            }
            Failure::Engine(_) => "correct what the engine names",
            Failure::Ended { log, .. } => {
                return sandbox::connection_advice(log, settings.network, settings.runtime.as_deref());
            }
            Failure::Timeout | Failure::Socket(_) => {
                "where the engine runs in a virtual machine or SELinux forbids it, sockets cannot be shared: set \
                 SANDBOX_NETWORK=bridge, or RUNTIME_DIR to a directory that is shared with containers"
            }
            Failure::Decode(_) | Failure::Greeting => "rebuild the image with `claude-runner image build`",
        };
        remedy.to_owned()
    }
}

async fn connect(
    engine: &dyn Engine,
    settings: &SandboxSettings,
    container: &ContainerId,
    directory: &Path,
) -> Result<(), Failure> {
    const TARGET: &str = "/run/link";

    let listener = listen(directory).map_err(Failure::Listen)?;
    let environment = [("LINK", format!("unix:{TARGET}")), ("ORPHAN_TTL_MS", ORPHAN_TTL_MS.to_owned())];
    let spec = ContainerSpec {
        name: container.to_string(),
        image: settings.image.clone(),
        labels: Labels::from([(LABEL.to_owned(), std::process::id().to_string())]),
        entry_point: None,
        command: Vec::new(),
        environment: environment.map(|(name, value)| (name.to_owned(), value)).into_iter().collect::<BTreeMap<_, _>>(),
        mounts: vec![Mount::Directory { source: directory.to_owned(), target: TARGET.to_owned() }],
        network: settings.network,
        limits: settings.limits,
        runtime: settings.runtime.clone(),
        shared_directory: Some(directory.to_owned()),
    };
    engine.create_container(&spec).await?;
    engine.start(container).await?;
    tokio::select! {
        greeted = greet(&listener) => greeted,
        exit = engine.wait_container(container) => {
            let exit = match exit? {
                ContainerExit::Exited { code, .. } => format!("exit code {code}"),
                ContainerExit::Gone => "it was removed".to_owned(),
            };
            let log = engine.logs(container, LOG_BYTES).await.unwrap_or_default();
            Err(Failure::Ended { exit, log })
        }
        () = sleep(TIMEOUT) => Err(Failure::Timeout),
    }
}

/// Listens like the server does for a sandbox, with a mode for the container's user.
fn listen(directory: &Path) -> io::Result<UnixListener> {
    let socket = directory.join("agent.sock");
    fs::set_permissions(directory, Permissions::from_mode(0o755))?;
    let listener = UnixListener::bind(&socket)?;
    fs::set_permissions(&socket, Permissions::from_mode(0o666))?;
    Ok(listener)
}

async fn greet(listener: &UnixListener) -> Result<(), Failure> {
    let (stream, _) = listener.accept().await.map_err(Failure::Listen)?;
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    match socket.next().await.transpose()? {
        Some(Message::Binary(bytes)) => match Up::decode(bytes)?.first() {
            Some(Up::Hello(_)) => Ok(()),
            Some(Up::Output(_) | Up::Ack { .. }) | None => Err(Failure::Greeting),
        },
        _ => Err(Failure::Greeting),
    }
}

#[cfg(test)]
mod tests;
