//! The scripted model as a program.

use std::path::PathBuf;

use clap::Parser;
use mock_api::program;
use mock_api::scripted_model::{DEFAULT_KEY, Memory, ScriptedModel, Scripts};

/// A Messages API that plays scripts instead of asking a model. mock-api/README.md documents the scripts and the
/// directives.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Address to listen on.
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    host: String,
    /// Port to listen on; 0 selects a free one.
    #[arg(long, env = "SCRIPTED_MODEL_PORT", default_value_t = 3458)]
    port: u16,
    /// Directory with additional scripts (*.toml); they take precedence over the built-in ones.
    #[arg(long, value_name = "DIR")]
    scripts: Option<PathBuf>,
    /// An accepted API key (`x-api-key`); may be repeated [default: sk-ant-scripted, if no token is given either]
    #[arg(long, value_name = "KEY")]
    expect_key: Vec<String>,
    /// An accepted OAuth token (`Authorization: Bearer`); may be repeated
    #[arg(long, value_name = "TOKEN")]
    expect_token: Vec<String>,
    /// A text that no request may contain in a header or in the body; may be repeated
    #[arg(long, value_name = "TEXT")]
    forbid: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = Arguments::parse();
    program::set_up_log();
    let mut scripts = Scripts::builtin()?;
    if let Some(directory) = &arguments.scripts {
        scripts = Scripts::from_directory(directory)?.followed_by(scripts);
    }
    if arguments.expect_key.is_empty() && arguments.expect_token.is_empty() {
        arguments.expect_key.push(DEFAULT_KEY.to_owned());
    }
    let listener = program::listen(&arguments.host, arguments.port, "SCRIPTED_MODEL_PORT").await?;
    let model = ScriptedModel {
        scripts,
        expected_keys: arguments.expect_key,
        expected_tokens: arguments.expect_token,
        forbidden: arguments.forbid,
        memory: Memory::Latest,
    };
    let handle = model.serve(listener)?;
    tracing::info!("the scripted model listens on {}", handle.url());
    handle.serving().until_signal().await?;
    Ok(())
}
