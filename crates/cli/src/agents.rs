//! `claude-runner agents`: lists the agents that a new session can have.

use std::io::{self, Write as _};
use std::process::ExitCode;

use api_types::agent::Agent;
use clap::Args;

use super::exit::Exit;
use super::lists;
use super::remote::{Answered, RemoteOptions};
use super::table::{Column, Table};

const EXAMPLES: &str = "\
Examples:
  claude-runner agents
  claude-runner task --session pr-7 --agent review \"Look at pull request 7\"";

#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct AgentsOptions {
    /// Print the server's answers, one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: RemoteOptions,
}

pub(super) async fn run(options: AgentsOptions) -> anyhow::Result<ExitCode> {
    let remote = options.remote.connect()?;
    let agents: Vec<Answered<Agent>> = remote.get(&["agents"]).await?;
    if options.json {
        lists::print_lines(&agents)?;
        return Ok(Exit::Done.into());
    }
    let agents: Vec<Agent> = agents.into_iter().map(|agent| agent.value).collect();
    lists::print_table(&table(&agents))?;
    // An error has a file and a line, so it is too long for a column.
    for (name, error) in agents.iter().filter_map(|agent| Some((&agent.name, agent.error.as_ref()?))) {
        writeln!(io::stderr(), "{name} cannot be used: {}", super::terminal::on_one_line(error))?;
    }
    for (name, warning) in agents.iter().flat_map(|agent| agent.warnings.iter().map(|warning| (&agent.name, warning))) {
        writeln!(io::stderr(), "{name}: {}", super::terminal::on_one_line(warning))?;
    }
    Ok(Exit::Done.into())
}

fn table(agents: &[Agent]) -> Table {
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
        let state = match (&agent.error, agent.default) {
            (Some(_), _) => "broken",
            (None, true) => "default",
            (None, false) => "",
        };
        table.row([
            agent.name.to_string(),
            state.to_owned(),
            agent.model.clone(),
            agent.max_turns.to_string(),
            agent.env.join(" "),
            agent.description.clone().unwrap_or_default(),
        ]);
    }
    table
}
