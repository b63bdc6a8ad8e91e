//! `claude-runner webhooks`: lists deliveries of webhooks, and delivers one again.

use std::io::{self, Write as _};
use std::process::ExitCode;

use api_types::webhook::{Attempt, Replayed, Webhook};
use api_types::word;
use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::exit::Exit;
use super::lists::{self, Extent, PagedList};
use super::remote::{Answered, Remote, RemoteOptions};
use super::table::{Column, Table};

const EXAMPLES: &str = "\
Examples:
  claude-runner webhooks --status failed
  claude-runner webhooks --task 9b8ce1466759d0ec --json | jq .attempts
  claude-runner webhooks replay msg_5f0c1b0f9e0d4a53a7d4f1e5f7a1c2b3";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct WebhooksOptions {
    #[command(subcommand)]
    command: Option<WebhooksCommand>,

    #[command(flatten)]
    list: ListOptions,

    /// Print the server's answers, one JSON object per line
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    remote: RemoteOptions,
}

#[derive(Subcommand, Debug)]
enum WebhooksCommand {
    /// Deliver again, under the same id and from the beginning of the schedule
    Replay {
        /// The deliveries
        #[arg(required = true)]
        ids: Vec<String>,
    },
}

#[derive(Args, Debug)]
struct ListOptions {
    /// Only with this status
    #[arg(long, value_parser = PossibleValuesParser::new(["pending", "delivered", "failed"]))]
    status: Option<String>,

    /// Only this task
    #[arg(long, value_name = "ID")]
    task: Option<String>,

    #[command(flatten)]
    extent: Extent,
}

pub(super) async fn run(options: WebhooksOptions) -> anyhow::Result<ExitCode> {
    let remote = options.remote.connect()?;
    match &options.command {
        None => list(&remote, &options.list, options.json).await?,
        Some(WebhooksCommand::Replay { ids }) => {
            for id in ids {
                let answer: Answered<Replayed> = remote.post(&["webhooks", id, "replay"]).await?;
                if options.json {
                    lists::print_lines(std::slice::from_ref(&answer))?;
                } else {
                    let task = answer.value.task_id;
                    writeln!(
                        io::stderr(),
                        "{id} is delivered once more; `claude-runner webhooks --task {task}` shows what comes of it"
                    )?;
                }
            }
        }
    }
    Ok(Exit::Done.into())
}

async fn list(remote: &Remote, options: &ListOptions, json: bool) -> anyhow::Result<()> {
    let filters = [("status", options.status.clone()), ("task", options.task.clone())];
    let deliveries = PagedList {
        path: "webhooks",
        empty: "there are no deliveries; `claude-runner task --webhook URL` requests one",
        nothing_fits: "there are no such deliveries",
        table,
    };
    deliveries.print(remote, filters, options.extent, json).await
}

fn table(deliveries: &[Webhook]) -> Table {
    let mut table = Table::new([
        ("WEBHOOK", Column::Whole),
        ("STATUS", Column::Whole),
        ("TASK", Column::Whole),
        ("ENDED", Column::Whole),
        ("TRIES", Column::Number),
        ("NEXT TRY", Column::Whole),
        ("ANSWER", Column::Text),
        ("URL", Column::Text),
    ])
    .sparing(&["NEXT TRY", "ENDED", "TRIES", "TASK", "URL", "ANSWER"]);
    for delivery in deliveries {
        table.row([
            delivery.id.clone(),
            word(&delivery.status),
            delivery.task_id.to_string(),
            lists::short_time(delivery.created),
            delivery.attempts.len().to_string(),
            delivery.next_attempt.map(lists::short_time).unwrap_or_default(),
            delivery.attempts.last().map(answer).unwrap_or_default(),
            delivery.url.clone(),
        ]);
    }
    table
}

/// Formats an answer: `200`, or `503` with the reason why it is not a success.
fn answer(attempt: &Attempt) -> String {
    let parts = [attempt.status.map(|status| status.to_string()), attempt.error.clone()];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}
