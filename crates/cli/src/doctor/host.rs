//! A host of sandboxes for one check, as an installation of its own that no running server knows.

use std::path::Path;
use std::sync::Arc;

use engine::{Engine, Network};
use gateway::{Credentials, Gateway, GatewaySettings, Prices};
use sandbox::{Instance, Links, SandboxHost, SandboxSettings};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::check::in_words;

pub(super) struct Host {
    pub(super) sandboxes: SandboxHost,
    ended: CancellationToken,
}

impl Host {
    /// `directory` is below RUNTIME_DIR. The error is one sentence.
    pub(super) async fn new(
        engine: Arc<dyn Engine>,
        settings: SandboxSettings,
        directory: &Path,
    ) -> Result<Self, String> {
        let instance = Instance::of(directory).map_err(|error| in_words(&error))?;
        let (tracker, ended) = (TaskTracker::new(), CancellationToken::new());
        let links = directory.join("link");
        let links = Links::open(Network::None, engine.as_ref(), &links, tracker.clone(), ended.clone()).await;
        let links = links.map_err(|error| in_words(&error))?;
        let prices = Prices::load(None).map_err(|error| in_words(&error))?;
        // The address is not used: a check has its own model, or none.
        let nowhere = "http://127.0.0.1:9".parse().map_err(|_| "no address".to_owned())?;
        let gateway =
            Gateway::new(GatewaySettings::new(nowhere, prices), Credentials::new(None, None), tracker.clone());
        let gateway = gateway.map_err(|error| in_words(&error))?;
        Ok(Host { sandboxes: SandboxHost::new(engine, links, gateway, instance, settings, tracker), ended })
    }

    /// Closes the links.
    pub(super) fn end(self) {
        self.ended.cancel();
    }
}
