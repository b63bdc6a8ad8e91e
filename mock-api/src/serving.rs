//! A running HTTP server and its shutdown, shared by all servers.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// One server on one listener. Dropping it stops the server without waiting. [`Serving::stop`] waits.
#[derive(Debug)]
pub struct Serving {
    address: SocketAddr,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Serving {
    /// Serves `router` on `listener` until `stop` is cancelled. Slow handlers of the router must watch `stop` too.
    pub(crate) fn start(listener: TcpListener, router: Router, stop: CancellationToken) -> io::Result<Self> {
        let address = listener.local_addr()?;
        // Without this, a small delta waits for the acknowledgement of the previous one.
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY was refused");
            }
        });
        let server = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
        let tasks = TaskTracker::new();
        tasks.spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the server ended");
            }
        });
        tasks.close();
        Ok(Self { address, stop, tasks })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://ADDRESS`, without a trailing slash.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops accepting, lets running responses finish, and returns when no connection is left. May be called twice.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    /// Waits for Ctrl-C or SIGTERM, then stops the server.
    pub async fn until_signal(&self) -> io::Result<()> {
        let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted?,
            _ = terminate.recv() => {}
            () = self.tasks.wait() => {}
        }
        self.stop().await;
        Ok(())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
