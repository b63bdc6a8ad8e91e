//! `claude-runner tools`: generates shell tools for an agent from a recording or an OpenAPI document.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use toolsmith::{Chosen, from_har, from_openapi, report, write};

use super::terminal;

/// The maximum size of a file, more than a browser records in a day.
const MAX_FILE_BYTES: u64 = 512 * 1024 * 1024;

#[derive(Subcommand)]
pub enum ToolsCommand {
    /// Make tools from the requests that a browser recorded (HAR)
    FromHar(HarOptions),
    /// Make tools from an OpenAPI document (3.0, 3.1 or Swagger 2.0, YAML or JSON)
    FromOpenapi(ToolsOptions),
}

#[derive(Args)]
pub struct HarOptions {
    /// Host whose requests are taken, with or without a port; may be repeated [default: those of the recorded page's
    /// site]
    #[arg(long)]
    host: Vec<String>,

    #[command(flatten)]
    tools: ToolsOptions,
}

#[derive(Args)]
pub struct ToolsOptions {
    /// The recording or document to make tools from
    file: PathBuf,

    /// Write the tools to this directory
    #[arg(long, default_value = "agent/tools")]
    out: PathBuf,

    /// The prefix of the tools' names and variables [default: from the host's name or the document's title]
    #[arg(long)]
    name: Option<String>,

    /// Overwrite existing files
    #[arg(long)]
    force: bool,
}

pub(super) fn run(command: ToolsCommand) -> anyhow::Result<ExitCode> {
    let (options, hosts, is_har) = match command {
        ToolsCommand::FromHar(HarOptions { host, tools }) => (tools, host, true),
        ToolsCommand::FromOpenapi(tools) => (tools, Vec::new(), false),
    };
    let file = options.file.display();
    let bytes = read(&options.file).with_context(|| format!("could not read {file}"))?;
    let chosen = Chosen { hosts, name: options.name };
    let made = if is_har {
        from_har(&bytes, &chosen)
    } else {
        from_openapi(&bytes, &chosen, &mut |name| read_beside(&options.file, name))
    };
    let collection = made.with_context(|| file.to_string())?;

    let files: Vec<_> = collection.tools.iter().map(write).collect();
    if let (Some(there), false) = (files.iter().find(|made| options.out.join(&made.name).exists()), options.force) {
        bail!("{} already exists; --force overwrites it", options.out.join(&there.name).display());
    }
    std::fs::create_dir_all(&options.out).with_context(|| format!("could not make {}", options.out.display()))?;
    for made in &files {
        let path = options.out.join(&made.name);
        put(&path, &made.text, options.force).with_context(|| format!("could not write {}", path.display()))?;
    }
    let said = report(&collection, &options.out.display().to_string());
    io::stdout().write_all(terminal::printable(&said).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() {
        bail!("it is not a file");
    }
    if metadata.len() > MAX_FILE_BYTES {
        bail!("it has more than {} MiB", MAX_FILE_BYTES >> 20);
    }
    Ok(std::fs::read(path)?)
}

/// Reads a file to which a document refers. It must be in the document's directory or below, also if it is a link.
fn read_beside(document: &Path, name: &str) -> Result<Vec<u8>, String> {
    let directory = document.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let found = directory.canonicalize().and_then(|directory| Ok((directory.join(name).canonicalize()?, directory)));
    let (path, directory) = found.map_err(|error| domain::error_chain(&error))?;
    if !path.starts_with(&directory) {
        return Err("it is outside the directory of the document".to_owned());
    }
    read(&path).map_err(|error| domain::error_chain(error.as_ref()))
}

/// Writes a new file and renames it over the old one, so that the file is always complete and executable.
fn put(path: &Path, text: &str, force: bool) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).mode(0o755);
    if force {
        let temporary = path.with_extension("sh.new");
        options.create(true).truncate(true).open(&temporary)?.write_all(text.as_bytes())?;
        std::fs::rename(temporary, path)
    } else {
        options.create_new(true).open(path)?.write_all(text.as_bytes())
    }
}
