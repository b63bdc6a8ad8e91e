//! `claude-runner asks`: lists what agents ask, or shows one ask.

use std::process::ExitCode;

use api_types::ask::{Ask, AskKind};
use api_types::word;
use clap::Args;
use clap::builder::PossibleValuesParser;

use super::exit::Exit;
use super::lists::{self, Extent, PagedList};
use super::remote::{Answered, RemoteOptions};
use super::table::{Column, Table};

const EXAMPLES: &str = "\
Examples:
  claude-runner asks --state open
  claude-runner asks 5f0c1b0f9e0d4a53               # one ask, with all that a person needs to decide
  claude-runner asks --task 9b8ce1466759d0ec --json | jq .input";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct AsksOptions {
    /// Show this ask
    id: Option<String>,

    /// Only in this state
    #[arg(long, value_parser = PossibleValuesParser::new(["open", "answered", "expired", "withdrawn"]))]
    state: Option<String>,

    /// Only of this session
    #[arg(long, value_name = "ID")]
    session: Option<String>,

    /// Only of this task
    #[arg(long, value_name = "ID")]
    task: Option<String>,

    #[command(flatten)]
    extent: Extent,

    /// Print the server's answers, one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteOptions,
}

pub(super) async fn run(options: AsksOptions) -> anyhow::Result<ExitCode> {
    let remote = options.remote.connect()?;
    if let Some(id) = &options.id {
        let ask: Answered<Ask> = remote.get(&["ask", id]).await?;
        if options.json {
            lists::print_lines(std::slice::from_ref(&ask))?;
        } else {
            show(&ask.value)?;
        }
        return Ok(Exit::Done.into());
    }
    let filters = [("state", options.state), ("sessionId", options.session), ("taskId", options.task)];
    let asks = PagedList {
        path: "asks",
        empty: "no agent has asked anything; a table [asks] in agent.toml makes it ask",
        nothing_fits: "there are no such asks",
        table,
    };
    asks.print(&remote, filters, options.extent, options.json).await?;
    Ok(Exit::Done.into())
}

fn table(asks: &[Ask]) -> Table {
    let mut table = Table::new([
        ("ASK", Column::Whole),
        ("STATE", Column::Whole),
        ("KIND", Column::Whole),
        ("SESSION", Column::Text),
        ("TASK", Column::Whole),
        ("CREATED", Column::Whole),
        ("WHAT", Column::Text),
    ])
    .sparing(&["TASK", "CREATED", "KIND", "SESSION"]);
    for ask in asks {
        table.row([
            ask.id.to_string(),
            ask.decision
                .as_ref()
                .map_or_else(|| word(&ask.state), |decision| format!("{}: {}", word(&ask.state), word(decision))),
            word(&ask.kind),
            ask.session_id.to_string(),
            ask.task_id.to_string(),
            lists::short_time(ask.created),
            subject(ask),
        ]);
    }
    table
}

/// The subject of an ask on one line.
pub(super) fn subject(ask: &Ask) -> String {
    match ask.kind {
        AskKind::Question => {
            ask.questions.iter().map(|question| question.question.as_str()).collect::<Vec<_>>().join(" ")
        }
        AskKind::Plan => ask.input["plan"].as_str().unwrap_or("a plan").to_owned(),
        AskKind::Permission | AskKind::Unknown => {
            let names = ["command", "file_path", "url", "query"];
            let input = names.iter().find_map(|name| ask.input[*name].as_str()).map(str::to_owned);
            format!("{} {}", ask.tool, input.unwrap_or_else(|| ask.input.to_string()))
        }
    }
}

fn show(ask: &Ask) -> std::io::Result<()> {
    let mut fields = vec![
        ("ask", ask.id.to_string()),
        ("state", word(&ask.state)),
        ("kind", word(&ask.kind)),
        ("session", ask.session_id.to_string()),
        ("task", ask.task_id.to_string()),
        ("created", lists::time(ask.created)),
        ("expires", lists::time(ask.expires_at)),
        ("on timeout", word(&ask.on_timeout)),
        ("tool", ask.tool.clone()),
        ("asked by", ask.asked_by.clone().unwrap_or_default()),
        ("rule", ask.rule.clone().unwrap_or_default()),
        ("title", ask.title.clone().unwrap_or_default()),
        ("description", ask.description.clone().unwrap_or_default()),
    ];
    if ask.truncated == Some(true) {
        fields.push(("truncated", "only the beginning of the input is shown".to_owned()));
    }
    if ask.questions.is_empty() {
        fields.push(("input", ask.input.to_string()));
    }
    for question in &ask.questions {
        fields.push(("question", question.question.clone()));
        for option in &question.options {
            fields.push(("option", format!("{}: {}", option.label, option.description)));
        }
    }
    fields.extend([
        ("decision", ask.decision.as_ref().map(word).unwrap_or_default()),
        ("by", ask.by.as_ref().map(word).unwrap_or_default()),
        ("message", ask.message.clone().unwrap_or_default()),
        (
            "answers",
            ask.answers.clone().map(|answers| serde_json::Value::Object(answers).to_string()).unwrap_or_default(),
        ),
    ]);
    lists::print_fields(&fields)
}
