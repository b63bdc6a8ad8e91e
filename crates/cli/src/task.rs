//! `claude-runner task`: sends a message, shows the agent's actions live, and prints the answer.

mod submit;

use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::process::ExitCode;

use anyhow::Context as _;
use api_types::request::{RepositoryTaskRequest, SessionTaskRequest, TaskRequest, WebhookTarget, WebhookUrl};
use api_types::task::TaskKind;
use clap::Args;
use domain::session::SessionId;

use super::exit::Misuse;
use super::remote::RemoteOptions;
use super::watch::{WatchOptions, watch};
use submit::submit;

const EXAMPLES: &str = "\
Examples:
  claude-runner task --session user-123 \"How many API calls has Alice left?\"
  claude-runner task --session user-123 --env ACME_API_TOKEN - < question.txt
  claude-runner task --repo acme/acme-api \"Refresh tokens before they expire, not after\"
  claude-runner logs -f $(claude-runner task --session user-123 --detach \"Take your time\")

Ctrl-C aborts the task; a second one leaves it to the server.
Exit status: 0 completed, 1 failed, 2 aborted, 64 refused, 69 no server, 75 not now, 77 key";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct TaskOptions {
    /// The message for the agent; without --session the prompt of a repository task. `-`: from standard input
    #[arg(required_unless_present = "prompt")]
    message: Option<String>,

    /// The task's session. A new session begins with its first message
    #[arg(long, value_name = "ID", conflicts_with_all = ["prompt", "repo", "base", "branch"])]
    session: Option<SessionId>,

    /// The prompt of a repository task, as MESSAGE without --session
    #[arg(long, value_name = "TEXT", conflicts_with = "message")]
    prompt: Option<String>,

    /// The repository, OWNER/NAME [default: chosen by the prompt]
    #[arg(long, value_name = "REPOSITORY")]
    repo: Option<String>,

    /// The branch to start from [default: the repository's]
    #[arg(long)]
    base: Option<String>,

    /// The branch to push to [default: a new one]
    #[arg(long)]
    branch: Option<String>,

    /// The agent template [default: the server's]
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,

    /// The model [default: the server's]
    #[arg(long)]
    model: Option<String>,

    /// Context that the agent gets with the message
    #[arg(long, value_name = "TEXT")]
    context: Option<String>,

    /// A variable for the agent's tools; NAME alone passes on one that is set here. May be repeated
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    env: Vec<String>,

    /// Limit of model round-trips
    #[arg(long, value_name = "TURNS")]
    max_turns: Option<u32>,

    /// The task's time limit: 90s, 10m, 1h
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    timeout: Option<u64>,

    /// Cost limit in US dollars
    #[arg(long, value_name = "DOLLARS")]
    max_cost: Option<f64>,

    /// Post the task's end to this URL, signed with the server's WEBHOOK_SECRET
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,

    #[command(flatten)]
    watch: WatchOptions,

    #[command(flatten)]
    remote: RemoteOptions,
}

/// The exit status shows how the task ended.
pub(super) async fn run(options: TaskOptions) -> anyhow::Result<ExitCode> {
    let remote = options.remote.connect()?;
    let accepted = submit(&remote, &body(&options)?).await?;
    let kind = if options.session.is_some() { TaskKind::Session } else { TaskKind::Repository };
    watch(&remote, &accepted, kind, &options.watch).await
}

fn body(options: &TaskOptions) -> anyhow::Result<TaskRequest> {
    let text = match (&options.message, &options.prompt) {
        (Some(text), _) | (None, Some(text)) if text == "-" => read_stdin()?,
        (Some(text), _) | (None, Some(text)) => text.clone(),
        (None, None) => return Err(Misuse("a message is missing".to_owned()).into()),
    };
    let env = if options.env.is_empty() { None } else { Some(environment(&options.env)?) };
    let webhook = options.webhook.clone().map(|url| WebhookTarget::Url(WebhookUrl(url)));
    Ok(match &options.session {
        Some(session) => TaskRequest::Session(SessionTaskRequest {
            session_id: session.clone(),
            message: text,
            agent: options.agent.clone(),
            context: options.context.clone(),
            env,
            model: options.model.clone(),
            max_turns: options.max_turns,
            timeout_ms: options.timeout,
            max_cost_usd: options.max_cost,
            retry: None,
            metadata: None,
            respond_async: Some(true),
            webhook,
            asks: None,
        }),
        None => TaskRequest::Repository(RepositoryTaskRequest {
            prompt: text,
            webhook,
            repo: options.repo.clone(),
            base: options.base.clone(),
            branch: options.branch.clone(),
            env,
            context: options.context.clone(),
            model: options.model.clone(),
            max_turns: options.max_turns,
            timeout_ms: options.timeout,
            max_cost_usd: options.max_cost,
            retry: None,
            metadata: None,
        }),
    })
}

fn read_stdin() -> anyhow::Result<String> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text).context("the message could not be read from standard input")?;
    Ok(text)
}

fn environment(pairs: &[String]) -> Result<BTreeMap<String, String>, Misuse> {
    let variable = |pair: &String| match pair.split_once('=') {
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None => match std::env::var(pair) {
            Ok(value) => Ok((pair.clone(), value)),
            Err(_) => Err(Misuse(format!("--env {pair}: there is no such variable here; use --env {pair}=VALUE"))),
        },
    };
    pairs.iter().map(variable).collect()
}

/// Parses a time as milliseconds.
fn parse_time(text: &str) -> Result<u64, String> {
    let wrong = || "it must be a whole number with ms, s, m or h behind it, like 90s".to_owned();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)).filter(|time| *time > 0).ok_or_else(wrong)
}
