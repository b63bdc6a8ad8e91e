//! What the three programs have in common.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tokio::net::TcpListener;

/// The log goes to stderr.
pub fn set_up_log() {
    let stderr = std::io::stderr;
    tracing_subscriber::fmt().with_writer(stderr).with_ansi(stderr().is_terminal()).init();
}

/// `variable` is the name under which the port is set.
pub async fn listen(host: &str, port: u16, variable: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind((host, port)).await;
    listener.with_context(|| format!("could not listen on {host}:{port} (HOST, {variable})"))
}
