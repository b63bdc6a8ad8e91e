//! The Acme API: users, subscriptions, usage and upgrades of a made-up product, behind a bearer token. Its data is the
//! same after every start; only upgrades change it, in memory.

mod accounts;
mod error;
mod routes;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::serving::Serving;

/// The token that the API takes unless another is given.
pub const DEFAULT_TOKEN: &str = "acme-demo-token";

/// A running Acme API; dropping it stops it.
#[derive(Debug)]
pub struct AcmeApi {
    serving: Serving,
    state: Arc<routes::State>,
}

impl AcmeApi {
    /// Serves the API on `listener` to everyone who sends `Authorization: Bearer TOKEN`. Needs a tokio runtime.
    pub fn serve(listener: TcpListener, token: &str) -> io::Result<Self> {
        let state = Arc::new(routes::State {
            token: token.to_owned(),
            accounts: Mutex::new(accounts::Accounts::sample()),
            calls: Mutex::default(),
        });
        let serving = Serving::start(listener, routes::router(Arc::clone(&state)), CancellationToken::new())?;
        Ok(Self { serving, state })
    }

    pub fn serving(&self) -> &Serving {
        &self.serving
    }

    pub fn url(&self) -> String {
        self.serving.url()
    }

    /// The latest calls, oldest first, each `METHOD /path?query STATUS`; at most 256.
    pub fn calls(&self) -> Vec<String> {
        self.state.calls.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
