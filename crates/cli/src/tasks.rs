//! `claude-runner tasks`: lists submitted tasks and their results.

use std::io::{self, Write as _};
use std::process::ExitCode;

use api_types::task::Task;
use api_types::{Nullable, word};
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use domain::session::SessionId;

use super::exit::Exit;
use super::lists::{self, Extent, PagedList};
use super::remote::{Answered, Remote, RemoteOptions};
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

    /// Print the server's records, one JSON object per line
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
    /// Only with this status
    #[arg(long, value_parser = PossibleValuesParser::new(["queued", "running", "completed", "failed", "aborted"]))]
    status: Option<String>,

    /// Only this session
    #[arg(long, value_name = "ID")]
    session: Option<SessionId>,

    /// Only with this text in the message or the answer
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,

    /// With the output and the response of each task, for --json
    #[arg(long)]
    full: bool,

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
        ("status", options.status.clone()),
        ("sessionId", options.session.as_ref().map(ToString::to_string)),
        ("q", options.search.clone()),
        ("full", options.full.then(|| "1".to_owned())),
    ];
    let tasks = PagedList {
        path: "tasks",
        empty: "there are no tasks; `claude-runner task --session NAME MESSAGE` sends one",
        nothing_fits: "there are no such tasks",
        table,
    };
    tasks.print(remote, filters, options.extent, json).await
}

pub(super) fn table(records: &[Task]) -> Table {
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
        table.row([
            record.task_id.to_string(),
            word(&record.status),
            Nullable::value(&record.repo).map_or_else(|| record.session_id.to_string(), ToString::to_string),
            lists::short_time(record.created),
            record.duration.map(lists::took).unwrap_or_default(),
            record.cost.map(lists::cost).unwrap_or_default(),
            // A list must be readable, but a message may be a document.
            terminal::shortened(&record.prompt, 200),
        ]);
    }
    table
}

async fn show(remote: &Remote, id: &str, json: bool) -> anyhow::Result<()> {
    let record: Answered<Task> = remote.get(&["task", id]).await?;
    if json {
        lists::print_lines(std::slice::from_ref(&record))?;
        return Ok(());
    }
    let record = record.value;
    let why = [record.error_type.map(|error_type| word(&error_type)), record.error];
    let repository = [Nullable::value(&record.repo).map(ToString::to_string), Nullable::value(&record.branch).cloned()];
    lists::print_fields(&[
        ("task", record.task_id.to_string()),
        ("status", word(&record.status)),
        ("why", why.into_iter().flatten().collect::<Vec<_>>().join("  ")),
        ("session", record.session_id.to_string()),
        ("stage", Nullable::value(&record.stage).map(word).unwrap_or_default()),
        ("repository", repository.into_iter().flatten().collect::<Vec<_>>().join(" ")),
        ("pull request", record.pr_url.unwrap_or_default()),
        ("model", record.model),
        ("created", lists::time(record.created)),
        ("took", record.duration.map(lists::took).unwrap_or_default()),
        ("cost", record.cost.map(lists::cost).unwrap_or_default()),
        ("tools", record.tools.unwrap_or_default().join(", ")),
        ("message", record.prompt),
        ("summary", Nullable::value(&record.summary).cloned().unwrap_or_default()),
    ])?;
    let answer = match Nullable::value(&record.output) {
        Some(output) => format!("{output:#}"),
        None => Nullable::value(&record.response).cloned().unwrap_or_default(),
    };
    if !answer.is_empty() {
        writeln!(io::stdout(), "\n{}", terminal::printable(&answer))?;
    }
    Ok(())
}
