//! Writes an export to its target, completely or not at all.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tempfile::NamedTempFile;

use super::super::exit::Misuse;

pub(super) enum Target {
    Stdout,
    File { path: PathBuf, part: Box<NamedTempFile>, force: bool },
}

impl Target {
    pub(super) fn open(path: Option<&Path>, force: bool) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Target::Stdout) };
        if path.exists() && !force {
            return Err(Misuse(format!("{} already exists; --force overwrites it", path.display())).into());
        }
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let part = NamedTempFile::new_in(directory).with_context(|| format!("could not write {}", path.display()))?;
        Ok(Target::File { path: path.to_owned(), part: Box::new(part), force })
    }

    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        self.flush()?;
        match self {
            Target::Stdout => Ok(()),
            Target::File { path, part, force } => {
                let put = if force { part.persist(&path) } else { part.persist_noclobber(&path) };
                put.map(drop).with_context(|| format!("could not write {}", path.display()))
            }
        }
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Target::Stdout => io::stdout().write(bytes),
            Target::File { part, .. } => part.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Target::Stdout => io::stdout().flush(),
            Target::File { part, .. } => part.flush(),
        }
    }
}
