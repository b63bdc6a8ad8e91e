//! Code that the three programs share.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use tokio::net::TcpListener;

/// Writes the log to stderr.
pub fn set_up_log() {
    let stderr = std::io::stderr;
    tracing_subscriber::fmt().with_writer(stderr).with_ansi(stderr().is_terminal()).init();
}

/// Listens on `host` and `port`. `variable` is the environment variable that sets the port, for the error message.
pub async fn listen(host: &str, port: u16, variable: &str) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind((host, port)).await;
    listener.with_context(|| format!("could not listen on {host}:{port} (HOST, {variable})"))
}
