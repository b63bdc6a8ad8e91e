//! `claude-runner agents`: what a new session can be.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use super::exit::Exit;
use super::lists;
use super::remote::RemoteOptions;
use super::table::{Column, Table};

const EXAMPLES: &str = "\
Examples:
  claude-runner agents
  claude-runner task --session pr-7 --agent review \"Look at pull request 7\"";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct AgentsOptions {
    /// What the server answers, one JSON object a line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteOptions,
}

pub(super) async fn run(options: AgentsOptions) -> anyhow::Result<ExitCode> {
    let remote = options.remote.connect()?;
    let answer = remote.get(&["agents"]).await?;
    let agents = answer.as_array().map(Vec::as_slice).unwrap_or_default();
    if options.json {
        lists::print_lines(agents)?;
        return Ok(Exit::Done.into());
    }
    lists::print_table(&table(agents))?;
    // What is wrong is a sentence with a file and a line in it, which no column has room for.
    for agent in agents.iter().filter(|agent| !agent["error"].is_null()) {
        let (name, error) = (lists::text(agent, "name"), lists::text(agent, "error"));
        writeln!(io::stderr(), "{name} cannot be used: {}", super::terminal::on_one_line(&error))?;
    }
    Ok(Exit::Done.into())
}

fn table(agents: &[Value]) -> Table {
    let mut table = Table::new([
        ("AGENT", Column::Whole),
        ("STATE", Column::Whole),
        ("MODEL", Column::Text),
        ("TURNS", Column::Number),
        ("NEEDS", Column::Text),
        ("DESCRIPTION", Column::Text),
    ])
    .sparing(&["TURNS", "MODEL"]);
    for agent in agents {
        let state = match (agent["error"].is_null(), &agent["default"]) {
            (false, _) => "broken",
            (true, Value::Bool(true)) => "default",
            (true, _) => "",
        };
        let needs: Vec<&str> = agent["env"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        table.row([
            lists::text(agent, "name"),
            state.to_owned(),
            lists::text(agent, "model"),
            lists::text(agent, "maxTurns"),
            needs.join(" "),
            lists::text(agent, "description"),
        ]);
    }
    table
}
