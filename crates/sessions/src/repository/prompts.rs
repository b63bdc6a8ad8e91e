//! The instructions for the agents of repository tasks: files of this crate, or the operator's.

use std::io;
use std::path::{Path, PathBuf};

use domain::plain;
use tracing::warn;

const ORCHESTRATOR: &str = include_str!("../../prompts/orchestrator.md");
const WORKER: &str = include_str!("../../prompts/worker.md");

/// The directory of the operator's prompts. They are read for each task.
#[derive(Clone, Debug, Default)]
pub struct Prompts {
    /// PROMPT_DIR: its `orchestrator.md` and `worker.md` replace the built-in ones; either may be missing.
    pub directory: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
#[error("could not read {} (PROMPT_DIR)", path.display())]
pub struct PromptError {
    path: PathBuf,
    source: io::Error,
}

/// A file that was probably meant to be `name`.
async fn misspelt(directory: &Path, name: &str) -> Option<String> {
    let mut entries = tokio::fs::read_dir(directory).await.ok()?;
    while let Ok(Some(entry)) = entries.next_entry().await {
        let found = entry.file_name().to_string_lossy().into_owned();
        if plain::is_misspelt(&found, name) {
            return Some(found);
        }
    }
    None
}

impl Prompts {
    /// Returns the instructions of the agent that chooses the repository.
    pub async fn orchestrator(&self) -> Result<String, PromptError> {
        self.read("orchestrator.md", ORCHESTRATOR).await
    }

    /// Returns the instructions of the agent that works in the repository.
    pub async fn worker(&self) -> Result<String, PromptError> {
        self.read("worker.md", WORKER).await
    }

    async fn read(&self, name: &str, ours: &str) -> Result<String, PromptError> {
        let Some(directory) = &self.directory else { return Ok(ours.to_owned()) };
        let path = directory.join(name);
        match tokio::fs::read_to_string(&path).await {
            Ok(text) => Ok(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(other) = misspelt(directory, name).await {
                    warn!(
                        "{} is not read (PROMPT_DIR): the name must be {name}; the built-in instructions are used",
                        directory.join(other).display()
                    );
                }
                Ok(ours.to_owned())
            }
            Err(source) => Err(PromptError { path, source }),
        }
    }
}
