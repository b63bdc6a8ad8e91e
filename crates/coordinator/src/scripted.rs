//! The scripted model inside the server, for `serve --scripted`: it stands in for the model API, so that a server without a
//! credential can be tried.

use std::net::Ipv4Addr;

use anyhow::Context as _;
use mock_api::scripted_model::{Memory, ModelHandle, ScriptedModel, Scripts};
use tokio::net::TcpListener;

use crate::config::ServeOptions;

/// Starts the model on a free port of loopback and makes it the model API of `options`. Returns `None` if Claude answers.
pub(super) async fn start(options: &mut ServeOptions) -> anyhow::Result<Option<ModelHandle>> {
    if !options.scripted {
        return Ok(None);
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.context("the scripted model could not listen on 127.0.0.1")?;
    let model = ScriptedModel { memory: Memory::None, ..ScriptedModel::new(Scripts::builtin()?) };
    let handle = model.serve(listener).context("the scripted model could not start")?;
    options.anthropic_base_url = handle.url();
    Ok(Some(handle))
}
