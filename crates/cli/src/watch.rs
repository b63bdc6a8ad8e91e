//! Follows a new task to its end: the common part of `task` and `retry`.

use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use api_types::Nullable;
use api_types::task::{Aborted, Accepted, Task, TaskKind};
use clap::Args;
use futures::FutureExt as _;
use futures::future::Fuse;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::Exit;
use super::follow::{Follow, Step, end_of};
use super::remote::{Answered, Remote};
use super::show::Show;
use super::terminal;

#[derive(Args, Debug)]
pub(crate) struct WatchOptions {
    /// Do not wait: print the task's id
    #[arg(long)]
    detach: bool,

    /// Print only the events, as they arrive, one JSON object per line
    #[arg(long)]
    json: bool,
}

/// `accepted` is the server's 202. The exit status shows how the task ended.
pub(super) async fn watch(
    remote: &Remote,
    accepted: &Answered<Accepted>,
    kind: TaskKind,
    options: &WatchOptions,
) -> anyhow::Result<ExitCode> {
    let task = accepted.value.task_id.as_str();
    if options.detach {
        let text = if options.json { accepted.as_ref() } else { task };
        writeln!(io::stdout(), "{}", terminal::json_line(text))?;
        return Ok(Exit::Done.into());
    }
    let shows = match (options.json, kind) {
        (true, _) => Shows::Lines,
        (false, TaskKind::Session | TaskKind::Unknown) => Shows::Work(Box::new(Show::live())),
        // The task's result is in its record.
        (false, TaskKind::Repository) => Shows::Work(Box::new(Show::live().without_answer())),
    };
    let exit = follow(remote, task, shows).await?;
    if kind == TaskKind::Repository && !options.json && exit != Exit::Interrupted {
        let record: Task = remote.get(&["task", task]).await?;
        for text in [Nullable::value(&record.summary), record.pr_url.as_ref()].into_iter().flatten() {
            if !text.is_empty() {
                writeln!(io::stdout(), "{}", terminal::printable(text))?;
            }
        }
    }
    Ok(exit.into())
}

enum Shows {
    /// Events as they arrive.
    Lines,
    Work(Box<Show>),
}

impl Shows {
    /// Prints a message of the command itself, which is not an event.
    fn say(&mut self, name: &str, text: &str) -> io::Result<()> {
        match self {
            Shows::Lines => writeln!(io::stderr(), "{name}: {text}"),
            Shows::Work(show) => show.line(name, text),
        }
    }
}

/// Follows a task. Ctrl-C aborts it, and a second Ctrl-C ends the command without waiting.
async fn follow(remote: &Remote, task: &str, mut shows: Shows) -> anyhow::Result<Exit> {
    let mut interrupts = signal(SignalKind::interrupt()).context("could not listen for Ctrl-C")?;
    let mut follow = Follow::task(remote, task, true).await?;
    let mut abort = Fuse::terminated();
    let mut asked_to_abort = false;
    loop {
        tokio::select! {
            biased;
            _ = interrupts.recv() => {
                if asked_to_abort {
                    shows.say("left", &format!("`claude-runner logs -f {task}` shows its progress"))?;
                    return Ok(Exit::Interrupted);
                }
                asked_to_abort = true;
                shows.say("abort", "asked for; Ctrl-C again leaves without waiting")?;
                let (remote, task) = (remote.clone(), task.to_owned());
                abort = async move { remote.post::<Aborted>(&["task", &task, "abort"]).await }.boxed().fuse();
            }
            asked = &mut abort => {
                if let Err(error) = asked {
                    shows.say("abort", &format!("{error}"))?;
                }
            }
            step = follow.next() => match step? {
                Some(Step::Event { event, line }) => {
                    match &mut shows {
                        Shows::Lines => writeln!(io::stdout(), "{}", terminal::json_line(&line))?,
                        Shows::Work(show) => show.event(&event)?,
                    }
                    if let Some(exit) = end_of(&event) {
                        return Ok(exit);
                    }
                }
                Some(Step::Away(error)) => shows.say("lost", &format!("{error}; waiting for it to come back"))?,
                // A followed task ends with an event.
                None => return Ok(Exit::Failed),
            },
        }
    }
}
