//! Settings of `claude-runner doctor`.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use gateway::Prices;
use sandbox::Instance;

use super::{ServeOptions, docker_engine, docker_host};

/// The settings of `claude-runner doctor` are those of `serve`, which it examines.
#[derive(Args, Debug)]
#[command(after_help = cli::doctor::EXAMPLES)]
pub struct DoctorOptions {
    #[command(flatten)]
    serve: ServeOptions,

    /// Print a JSON array of {name, status, detail, remedy}; status is ok, warn or fail, remedy null where there is none
    #[arg(long)]
    pub json: bool,
}

impl DoctorOptions {
    pub fn settings(&self) -> cli::doctor::Settings {
        let serve = self.serve.clone();
        let engine_address = docker_host().unwrap_or_default();
        let upstream = serve.anthropic_base_url.clone();
        // Another check examines the prices.
        let model_api =
            Prices::load(None).map_err(anyhow::Error::from).and_then(|prices| Ok(serve.gateway_settings(prices)?));
        cli::doctor::Settings {
            engine: Arc::new(docker_engine()),
            engine_address,
            sandbox: serve.sandbox_settings(),
            max_sandboxes: serve.max_sandboxes.map(|max| max as usize),
            agent_dir: serve.agent_dir.clone(),
            model: serve.model.clone(),
            model_prices: serve.model_prices.clone(),
            model_api: (upstream, model_api),
            credentials: serve.credentials().map_err(anyhow::Error::from),
            host: serve.host,
            port: serve.port,
            environment_keys: serve.api_keys.digests().count(),
            data_dir: serve.data_dir.clone(),
            secret_key_file: serve.secret_key_file.clone().unwrap_or_else(|| serve.data_dir.join("secret.key")),
            runtime_dir: serve.runtime_dir(&instance_of(&serve.data_dir)),
            usual_sandboxes: Box::new(move |bytes| serve.max_sandboxes_on(bytes)),
        }
    }
}

/// Returns the installation's name, which the first start creates. Before that, returns a name of the same length.
fn instance_of(data_dir: &Path) -> Instance {
    Instance::existing(data_dir).ok().flatten().unwrap_or_else(|| Instance::named("00000000"))
}
