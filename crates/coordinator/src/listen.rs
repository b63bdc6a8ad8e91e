//! The server's listener, and the reasons why there is none.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use domain::plain::of_os;
use tokio::net::TcpListener;

/// The server cannot listen on its address.
#[derive(Debug, thiserror::Error)]
#[error("could not listen on {address} (HOST, PORT): {}", listen_problem(address, cause))]
pub(super) struct ListenError {
    address: SocketAddr,
    // Not the error's source, because the message has it in other words.
    cause: io::Error,
}

/// The reason, with the remedy.
fn listen_problem(address: &SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        ErrorKind::AddrInUse => format!(
            "another program listens there, which `ss -ltnp 'sport = :{port}'` names: stop it, or set PORT to another port"
        ),
        ErrorKind::AddrNotAvailable => {
            format!("{} is not an address of this machine: set HOST to one that `ip address` shows", address.ip())
        }
        ErrorKind::PermissionDenied => "this user may not: set PORT to one above 1023".to_owned(),
        _ => of_os(&error.to_string()),
    }
}

pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|cause| ListenError { address, cause })
}
