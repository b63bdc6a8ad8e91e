use std::io;
use std::path::PathBuf;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::either::Either;

/// Where the coordinator is.
pub(crate) enum Address {
    /// A mounted directory with `agent.sock` and `gateway.sock`. It is what tells sandboxes apart.
    Directory(PathBuf),
    /// One port for all sandboxes: each connection begins with a line that names what it is and whose.
    Tcp { host: String, token: String },
}

#[derive(Clone, Copy)]
pub(crate) enum Endpoint {
    Agent,
    Gateway,
}

pub(crate) type Stream = Either<UnixStream, TcpStream>;

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
                let mut stream = TcpStream::connect(host).await?;
                // Frames are small and each is waited for.
                stream.set_nodelay(true)?;
                stream.write_all(format!("{name} {token}\n").as_bytes()).await?;
                Ok(Either::Right(stream))
            }
        }
    }
}
