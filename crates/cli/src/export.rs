//! `claude-runner export`: exports the events of a session or a task, a transcript, or its files.

mod target;
mod transcript;

use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use api_types::event::{Event, Head};
use api_types::session::Session;
use api_types::task::Task;
use clap::{Args, ValueEnum};
use reqwest::{Method, RequestBuilder};

use super::exit::{Exit, Misuse};
use super::follow::{NDJSON, lines_of};
use super::remote::{Answered, Remote, RemoteError, RemoteOptions};
use super::{lists, terminal};
use target::Target;
use transcript::Transcript;

const EXAMPLES: &str = "\
Examples:
  claude-runner export user-123 --format markdown --output user-123.md
  claude-runner export 9b8ce1466759d0ec > events.ndjson
  claude-runner export user-123 --files --output files.tar";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct ExportOptions {
    /// A session or a task
    id: String,

    /// The format of the events
    #[arg(long, value_enum, default_value_t = Format::Ndjson)]
    format: Format,

    /// Export the session's files instead, as a tar archive
    #[arg(long, conflicts_with = "format")]
    files: bool,

    /// Write to this file [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Overwrite FILE
    #[arg(long, requires = "output")]
    force: bool,

    #[command(flatten)]
    remote: RemoteOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// All events, one JSON object a line
    Ndjson,
    /// A transcript for people
    Markdown,
}

/// The kind of thing that the id names.
enum Subject {
    Session(String),
    Task { id: String, record: Box<Task> },
}

pub(super) async fn run(options: ExportOptions) -> anyhow::Result<ExitCode> {
    let remote = options.remote.connect()?;
    if options.files && options.output.is_none() && io::stdout().is_terminal() {
        return Err(Misuse("a tar archive is nothing for a terminal; name a file with --output".to_owned()).into());
    }
    let subject = find(&remote, &options.id).await?;
    let mut target = Target::open(options.output.as_deref(), options.force)?;
    if options.files {
        copy_files(&remote, &subject, &mut target).await?;
    } else {
        match options.format {
            Format::Ndjson => copy_events(&remote, &subject, &mut target).await?,
            Format::Markdown => transcribe(&remote, &subject, &mut target).await?,
        }
    }
    target.finish()?;
    Ok(Exit::Done.into())
}

/// Finds the subject of an id. Like the server's abort, it looks for a session first.
async fn find(remote: &Remote, id: &str) -> Result<Subject, RemoteError> {
    match remote.get::<Session>(&["session", id]).await {
        Ok(_) => return Ok(Subject::Session(id.to_owned())),
        Err(error) if !error.is_not_found() => return Err(error),
        Err(_) => {}
    }
    match remote.get(&["task", id]).await {
        Ok(record) => Ok(Subject::Task { id: id.to_owned(), record: Box::new(record) }),
        Err(error) if error.is_not_found() => Err(error.saying(format!("there is no session and no task {id:?}"))),
        Err(error) => Err(error),
    }
}

fn events(remote: &Remote, subject: &Subject) -> Result<RequestBuilder, RemoteError> {
    match subject {
        Subject::Session(id) => remote.request(Method::GET, &["session", id, "events"], &[]),
        Subject::Task { id, .. } => remote.request(Method::GET, &["task", id, "logs"], &[("format", "ndjson")]),
    }
}

async fn copy_events(remote: &Remote, subject: &Subject, target: &mut Target) -> anyhow::Result<()> {
    let mut lines = lines_of(remote.stream(events(remote, subject)?, NDJSON).await?);
    while let Some(line) = lines.next_line().await.map_err(|error| remote.cut(&error))? {
        writeln!(target, "{}", terminal::json_line(&line))?;
    }
    Ok(())
}

async fn copy_files(remote: &Remote, subject: &Subject, target: &mut Target) -> anyhow::Result<()> {
    let session = match subject {
        Subject::Session(id) => id.clone(),
        Subject::Task { record, .. } => record.session_id.to_string(),
    };
    let request = remote.request(Method::GET, &["session", &session, "files"], &[("format", "tar")])?;
    let mut response = remote.stream(request, "application/x-tar").await?;
    while let Some(bytes) = response.chunk().await.map_err(|error| remote.unreadable(&error))? {
        target.write_all(&bytes)?;
    }
    Ok(())
}

async fn transcribe(remote: &Remote, subject: &Subject, target: &mut Target) -> anyhow::Result<()> {
    let mut records: HashMap<String, Task> = HashMap::new();
    match subject {
        Subject::Session(id) => {
            let of_it = [("sessionId", id.clone())];
            lists::pages(remote, "tasks", &of_it, usize::MAX, |page: Vec<Answered<Task>>| {
                records.extend(page.into_iter().map(|record| (record.value.task_id.to_string(), record.value)));
                Ok(())
            })
            .await?;
            // A list cuts long messages, but a transcript needs the whole text.
            for (id, record) in records.iter_mut().filter(|(_, record)| record.truncated == Some(true)) {
                *record = remote.get(&["task", id]).await?;
            }
            writeln!(target, "# Session {id}")?;
        }
        Subject::Task { id, record } => {
            records.insert(id.clone(), (**record).clone());
            writeln!(target, "# Session {}", record.session_id)?;
        }
    }
    let mut transcript = Transcript::new(records);
    let mut lines = lines_of(remote.stream(events(remote, subject)?, NDJSON).await?);
    while let Some(line) = lines.next_line().await.map_err(|error| remote.cut(&error))? {
        let (Ok(head), Ok(event)) = (serde_json::from_str::<Head>(&line), serde_json::from_str::<Event>(&line)) else {
            continue;
        };
        target.write_all(transcript.event(&head, &event).as_bytes())?;
    }
    target.write_all(transcript.finish().as_bytes())?;
    Ok(())
}
