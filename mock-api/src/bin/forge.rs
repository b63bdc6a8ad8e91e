//! The forge as a program.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use mock_api::forge::{DEFAULT_TOKEN, Forge, Token, sample_repositories};
use mock_api::program;

/// A forge that imitates GitHub, with a few repositories of the invented company Acme.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on.
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on; 0 selects a free one.
    #[arg(long, env = "FORGE_PORT", default_value_t = 3459)]
    port: u16,
    /// The token that callers must send.
    #[arg(long, env = "FORGE_TOKEN", default_value = DEFAULT_TOKEN, hide_env_values = true)]
    token: String,
    /// An empty directory for the repositories. They stay there.
    #[arg(long, value_name = "DIR")]
    directory: PathBuf,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    program::set_up_log();
    let listener = program::listen(&arguments.host, arguments.port, "FORGE_PORT").await?;
    let tokens = vec![Token::full(&arguments.token, "acme-dev")];
    let forge = Forge::serve(listener, &arguments.directory, tokens)?;
    for (name, seed) in sample_repositories() {
        forge.create_repository(name, &seed).await.with_context(|| format!("could not make the repository {name}"))?;
    }
    tracing::info!("the forge listens on {}", forge.url());
    forge.serving().until_signal().await?;
    Ok(())
}
