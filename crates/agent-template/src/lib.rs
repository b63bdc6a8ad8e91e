//! Agent templates. A template is a directory that is copied into every new workspace and defines the agent.
//!
//! | module | contains |
//! |---|---|
//! | `catalog` | [`Agents`]: the templates in AGENT_DIR, and the default one |
//! | `settings` | `agent.toml`: its fields, and errors with line and column |
//! | [`output`] | the JSON object in an answer without a schema |
//! | [`schema`] | OUTPUT.schema.json, for the validation of answers and for the CLI |
//! | `text` | the text files: their encoding, and places in them |
//! | `warnings` | files that are copied and do not work in a sandbox |
//!
//! Invariants:
//! - A template is read for each use; nothing is cached here.
//! - Equal templates give equal archives.
//! - A workspace gets every file of its template except `agent.toml`, which belongs to the operator.

mod catalog;
pub mod output;
pub mod schema;
mod settings;
mod text;
mod warnings;

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use domain::agent::{AgentName, InvalidAgentName};
use tokio::task::JoinHandle;

use crate::schema::{InvalidSchema, OutputSchema};
use crate::text::read_optional;

pub use catalog::{AgentEntry, Agents, CheckedAgent};
pub use settings::{AgentSettings, McpServer, McpStage, McpTransport, PermissionMode};

/// The file that makes a directory a template.
const INSTRUCTIONS: &str = "AGENTS.md";

/// The numeric id of the user and group inside a sandbox.
pub const SANDBOX_USER: u64 = 10_001;

/// The maximum size of a template. A template contains instructions and small tools; larger files belong in an image.
const MAX_TEMPLATE_BYTES: u64 = 64 * 1024 * 1024;

/// A template as read from its directory.
#[derive(Debug)]
pub struct AgentTemplate {
    pub name: AgentName,
    pub settings: AgentSettings,
    /// AGENTS.md, followed by a horizontal rule and OUTPUT.md if that exists.
    pub system_prompt: String,
    pub output_schema: Option<OutputSchema>,
    /// A tar archive of the whole directory except `agent.toml`. The sandbox's user owns every entry.
    pub archive: Bytes,
}

#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error(
        "{} has no AGENTS.md; AGENT_DIR must be a directory that contains one, or whose directories each contain one",
        .0.display()
    )]
    NoInstructions(PathBuf),
    #[error("{}: {source}", path.display())]
    Name { path: PathBuf, source: InvalidAgentName },
    #[error(
        "{} has several agents and no default; set `default = true` in the agent.toml of one, or name one \
         `default`{problems}",
        directory.display()
    )]
    NoDefault { directory: PathBuf, problems: String },
    #[error("{} and {} both set `default = true`; only one may", one.display(), other.display())]
    TwoDefaults { one: PathBuf, other: PathBuf },
    #[error("{} has no agent `{name}`; there are {known}", directory.display())]
    Unknown { name: AgentName, directory: PathBuf, known: String },
    #[error("{}:{line}:{column}: {reason}", path.display())]
    At { path: PathBuf, line: usize, column: usize, reason: String },
    #[error("could not read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: the file is empty; write the agent's instructions into it", .0.display())]
    Empty(PathBuf),
    #[error(
        "{}: with this file the template has more than {} MiB; put large files into the image",
        .0.display(),
        MAX_TEMPLATE_BYTES >> 20
    )]
    TooLarge(PathBuf),
}

impl AgentTemplate {
    /// Reads the named template, or the default one, from AGENT_DIR. It runs on a thread that may block.
    pub async fn read(directory: PathBuf, name: Option<AgentName>) -> Result<Self, TemplateError> {
        let read = move || {
            let agents = Agents::load(&directory)?;
            let name = name.as_ref().unwrap_or(agents.default_name());
            agents.find(name).ok_or_else(|| agents.unknown(name))?.load()
        };
        unless_shut_down(tokio::task::spawn_blocking(read)).await
    }

    fn load(name: AgentName, directory: &Path) -> Result<Self, TemplateError> {
        let Texts { settings, system_prompt, output_schema } = Texts::read(directory)?;
        let archive = archive(directory)?;
        Ok(AgentTemplate { name, settings, system_prompt, output_schema, archive })
    }

    /// True if sandboxes made with the two templates are identical.
    pub fn is_same(&self, other: &AgentTemplate) -> bool {
        self.name == other.name && self.settings == other.settings && self.archive == other.archive
    }

    /// A template with these instructions and an empty workspace.
    pub fn of_instructions(system_prompt: &str) -> Self {
        // A tar archive ends with two blocks of zeros.
        let archive = Bytes::from_static(&[0; 1024]);
        AgentTemplate {
            name: AgentName::default(),
            settings: AgentSettings::default(),
            system_prompt: system_prompt.to_owned(),
            output_schema: None,
            archive,
        }
    }
}

/// Waits for a blocking thread and returns its result.
async fn unless_shut_down<T>(blocking: JoinHandle<T>) -> T {
    match blocking.await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and the waiting task ends with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// The files of a template that the coordinator reads itself.
#[derive(Debug)]
struct Texts {
    settings: AgentSettings,
    system_prompt: String,
    output_schema: Option<OutputSchema>,
}

impl Texts {
    fn read(directory: &Path) -> Result<Self, TemplateError> {
        let path = directory.join(INSTRUCTIONS);
        let mut system_prompt =
            read_optional(&path)?.ok_or_else(|| TemplateError::NoInstructions(directory.to_owned()))?;
        if system_prompt.trim_matches(output::is_blank).is_empty() {
            return Err(TemplateError::Empty(path));
        }
        let settings = AgentSettings::load(directory)?;
        if let Some(output) = read_optional(&directory.join("OUTPUT.md"))? {
            system_prompt.push_str("\n\n---\n\n");
            system_prompt.push_str(&output);
        }
        let output_schema = load_schema(&directory.join("OUTPUT.schema.json"))?;
        Ok(Texts { settings, system_prompt, output_schema })
    }
}

fn load_schema(path: &Path) -> Result<Option<OutputSchema>, TemplateError> {
    let Some(text) = read_optional(path)? else { return Ok(None) };
    OutputSchema::compile(&text).map(Some).map_err(|InvalidSchema { line, column, reason }| TemplateError::At {
        path: path.to_owned(),
        line,
        column,
        reason,
    })
}

fn archive(directory: &Path) -> Result<Bytes, TemplateError> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.mode(tar::HeaderMode::Deterministic);
    let mut room = MAX_TEMPLATE_BYTES;
    append_directory(&mut builder, directory, Path::new(""), &mut room)?;
    builder.into_inner().map(Bytes::from).map_err(|source| TemplateError::Read { path: directory.to_owned(), source })
}

/// Appends the content of a directory in the order of names, so that equal templates give equal archives.
fn append_directory(
    builder: &mut tar::Builder<Vec<u8>>,
    root: &Path,
    relative: &Path,
    room: &mut u64,
) -> Result<(), TemplateError> {
    let directory = root.join(relative);
    let failed = |path: &Path, source| TemplateError::Read { path: path.to_owned(), source };
    let mut entries = std::fs::read_dir(&directory)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| failed(&directory, source))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let relative = relative.join(entry.file_name());
        if relative == Path::new(settings::FILE) {
            continue;
        }
        let metadata = path.symlink_metadata().map_err(|source| failed(&path, source))?;
        *room = room.checked_sub(metadata.len()).ok_or_else(|| TemplateError::TooLarge(path.clone()))?;
        let mut header = tar::Header::new_gnu();
        header.set_metadata_in_mode(&metadata, tar::HeaderMode::Deterministic);
        header.set_uid(SANDBOX_USER);
        header.set_gid(SANDBOX_USER);
        // People see the modification time beside the agent's own files.
        let changed = metadata.modified().ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        header.set_mtime(changed.unwrap_or_default().as_secs());
        let appended = if metadata.is_dir() {
            builder.append_data(&mut header, &relative, io::empty())
        } else if metadata.is_symlink() {
            std::fs::read_link(&path).and_then(|target| builder.append_link(&mut header, &relative, target))
        } else if metadata.is_file() {
            std::fs::File::open(&path).and_then(|file| builder.append_data(&mut header, &relative, file))
        } else {
            // Sockets and devices are not part of a template.
            continue;
        };
        appended.map_err(|source| failed(&path, source))?;
        if metadata.is_dir() {
            append_directory(builder, root, &relative, room)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
