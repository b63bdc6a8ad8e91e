//! `claude-runner task`: sends a message, shows live what the agent does, prints the answer.

mod show;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use futures::StreamExt;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use show::Show;

#[derive(Args, Debug)]
pub(super) struct TaskOptions {
    /// The message for the agent
    message: String,

    /// The session it goes to; a new one where it does not exist
    #[arg(long, default_value = "cli")]
    session: String,

    /// What the agent should know about the message
    #[arg(long)]
    context: Option<String>,

    /// A variable for the agent's tools, NAME=VALUE, or NAME to pass on one that is set here; may be repeated
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    env: Vec<String>,

    /// Model [default: the server's]
    #[arg(long)]
    model: Option<String>,

    /// Dollars that the task may cost
    #[arg(long, value_name = "DOLLARS")]
    max_cost: Option<f64>,

    /// Print the events as they come, one JSON object a line, and nothing else
    #[arg(long)]
    json: bool,

    /// The server
    #[arg(long, env = "CLAUDE_RUNNER_URL", default_value = "http://127.0.0.1:3456")]
    url: String,

    /// An API key of the server
    #[arg(long, env = "CLAUDE_RUNNER_KEY", hide_env_values = true)]
    key: Option<SecretString>,
}

/// The exit code says how the task ended: 0 completed, 1 failed, 2 aborted.
pub(super) async fn run(options: TaskOptions) -> anyhow::Result<ExitCode> {
    let server = Server { url: options.url.trim_end_matches('/').to_owned(), key: options.key.clone() };
    // Before the task is sent, so that its first event is seen.
    let mut stream = server.stream(&options.session).await?;
    let task = server.submit(&options).await?;

    let mut show = Show::new(options.json);
    while let Some(message) = stream.next().await {
        match message.context("the stream broke")? {
            Message::Text(text) => {
                let event: Value = serde_json::from_str(&text).context("the server sent something that is no event")?;
                if event["taskId"] != task {
                    continue;
                }
                if let Some(code) = show.event(&event, &text) {
                    return Ok(ExitCode::from(code));
                }
            }
            Message::Close(frame) => {
                let reason = frame.map(|frame| frame.reason.to_string()).unwrap_or_default();
                bail!("the server closed the stream: {reason}");
            }
            _ => {}
        }
    }
    bail!("the stream ended before the task did")
}

struct Server {
    url: String,
    key: Option<SecretString>,
}

impl Server {
    async fn stream(&self, session: &str) -> anyhow::Result<WebSocketStream<MaybeTlsStream<TcpStream>>> {
        let session = percent_encoding::utf8_percent_encode(session, percent_encoding::NON_ALPHANUMERIC);
        let Some(rest) = self.url.strip_prefix("http") else { bail!("{}: not an http URL", self.url) };
        let mut request = format!("ws{rest}/stream/{session}").into_client_request()?;
        if let Some(key) = &self.key {
            let bearer = format!("Bearer {}", key.expose_secret()).parse().context("the key is no header value")?;
            request.headers_mut().insert(http::header::AUTHORIZATION, bearer);
        }
        let (stream, _) = tokio_tungstenite::connect_async(request)
            .await
            .with_context(|| format!("could not connect to {}; is `claude-runner serve` running there?", self.url))?;
        Ok(stream)
    }

    async fn submit(&self, options: &TaskOptions) -> anyhow::Result<Value> {
        let mut body = json!({
            "sessionId": options.session,
            "message": options.message,
            "context": options.context,
            "env": environment(&options.env)?,
            "async": true,
        });
        if let Some(model) = &options.model {
            body["model"] = json!(model);
        }
        if let Some(cost) = options.max_cost {
            body["maxCostUsd"] = json!(cost);
        }
        let mut request = reqwest::Client::new().post(format!("{}/task", self.url)).json(&body);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose_secret());
        }
        let response = request.send().await.with_context(|| format!("could not reach {}", self.url))?;
        let accepted = response.status().is_success();
        let answer: Value = response.json().await.context("the server did not answer in JSON")?;
        if !accepted {
            bail!("{}", answer["error"].as_str().unwrap_or("the server refused the task"));
        }
        Ok(answer["taskId"].clone())
    }
}

fn environment(pairs: &[String]) -> anyhow::Result<BTreeMap<&str, String>> {
    pairs
        .iter()
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => Ok((name, value.to_owned())),
            None => match std::env::var(pair) {
                Ok(value) => Ok((pair.as_str(), value)),
                Err(_) => bail!("--env {pair}: there is no such variable here; use --env {pair}=VALUE"),
            },
        })
        .collect()
}
