//! The facts about Claude Code that Claude Runner relies on, tested against the real CLI of any version, with a scripted model
//! in this process. `scripts/claude-versions` fetches the versions and starts this program.
//!
//! | module | contains |
//! |---|---|
//! | `facts` | the facts, a file per subject |
//! | `lab` | the surroundings of one fact: a home, a workspace, a scripted model |
//! | `launch` | the arguments and the environment of the CLI in a sandbox |
//! | `process` | one process of the CLI: what it is sent, and what it prints |
//! | `recording` | the lines of a process in files, and their shapes |
//! | `shapes` | the kinds of lines, their fields, the tools, the headers of requests |
//! | `run` | all facts against one version |
//! | `report` | the report |
//!
//! Most facts run the program directly on the host, with a new directory as HOME. Those of `facts::container` run it in a
//! container, because their subject is the container's root or `/etc/claude-code`.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;

mod facts;
mod lab;
mod launch;
mod process;
mod recording;
mod report;
mod run;
mod shapes;

/// Tests the facts about Claude Code that Claude Runner relies on.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A version and its program: VERSION=FILE
    #[arg(required = true, value_name = "VERSION=FILE", value_parser = version)]
    versions: Vec<(String, PathBuf)>,
    /// A version whose failures are reported without making this program fail; may be repeated
    #[arg(long, value_name = "VERSION")]
    tolerate: Vec<String>,
    /// Test only facts whose name contains this text
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
    /// Number of facts tested at a time [default: the number of processors]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Write the lines of each process to DIR/VERSION/FACT.ndjson and FACT.stdin.ndjson
    #[arg(long, value_name = "DIR")]
    record: Option<PathBuf>,
    /// Write the report to this file instead of stdout
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// The file with the known shapes
    #[arg(long, value_name = "FILE")]
    known: PathBuf,
    /// Add the shapes of this run to the known ones
    #[arg(long)]
    accept: bool,
}

fn version(argument: &str) -> Result<(String, PathBuf), String> {
    let (version, file) = argument.split_once('=').ok_or("it is not VERSION=FILE")?;
    Ok((version.to_owned(), file.into()))
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let jobs = arguments.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(2, Into::into));
    let mut known = shapes::Shapes::read(&arguments.known)?;
    let mut runs = Vec::new();
    for (version, binary) in &arguments.versions {
        let binary = binary.canonicalize().with_context(|| format!("{} is not there", binary.display()))?;
        let record = arguments.record.as_ref().map(|directory| directory.join(version));
        runs.push(run::run(version, &binary, record.as_deref(), &arguments.only, jobs).await?);
    }
    let text = report::write(&runs, &known, &arguments.tolerate);
    match &arguments.report {
        Some(file) => fs::write(file, text).with_context(|| format!("could not write {}", file.display()))?,
        None => io::stdout().write_all(text.as_bytes())?,
    }
    if arguments.accept {
        for run in &runs {
            known.add(&run.shapes);
        }
        known.write(&arguments.known)?;
    }
    let is_failed = runs.iter().any(|run| !arguments.tolerate.contains(&run.version) && run.failed().next().is_some());
    Ok(if is_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
