//! The Acme API: users, subscriptions, usage and upgrades of an invented product, behind a bearer token. Its data is
//! the same after every start. Only upgrades change it, in memory.

mod accounts;
mod error;
mod routes;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::serving::Serving;

/// The default token of the API.
pub const DEFAULT_TOKEN: &str = "acme-demo-token";

/// A running Acme API. Dropping it stops it.
#[derive(Debug)]
pub struct AcmeApi {
    serving: Serving,
    state: Arc<routes::State>,
}

impl AcmeApi {
    /// Serves the API on `listener` to callers that send `Authorization: Bearer TOKEN`. Call it inside a tokio runtime.
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

    /// The latest calls, oldest first, each as `METHOD /path?query STATUS`; at most 256.
    pub fn calls(&self) -> Vec<String> {
        self.state.calls.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}
