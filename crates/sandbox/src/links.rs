//! The link's way into a container: a mounted directory of sockets or, where sockets cannot be shared with containers,
//! an address and a token.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agent_template::SANDBOX_USER;
use bytes::Bytes;
use engine::{Engine, Mount, Network};
use futures::future::BoxFuture;
use gateway::SandboxGateway;
use link::{GatewayStream, Link, LinkDirectory, LinkError, LinkOutput, LinkStream, ResumeState, TcpLink};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::{SandboxName, agent};

/// The path of the link's directory in the container.
const TARGET: &str = "/run/link";

/// The file that gives a container the host's resolvers. A sandbox without a network does not need it.
const RESOLVER: &str = "/etc/resolv.conf";

/// The file in which `sandbox-init` finds its token. It deletes the file before it starts anything.
const TOKEN_FILE: &str = ".link-token";

/// The kind of link that all sandboxes use.
pub enum Links {
    Directory(LinkDirectory),
    Tcp { link: TcpLink, host: String },
}

/// A link, and the parameters with which its container reaches it.
pub(super) struct Attachment {
    pub(super) link: Link,
    pub(super) output: LinkOutput,
    pub(super) mounts: Vec<Mount>,
    /// The value of the container's variable LINK.
    pub(super) address: String,
    /// The archive to unpack in the home directory before the container starts.
    pub(super) token_archive: Option<Bytes>,
}

impl Links {
    /// Opens the kind of link that the sandboxes' `network` requires.
    pub async fn open(
        network: Network,
        engine: &dyn Engine,
        runtime_dir: &Path,
        tracker: TaskTracker,
        cancel: CancellationToken,
    ) -> Result<Self, LinkError> {
        match network {
            Network::None => LinkDirectory::open(runtime_dir, tracker, cancel).map(Links::Directory),
            Network::Bridge => {
                warn!("SANDBOX_NETWORK=bridge: sandboxes have their own network, which EGRESS_ALLOW does not restrict");
                let bridge = engine.bridge_gateway().await.ok().flatten();
                let (address, host) = reachable_from_bridge(bridge);
                let link = TcpLink::listen(SocketAddr::new(address, 0), tracker, cancel).await?;
                Ok(Links::Tcp { link, host })
            }
        }
    }

    /// Removes RUNTIME_DIR, unless sandboxes are left in it.
    pub fn remove_if_unused(runtime_dir: &Path) {
        LinkDirectory::remove_if_unused(runtime_dir);
    }

    /// The port that sandboxes connect to. The gateway must not allow connections to it.
    pub fn listener(&self) -> Option<SocketAddr> {
        match self {
            Links::Directory(_) => None,
            Links::Tcp { link, .. } => Some(link.address()),
        }
    }

    /// The directory for [`ContainerSpec::shared_directory`](engine::ContainerSpec::shared_directory).
    pub(super) fn shared_directory(&self) -> Option<PathBuf> {
        match self {
            Links::Directory(links) => Some(links.path().to_owned()),
            Links::Tcp { .. } => None,
        }
    }

    pub(super) fn attach(
        &self,
        name: &SandboxName,
        orphan_ttl: Duration,
        gateway: Arc<SandboxGateway>,
    ) -> Result<Attachment, LinkError> {
        let gateway = Arc::new(Served(gateway));
        match self {
            Links::Directory(links) => {
                let (link, output) = links.bind(name.link(), None, orphan_ttl, gateway)?;
                let directory = link
                    .directory()
                    .map(|source| Mount::Directory { source: source.to_owned(), target: TARGET.to_owned() });
                let resolver = Mount::File { source: links.empty_file(), target: RESOLVER.to_owned() };
                let mounts = directory.into_iter().chain([resolver]).collect();
                Ok(Attachment { link, output, mounts, address: format!("unix:{TARGET}"), token_archive: None })
            }
            Links::Tcp { link: links, host } => {
                let token = format!("{:032x}{:032x}", rand::random::<u128>(), rand::random::<u128>());
                let (link, output) = links.attach(&token, None, orphan_ttl, gateway)?;
                let address = format!("tcp://{host}:{}", links.address().port());
                Ok(Attachment { link, output, mounts: Vec::new(), address, token_archive: token_archive(&token) })
            }
        }
    }

    /// Serves a sandbox of an earlier coordinator again. Returns `None` if this kind of link does not survive a
    /// restart.
    pub(super) fn reattach(
        &self,
        name: &SandboxName,
        resume: ResumeState,
        orphan_ttl: Duration,
        gateway: Arc<SandboxGateway>,
    ) -> Result<Option<(Link, LinkOutput)>, LinkError> {
        match self {
            Links::Directory(links) => {
                links.bind(name.link(), Some(resume), orphan_ttl, Arc::new(Served(gateway))).map(Some)
            }
            // The port has changed, and the token is not stored.
            Links::Tcp { .. } => Ok(None),
        }
    }

    /// Marks a session key, for the next coordinator on this machine.
    pub(super) fn mark(&self, key: &str) -> io::Result<()> {
        match self {
            Links::Directory(links) => links.mark(key),
            Links::Tcp { .. } => Ok(()),
        }
    }

    pub(super) fn remove_mark(&self, key: &str) -> io::Result<()> {
        match self {
            Links::Directory(links) => links.remove_mark(key),
            Links::Tcp { .. } => Ok(()),
        }
    }

    pub(super) fn is_marked(&self, key: &str) -> bool {
        match self {
            Links::Directory(links) => links.is_marked(key),
            Links::Tcp { .. } => false,
        }
    }

    pub(super) fn names(&self) -> io::Result<Vec<String>> {
        match self {
            Links::Directory(links) => links.names(),
            Links::Tcp { .. } => Ok(Vec::new()),
        }
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match self {
            Links::Directory(links) => links.remove(name),
            Links::Tcp { .. } => Ok(()),
        }
    }
}

/// The gateway behind a link.
struct Served(Arc<SandboxGateway>);

impl GatewayStream for Served {
    fn serve(&self, stream: LinkStream) -> BoxFuture<'static, ()> {
        Box::pin(Arc::clone(&self.0).serve(stream))
    }

    fn reconnected(&self) {
        self.0.link_reconnected();
    }
}

/// Returns the address to listen on and the host that sandboxes connect to. On the engine's own host, the bridge's
/// address is local. Elsewhere (an engine in a virtual machine), the engine's name for this host leads to this host's
/// loopback.
fn reachable_from_bridge(bridge: Option<IpAddr>) -> (IpAddr, String) {
    match bridge.filter(|address| std::net::TcpListener::bind((*address, 0)).is_ok()) {
        Some(address) => (address, address.to_string()),
        None => (Ipv4Addr::LOCALHOST.into(), "host.docker.internal".to_owned()),
    }
}

/// Packs the token. It is not in the environment, because everyone who may inspect the container can read that.
fn token_archive(token: &str) -> Option<Bytes> {
    let mut header = tar::Header::new_gnu();
    header.set_size(token.len() as u64);
    header.set_mode(0o600);
    header.set_uid(SANDBOX_USER);
    header.set_gid(SANDBOX_USER);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, TOKEN_FILE, token.as_bytes()).ok()?;
    archive.into_inner().ok().map(Bytes::from)
}

/// The directory in the container into which [`Attachment::token_archive`] is unpacked.
pub(super) const TOKEN_DIRECTORY: &str = agent::HOME;
