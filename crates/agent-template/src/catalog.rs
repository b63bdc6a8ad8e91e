//! The agent templates in AGENT_DIR. AGENT_DIR is itself a template, or each of its directories is one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use domain::agent::AgentName;

use super::settings::FILE;
use super::{AgentSettings, AgentTemplate, INSTRUCTIONS, TemplateError, Texts, unless_shut_down, warnings};

/// The content of AGENT_DIR at one moment. Only the templates' small files have been read.
#[derive(Debug)]
pub struct Agents {
    directory: PathBuf,
    /// Sorted by name; never empty.
    entries: Vec<AgentEntry>,
    default: AgentName,
}

/// One template of AGENT_DIR.
#[derive(Debug)]
pub struct AgentEntry {
    pub name: AgentName,
    directory: PathBuf,
    /// The template's settings. It is an error if a file that the coordinator reads itself is missing or invalid.
    pub settings: Result<Arc<AgentSettings>, TemplateError>,
}

/// A template and the result of its check.
#[derive(Debug)]
pub struct CheckedAgent {
    pub entry: AgentEntry,
    /// The reason why the template cannot be used. `None`: it can.
    pub problem: Option<String>,
    /// A sentence for each file that does not work in a sandbox.
    pub warnings: Vec<String>,
}

impl Agents {
    /// Runs [`Agents::load`] on a thread that may block.
    pub async fn read(directory: PathBuf) -> Result<Self, TemplateError> {
        unless_shut_down(tokio::task::spawn_blocking(move || Agents::load(&directory))).await
    }

    /// Reads AGENT_DIR. Only an error of the whole directory fails; an error of one template is in its entry.
    pub fn load(directory: &Path) -> Result<Self, TemplateError> {
        if directory.join(INSTRUCTIONS).exists() {
            let name = AgentName::default();
            let entry = AgentEntry::look(name.clone(), directory.to_owned());
            return Ok(Agents { directory: directory.to_owned(), entries: vec![entry], default: name });
        }
        let entries = entries(directory)?;
        if !entries.iter().any(|entry| entry.directory.join(INSTRUCTIONS).exists()) {
            return Err(TemplateError::NoInstructions(directory.to_owned()));
        }
        let default = find_default(directory, &entries)?;
        Ok(Agents { directory: directory.to_owned(), entries, default })
    }

    pub fn entries(&self) -> &[AgentEntry] {
        &self.entries
    }

    /// The agent of sessions that name none.
    pub fn default_name(&self) -> &AgentName {
        &self.default
    }

    /// Finds an agent. `default` also names the default agent if no agent has that name: sessions that were created
    /// when AGENT_DIR was a single template use it.
    pub fn find(&self, name: &AgentName) -> Option<&AgentEntry> {
        let named = |wanted: &AgentName| self.entries.iter().find(|entry| entry.name == *wanted);
        named(name).or_else(|| if name.is_alias() { named(&self.default) } else { None })
    }

    /// The names of all agents, for an error message.
    pub fn names(&self) -> String {
        self.entries.iter().map(|entry| format!("`{}`", entry.name)).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn unknown(&self, name: &AgentName) -> TemplateError {
        TemplateError::Unknown { name: name.clone(), directory: self.directory.clone(), known: self.names() }
    }

    /// Checks a complete template with all its files. If it passes, new sessions can use it. Returns a sentence for each file that
    /// does not work in a sandbox.
    pub fn check(&self, entry: &AgentEntry) -> Result<Vec<String>, TemplateError> {
        AgentTemplate::load(entry.name.clone(), &entry.directory)?;
        warnings::of(&entry.directory)
    }

    /// Checks every template on a thread that may block.
    pub async fn checked(self) -> Vec<CheckedAgent> {
        let checked = tokio::task::spawn_blocking(move || {
            let outcomes: Vec<(Option<String>, Vec<String>)> = self
                .entries
                .iter()
                .map(|entry| match self.check(entry) {
                    Ok(warnings) => (None, warnings.iter().map(|warning| self.without_directory(warning)).collect()),
                    Err(error) => (Some(self.public_message(&error)), Vec::new()),
                })
                .collect();
            let entries = self.entries.into_iter().zip(outcomes);
            entries.map(|(entry, (problem, warnings))| CheckedAgent { entry, problem, warnings }).collect()
        });
        unless_shut_down(checked).await
    }

    /// The text of an error for API callers: without the directories of the host.
    pub fn public_message(&self, error: &TemplateError) -> String {
        self.without_directory(&domain::error_chain(error))
    }

    fn without_directory(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.directory.display()), "")
    }
}

impl AgentEntry {
    fn look(name: AgentName, directory: PathBuf) -> Self {
        let settings = Texts::read(&directory).map(|texts| Arc::new(texts.settings));
        AgentEntry { name, directory, settings }
    }

    pub(super) fn load(&self) -> Result<AgentTemplate, TemplateError> {
        AgentTemplate::load(self.name.clone(), &self.directory)
    }
}

/// Reads every directory that is not hidden as a template.
fn entries(directory: &Path) -> Result<Vec<AgentEntry>, TemplateError> {
    let failed = |source| TemplateError::Read { path: directory.to_owned(), source };
    let found = match std::fs::read_dir(directory) {
        Ok(found) => found.collect::<Result<Vec<_>, _>>().map_err(failed)?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(failed(error)),
    };
    let mut entries = Vec::new();
    for path in found.into_iter().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            let parsed = name.parse().map_err(|source| TemplateError::Name { path: path.clone(), source })?;
            entries.push(AgentEntry::look(parsed, path));
        }
    }
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(entries)
}

/// Chooses the entry with `default = true`, else the one named `default`, else the only one.
fn find_default(directory: &Path, entries: &[AgentEntry]) -> Result<AgentName, TemplateError> {
    let says_so = |entry: &&AgentEntry| entry.settings.as_ref().is_ok_and(|settings| settings.is_default);
    let mut chosen = entries.iter().filter(says_so);
    if let (Some(one), Some(other)) = (chosen.next(), chosen.next()) {
        let [one, other] = [one, other].map(|entry| entry.directory.join(FILE));
        return Err(TemplateError::TwoDefaults { one, other });
    }
    let chosen = entries.iter().find(says_so);
    let named = || entries.iter().find(|entry| entry.name.is_alias());
    let only = || if let [only] = entries { Some(only) } else { None };
    let broken = entries.iter().filter_map(|entry| entry.settings.as_ref().err());
    let problems: Vec<String> = broken.map(|error| format!("; {error}")).collect();
    chosen.or_else(named).or_else(only).map(|entry| entry.name.clone()).ok_or_else(|| TemplateError::NoDefault {
        directory: directory.to_owned(),
        // A template that cannot be read may have been meant as the default.
        problems: problems.concat(),
    })
}
