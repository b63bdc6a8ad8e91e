use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream as BlockingTcpStream};
use std::os::unix::net::UnixStream as BlockingUnixStream;
use std::path::PathBuf;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::either::Either;

/// The maximum time of a connection attempt for files.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The address of the coordinator.
pub(crate) enum Address {
    /// A mounted directory with `agent.sock`, `gateway.sock` and `files.sock`. The directory identifies the sandbox.
    Directory(PathBuf),
    /// One port for all sandboxes. Each connection starts with a line that names its endpoint and its sandbox's token.
    Tcp { host: SocketAddr, token: String },
}

#[derive(Clone, Copy)]
pub(crate) enum Endpoint {
    Agent,
    Gateway,
}

pub(crate) type Stream = Either<UnixStream, TcpStream>;

/// A connection for a thread that may block.
pub(crate) enum BlockingStream {
    Unix(BlockingUnixStream),
    Tcp(BlockingTcpStream),
}

impl Address {
    pub(crate) async fn connect(&self, endpoint: Endpoint) -> io::Result<Stream> {
        let name = match endpoint {
            Endpoint::Agent => "agent",
            Endpoint::Gateway => "gateway",
        };
        match self {
            Self::Directory(directory) => {
                Ok(Either::Left(UnixStream::connect(directory.join(format!("{name}.sock"))).await?))
            }
            Self::Tcp { host, token } => {
                let mut stream = TcpStream::connect(*host).await?;
                // Frames are small, and the other end waits for each.
                stream.set_nodelay(true)?;
                stream.write_all(format!("{name} {token}\n").as_bytes()).await?;
                Ok(Either::Right(stream))
            }
        }
    }
}

impl Address {
    /// Connects to the endpoint for files. May block.
    pub(crate) fn connect_for_files(&self) -> io::Result<BlockingStream> {
        match self {
            Self::Directory(directory) => {
                Ok(BlockingStream::Unix(BlockingUnixStream::connect(directory.join("files.sock"))?))
            }
            Self::Tcp { host, token } => {
                let mut stream = BlockingTcpStream::connect_timeout(host, CONNECT_TIMEOUT)?;
                stream.set_nodelay(true)?;
                stream.write_all(format!("files {token}\n").as_bytes())?;
                Ok(BlockingStream::Tcp(stream))
            }
        }
    }
}

impl BlockingStream {
    /// Limits each read and each write.
    pub(crate) fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Self::Unix(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))
            }
            Self::Tcp(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))
            }
        }
    }

    /// Sends the end of the stream. The other direction stays open.
    pub(crate) fn end(&self) -> io::Result<()> {
        match self {
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
        }
    }
}

impl Read for BlockingStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.read(buffer),
            Self::Tcp(stream) => stream.read(buffer),
        }
    }
}

impl Write for BlockingStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Unix(stream) => stream.write(bytes),
            Self::Tcp(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Resolves `HOST:PORT`. The host is an IP address or a name in `hosts`, the text of /etc/hosts. The system's resolver
/// is not used: a static program would have to load its modules from whatever image it runs in.
pub(crate) fn resolve(host_and_port: &str, hosts: &str) -> Option<SocketAddr> {
    if let Ok(address) = host_and_port.parse() {
        return Some(address);
    }
    let (host, port) = host_and_port.rsplit_once(':')?;
    let address: IpAddr = hosts.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?;
        words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)?.parse().ok()
    })?;
    Some(SocketAddr::new(address, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn hosts_are_addresses_or_in_the_file() {
        let hosts =
            "# 10.0.0.1 host.docker.internal\n127.0.0.1\tlocalhost\n172.17.0.1 other host.docker.internal # here\n";
        let resolved = |text| resolve(text, hosts).map(|address| address.to_string());
        assert_eq!(resolved("10.1.2.3:80").as_deref(), Some("10.1.2.3:80"));
        assert_eq!(resolved("[::1]:80").as_deref(), Some("[::1]:80"));
        assert_eq!(resolved("Host.Docker.Internal:3456").as_deref(), Some("172.17.0.1:3456"));
        assert_eq!(resolved("host.docker.internal"), None);
        assert_eq!(resolved("host.docker.internal:many"), None);
        assert_eq!(resolved("elsewhere:80"), None);
    }
}
