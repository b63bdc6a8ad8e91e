//! The Acme API as a program.

use clap::Parser;
use mock_api::acme::{AcmeApi, DEFAULT_TOKEN};
use mock_api::program;

/// The invented API that the sample support agent works with: users, subscriptions, usage, upgrades.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on.
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on; 0 selects a free one.
    #[arg(long, env = "MOCK_API_PORT", default_value_t = 3457)]
    port: u16,
    /// The bearer token that callers must send.
    #[arg(long, env = "MOCK_API_TOKEN", default_value = DEFAULT_TOKEN, hide_env_values = true)]
    token: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    program::set_up_log();
    let listener = program::listen(&arguments.host, arguments.port, "MOCK_API_PORT").await?;
    let api = AcmeApi::serve(listener, &arguments.token)?;
    tracing::info!("the Acme API listens on {}", api.url());
    api.serving().until_signal().await?;
    Ok(())
}
