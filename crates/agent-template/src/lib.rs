//! Agent templates: the directory that is copied into every new workspace and says what the agent is.

mod catalog;
pub mod output;
mod settings;

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use domain::agent::{AgentName, InvalidAgentName};
use tokio::task::JoinHandle;

use crate::output::OutputSchema;

pub use catalog::{AgentEntry, Agents};
pub use settings::{AgentSettings, McpServer, PermissionMode};

/// What makes a directory a template.
const INSTRUCTIONS: &str = "AGENTS.md";

/// The user inside a sandbox.
pub const SANDBOX_USER: u64 = 10_001;

/// A template is instructions and small tools; anything larger belongs into an image.
const MAX_TEMPLATE_BYTES: u64 = 64 * 1024 * 1024;

/// A template as it was read from its directory.
#[derive(Debug)]
pub struct AgentTemplate {
    pub name: AgentName,
    pub settings: AgentSettings,
    /// AGENTS.md and, after a rule, OUTPUT.md.
    pub system_prompt: String,
    pub output_schema: Option<OutputSchema>,
    /// The whole directory but `agent.toml` as a tar archive, owned by the sandbox's user.
    pub archive: Bytes,
}

#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error(
        "{} has no AGENTS.md; AGENT_DIR must name a directory with one, or with directories that have one each",
        .0.display()
    )]
    NoInstructions(PathBuf),
    #[error("{}: {source}", path.display())]
    Name { path: PathBuf, source: InvalidAgentName },
    #[error(
        "{} has several agents and none is the default; put `default = true` into the agent.toml of one, or call one \
         `default`{problems}",
        directory.display()
    )]
    NoDefault { directory: PathBuf, problems: String },
    #[error("{} and {} both say `default = true`; only one may", one.display(), other.display())]
    TwoDefaults { one: PathBuf, other: PathBuf },
    #[error("{} has no agent `{name}`; there are {known}", directory.display())]
    Unknown { name: AgentName, directory: PathBuf, known: String },
    #[error("{}:{line}:{column}: {reason}", path.display())]
    Settings { path: PathBuf, line: usize, column: usize, reason: String },
    #[error("could not read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {reason}", path.display())]
    Schema { path: PathBuf, reason: String },
    #[error("{} holds more than {} MiB; put large files into the image", .0.display(), MAX_TEMPLATE_BYTES >> 20)]
    TooLarge(PathBuf),
}

impl AgentTemplate {
    /// The template of that name, or the default one, as AGENT_DIR has it now; beside what else runs.
    pub async fn read(directory: PathBuf, name: Option<AgentName>) -> Result<Self, TemplateError> {
        let read = move || {
            let agents = Agents::load(&directory)?;
            let name = name.as_ref().unwrap_or(agents.default_name());
            agents.find(name).ok_or_else(|| agents.unknown(name))?.load()
        };
        unless_shut_down(tokio::task::spawn_blocking(read)).await
    }

    fn load(name: AgentName, directory: &Path) -> Result<Self, TemplateError> {
        let mut system_prompt = read_optional(&directory.join(INSTRUCTIONS))?
            .ok_or_else(|| TemplateError::NoInstructions(directory.to_owned()))?;
        let settings = AgentSettings::load(directory)?;
        if let Some(output) = read_optional(&directory.join("OUTPUT.md"))? {
            system_prompt.push_str("\n\n---\n\n");
            system_prompt.push_str(&output);
        }
        let output_schema = load_schema(&directory.join("OUTPUT.schema.json"))?;
        let archive = archive(directory)?;
        Ok(AgentTemplate { name, settings, system_prompt, output_schema, archive })
    }

    /// Whether a sandbox made with one is as if it was made with the other.
    pub fn is_same(&self, other: &AgentTemplate) -> bool {
        self.name == other.name && self.settings == other.settings && self.archive == other.archive
    }

    /// Instructions and an empty workspace.
    pub fn of_instructions(system_prompt: &str) -> Self {
        // Two blocks of zeros end a tar archive.
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

/// What a thread that may block came to.
async fn unless_shut_down<T>(blocking: JoinHandle<T>) -> T {
    match blocking.await {
        Ok(value) => value,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and with it whoever waits here.
            Err(_) => std::future::pending().await,
        },
    }
}

fn read_optional(path: &Path) -> Result<Option<String>, TemplateError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TemplateError::Read { path: path.to_owned(), source }),
    }
}

fn load_schema(path: &Path) -> Result<Option<OutputSchema>, TemplateError> {
    let Some(text) = read_optional(path)? else { return Ok(None) };
    let schema = OutputSchema::compile(&text);
    schema.map(Some).map_err(|reason| TemplateError::Schema { path: path.to_owned(), reason })
}

fn archive(directory: &Path) -> Result<Bytes, TemplateError> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.mode(tar::HeaderMode::Deterministic);
    let mut room = MAX_TEMPLATE_BYTES;
    append_directory(&mut builder, directory, Path::new(""), &mut room)?;
    builder.into_inner().map(Bytes::from).map_err(|source| TemplateError::Read { path: directory.to_owned(), source })
}

/// Appends what is in a directory, in the order of the names so that equal templates give equal archives.
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
        *room = room.checked_sub(metadata.len()).ok_or_else(|| TemplateError::TooLarge(root.to_owned()))?;
        let mut header = tar::Header::new_gnu();
        header.set_metadata_in_mode(&metadata, tar::HeaderMode::Deterministic);
        header.set_uid(SANDBOX_USER);
        header.set_gid(SANDBOX_USER);
        // People see it beside the agent's own files.
        let changed = metadata.modified().ok().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        header.set_mtime(changed.unwrap_or_default().as_secs());
        let appended = if metadata.is_dir() {
            builder.append_data(&mut header, &relative, io::empty())
        } else if metadata.is_symlink() {
            std::fs::read_link(&path).and_then(|target| builder.append_link(&mut header, &relative, target))
        } else if metadata.is_file() {
            std::fs::File::open(&path).and_then(|file| builder.append_data(&mut header, &relative, file))
        } else {
            // A socket or a device is no part of a template.
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
