//! The lines of a process in files, and their shapes.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::shapes::Shapes;

/// Records the processes of one fact: `FACT.ndjson`, `FACT_2.ndjson`, …
pub(crate) struct Recorder {
    fact: &'static str,
    directory: Option<PathBuf>,
    shapes: Arc<Mutex<Shapes>>,
    /// Paths of this machine, and the names that replace them, those of a sandbox.
    names: Vec<(String, &'static str)>,
    processes: AtomicU32,
}

/// Records one process.
pub(crate) struct Recording {
    files: Option<Mutex<(File, File)>>,
    shapes: Arc<Mutex<Shapes>>,
    names: Vec<(String, &'static str)>,
}

impl Recorder {
    pub(crate) fn new(fact: &'static str, directory: Option<&Path>, shapes: &Arc<Mutex<Shapes>>) -> Self {
        Recorder {
            fact,
            directory: directory.map(Path::to_owned),
            shapes: Arc::clone(shapes),
            names: Vec::new(),
            processes: AtomicU32::new(0),
        }
    }

    pub(crate) fn renaming(mut self, names: &[(String, &'static str)]) -> Self {
        self.names = names.to_vec();
        self
    }

    pub(crate) fn begin(&self) -> Result<Recording> {
        let number = self.processes.fetch_add(1, Ordering::Relaxed) + 1;
        let name = if number == 1 { self.fact.to_owned() } else { format!("{}_{number}", self.fact) };
        let files = self.directory.as_ref().map(|directory| {
            fs::create_dir_all(directory)?;
            let [output, input] =
                ["ndjson", "stdin.ndjson"].map(|end| File::create(directory.join(format!("{name}.{end}"))));
            Ok::<_, std::io::Error>(Mutex::new((output?, input?)))
        });
        let files = files.transpose().context("could not create the recording")?;
        Ok(Recording { files, shapes: Arc::clone(&self.shapes), names: self.names.clone() })
    }
}

impl Recording {
    pub(crate) fn output(&self, line: &str, value: &Value) {
        self.shapes.lock().unwrap_or_else(PoisonError::into_inner).add_line(line, value);
        self.write(|(output, _), text| output.write_all(text), &format!("{line}\n"));
    }

    pub(crate) fn input(&self, line: &str) {
        self.write(|(_, input), text| input.write_all(text), line);
    }

    fn write(&self, write: impl FnOnce(&mut (File, File), &[u8]) -> std::io::Result<()>, text: &str) {
        let Some(files) = &self.files else { return };
        let text = self.names.iter().fold(text.to_owned(), |text, (path, name)| text.replace(path, name));
        // A recording is for people; a full disk fails the fact elsewhere.
        write(&mut files.lock().unwrap_or_else(PoisonError::into_inner), text.as_bytes()).ok();
    }
}
