//! Checks that the server can listen.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use api_types::health::{self, Health};

use super::check::Check;

const NAME: &str = "port";

/// The time limit is short because the other program runs on this machine.
const TIMEOUT: Duration = Duration::from_secs(2);

/// `in_use`: a server runs on this DATA_DIR.
pub(super) async fn look(address: SocketAddr, in_use: bool) -> Check {
    let Err(error) = TcpListener::bind(address) else {
        return Check::ok(NAME, format!("{address} is free"));
    };
    match error.kind() {
        ErrorKind::AddrInUse => match (running(address).await, in_use) {
            (Some(version), true) => {
                Check::ok(NAME, format!("Claude Runner {version} of this DATA_DIR answers at {address}"))
            }
            (Some(version), false) => Check::fail(
                NAME,
                format!("{address} is taken by a Claude Runner {version} with another DATA_DIR"),
                "set PORT to another one, or stop that server",
            ),
            (None, _) => Check::fail(
                NAME,
                format!("{address} is taken by another program"),
                format!(
                    "set PORT to another one, or stop that program (`ss -ltnp 'sport = :{}'` names it)",
                    address.port()
                ),
            ),
        },
        ErrorKind::AddrNotAvailable => Check::fail(
            NAME,
            format!("{} is not an address of this machine", address.ip()),
            "set HOST to one that `ip address` shows, or to 127.0.0.1",
        ),
        ErrorKind::PermissionDenied => Check::fail(
            NAME,
            format!("this user may not listen on port {}", address.port()),
            "set PORT to one above 1023",
        ),
        _ => Check::fail(NAME, format!("{address} cannot be listened on: {error}"), "set HOST and PORT to others"),
    }
}

/// Returns the version of the Claude Runner that listens there.
async fn running(address: SocketAddr) -> Option<String> {
    let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().ok()?;
    let answer = client.get(format!("http://{}/health", reachable(address))).send().await.ok()?;
    let health: Health = answer.json().await.ok()?;
    (health.name == health::NAME).then(|| health.version.unwrap_or_else(|| "that requires an API key".to_owned()))
}

/// Replaces "all addresses", to which a client cannot connect.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
