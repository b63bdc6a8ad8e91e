//! `claude-runner sessions`: lists, shows, resets and deletes sessions.

use std::io::{self, Write as _};
use std::process::ExitCode;

use api_types::session::{Deleted, Reset, Session};
use api_types::task::Task;
use api_types::word;
use clap::{Args, Subcommand};
use domain::session::SessionId;

use super::exit::{Exit, Misuse};
use super::lists::{self, Extent};
use super::remote::{Answered, Remote, RemoteOptions};
use super::table::{Column, Table};

const EXAMPLES: &str = "\
Examples:
  claude-runner sessions
  claude-runner sessions show user-123
  claude-runner sessions reset user-123";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SessionsOptions {
    #[command(subcommand)]
    command: Option<SessionsCommand>,

    #[command(flatten)]
    extent: Extent,

    /// Print the server's answers, one JSON object per line
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    remote: RemoteOptions,
}

#[derive(Subcommand, Debug)]
enum SessionsCommand {
    /// One session, and its latest tasks
    Show {
        /// The session
        id: SessionId,
    },
    /// Abort its tasks, restore its files from the template, and forget the conversation
    Reset {
        /// The session
        id: SessionId,
    },
    /// Abort its tasks, and remove its container, files, memory and events
    Delete {
        /// The sessions
        #[arg(required = true)]
        ids: Vec<SessionId>,
    },
}

pub(super) async fn run(options: SessionsOptions) -> anyhow::Result<ExitCode> {
    let remote = options.remote.connect()?;
    match &options.command {
        None => list(&remote, options.extent, options.json).await?,
        Some(SessionsCommand::Show { id }) => show(&remote, id, options.json).await?,
        Some(SessionsCommand::Reset { id }) => {
            let answer: Answered<Reset> = remote.post(&["session", id.as_str(), "reset"]).await?;
            if !answer.value.reset {
                return Err(Misuse(format!("there is no session {:?}", id.as_str())).into());
            }
            print_result(&answer, &format!("reset {id}"), options.json)?;
        }
        Some(SessionsCommand::Delete { ids }) => {
            for id in ids {
                // The session is read first, because the server's answer is the same for a missing session.
                remote.get::<Session>(&["session", id.as_str()]).await?;
                let answer: Answered<Deleted> = remote.delete(&["session", id.as_str()]).await?;
                print_result(&answer, &format!("deleted {id}"), options.json)?;
            }
        }
    }
    Ok(Exit::Done.into())
}

fn print_result<T>(answer: &Answered<T>, sentence: &str, json: bool) -> io::Result<()> {
    if json { lists::print_lines(std::slice::from_ref(answer)) } else { writeln!(io::stderr(), "{sentence}") }
}

async fn list(remote: &Remote, extent: Extent, json: bool) -> anyhow::Result<()> {
    let records = lists::sessions(remote).await?;
    let shown = &records[..records.len().min(extent.most())];
    if json {
        lists::print_lines(shown)?;
    } else if shown.is_empty() {
        writeln!(io::stderr(), "there are no sessions; `claude-runner task --session NAME MESSAGE` begins one")?;
    } else {
        lists::print_table(&table(shown.iter().map(|record| &record.value)))?;
    }
    if shown.len() < records.len() {
        writeln!(io::stderr(), "there are {} more: --limit N or --all shows them", records.len() - shown.len())?;
    }
    Ok(())
}

fn table<'a>(records: impl Iterator<Item = &'a Session>) -> Table {
    let mut table = Table::new([
        ("SESSION", Column::Whole),
        ("STATE", Column::Whole),
        ("AGENT", Column::Text),
        ("QUEUED", Column::Number),
        ("TURNS", Column::Number),
        ("LAST ACTIVE", Column::Whole),
        ("CREATED", Column::Whole),
    ])
    .sparing(&["CREATED", "AGENT", "LAST ACTIVE", "TURNS", "QUEUED"]);
    for record in records {
        table.row([
            record.session_id.to_string(),
            record.state.clone(),
            record.agent.to_string(),
            record.queued.to_string(),
            record.turns.to_string(),
            lists::short_time(record.last_active),
            lists::short_time(record.created),
        ]);
    }
    table
}

async fn show(remote: &Remote, id: &SessionId, json: bool) -> anyhow::Result<()> {
    const LATEST: usize = 5;
    let record: Answered<Session> = remote.get(&["session", id.as_str()]).await?;
    if json {
        lists::print_lines(std::slice::from_ref(&record))?;
        return Ok(());
    }
    let record = record.value;
    lists::print_fields(&[
        ("session", record.session_id.to_string()),
        ("state", record.state),
        ("agent", record.agent.to_string()),
        ("queued", record.queued.to_string()),
        ("turns", record.turns.to_string()),
        ("events", record.seq.to_string()),
        ("credential", record.credential.map(|source| word(&source)).unwrap_or_default()),
        ("created", lists::time(record.created)),
        ("last active", lists::time(record.last_active)),
    ])?;
    let mut tasks: Vec<Task> = Vec::new();
    let of_it = [("sessionId", id.to_string())];
    lists::pages(remote, "tasks", &of_it, LATEST, |page| {
        tasks.extend(page.into_iter().map(|task| task.value));
        Ok(())
    })
    .await?;
    if !tasks.is_empty() {
        writeln!(io::stdout())?;
        lists::print_table(&super::tasks::table(&tasks))?;
    }
    Ok(())
}
