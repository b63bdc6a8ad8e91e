//! `claude-runner tasks`: what was handed in, and how it went.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use domain::session::SessionId;
use domain::task::TaskStatus;
use serde_json::Value;

use super::exit::Exit;
use super::lists::{self, Extent, PagedList};
use super::remote::{Remote, RemoteOptions};
use super::table::{Column, Table};
use super::terminal;

const EXAMPLES: &str = "\
Examples:
  claude-runner tasks --status failed --session user-123
  claude-runner tasks --search 'refund' --all --json | jq .taskId
  claude-runner tasks show 9b8ce1466759d0ec";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct TasksOptions {
    #[command(subcommand)]
    command: Option<TasksCommand>,

    #[command(flatten)]
    list: ListOptions,

    /// Records as the server has them, one JSON object a line
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    remote: RemoteOptions,
}

#[derive(Subcommand, Debug)]
enum TasksCommand {
    /// One task: its state, its message, its answer
    Show {
        /// The task
        id: String,
    },
}

#[derive(Args, Debug)]
struct ListOptions {
    /// queued, running, completed, failed or aborted
    #[arg(long, value_parser = parse_status)]
    status: Option<TaskStatus>,

    /// Of this session
    #[arg(long, value_name = "ID")]
    session: Option<SessionId>,

    /// With this text in the message
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,

    #[command(flatten)]
    extent: Extent,
}

pub(super) async fn run(options: TasksOptions) -> anyhow::Result<ExitCode> {
    let remote = options.remote.connect()?;
    match &options.command {
        None => list(&remote, &options.list, options.json).await?,
        Some(TasksCommand::Show { id }) => show(&remote, id, options.json).await?,
    }
    Ok(Exit::Done.into())
}

async fn list(remote: &Remote, options: &ListOptions, json: bool) -> anyhow::Result<()> {
    let filters = [
        ("status", options.status.map(|status| status.as_str().to_owned())),
        ("sessionId", options.session.as_ref().map(ToString::to_string)),
        ("q", options.search.clone()),
    ];
    let tasks = PagedList {
        path: "tasks",
        empty: "there are no tasks; `claude-runner task --session NAME MESSAGE` sends one",
        nothing_fits: "there are no such tasks",
        table,
    };
    tasks.print(remote, filters, options.extent, json).await
}

pub(super) fn table(records: &[Value]) -> Table {
    let mut table = Table::new([
        ("TASK", Column::Whole),
        ("STATUS", Column::Whole),
        ("SESSION", Column::Text),
        ("CREATED", Column::Whole),
        ("TOOK", Column::Number),
        ("COST", Column::Number),
        ("MESSAGE", Column::Text),
    ])
    .sparing(&["TOOK", "CREATED", "COST", "SESSION"]);
    for record in records {
        let repository = lists::text(record, "repo");
        let place = if repository.is_empty() { lists::text(record, "sessionId") } else { repository };
        table.row([
            lists::text(record, "taskId"),
            lists::text(record, "status"),
            place,
            lists::short_time(record, "created"),
            lists::took(record),
            lists::cost(record),
            // A list is read, a message may be a document.
            terminal::shortened(&lists::text(record, "prompt"), 200),
        ]);
    }
    table
}

async fn show(remote: &Remote, id: &str, json: bool) -> anyhow::Result<()> {
    let record = remote.get(&["task", id]).await?;
    if json {
        lists::print_lines(std::slice::from_ref(&record))?;
        return Ok(());
    }
    let tools: Vec<&str> = record["tools"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    lists::print_fields(&[
        ("task", lists::text(&record, "taskId")),
        ("status", lists::text(&record, "status")),
        ("why", [lists::text(&record, "errorType"), lists::text(&record, "error")].join("  ").trim().to_owned()),
        ("session", lists::text(&record, "sessionId")),
        ("stage", lists::text(&record, "stage")),
        ("repository", [lists::text(&record, "repo"), lists::text(&record, "branch")].join(" ").trim().to_owned()),
        ("pull request", lists::text(&record, "pr_url")),
        ("model", lists::text(&record, "model")),
        ("created", lists::time(&record, "created")),
        ("took", lists::took(&record)),
        ("cost", lists::cost(&record)),
        ("tools", tools.join(", ")),
        ("message", lists::text(&record, "prompt")),
        ("summary", lists::text(&record, "summary")),
    ])?;
    let answer = match &record["output"] {
        Value::Null => lists::text(&record, "response"),
        output => format!("{output:#}"),
    };
    if !answer.is_empty() {
        writeln!(io::stdout(), "\n{}", terminal::printable(&answer))?;
    }
    Ok(())
}

fn parse_status(text: &str) -> Result<TaskStatus, String> {
    serde_json::from_value(text.into())
        .map_err(|_| "it must be queued, running, completed, failed or aborted".to_owned())
}
