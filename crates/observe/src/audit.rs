//! The audit log: every call with its caller, its subject and its result, and every request of a sandbox to the
//! outside.
//!
//! The lines are `tracing` events with the target `audit`, so that no crate needs a handle to write one. They go to a
//! separate file as JSON, one per line. The file is only appended to, and renamed when it is large. A message, an `env`
//! value or a secret never appears in it.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::registry::LookupSpan;

use crate::redact::Redactor;

/// The target of audit events.
pub const TARGET: &str = "audit";

/// The size at which the file is renamed. The new name contains the time, in milliseconds since 1970.
const MAX_BYTES: u64 = 256 << 20;

/// The digits of a time in milliseconds since 1970, from 2001 to 2286.
const TIME_DIGITS: usize = 13;

/// The bounds of the files that were renamed. Without them, a caller or an agent with many requests fills the disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditRetention {
    pub max_age: Option<Duration>,
    /// The size of all files together, with the one that is written to.
    pub max_bytes: Option<u64>,
}

/// The open audit log. It is cheap to clone.
#[derive(Clone, Debug)]
pub struct AuditFile {
    open: Arc<Mutex<Open>>,
    redactor: Arc<Redactor>,
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    bytes: u64,
    retention: AuditRetention,
}

impl AuditFile {
    /// Opens the file for appending. A missing file is created with mode 0600.
    pub fn open(path: &Path, retention: AuditRetention, redactor: Arc<Redactor>) -> io::Result<AuditFile> {
        let file = append_to(path)?;
        let bytes = file.metadata()?.len();
        let open = Open { path: path.to_owned(), file, bytes, retention };
        open.remove_old();
        Ok(AuditFile { open: Arc::new(Mutex::new(open)), redactor })
    }
}

/// The layer that writes events with the audit target, regardless of the log's own filter.
pub fn layer<S>(file: AuditFile) -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_target(false)
        .with_level(false)
        .with_writer(file)
        .with_filter(Targets::new().with_target(TARGET, tracing::Level::INFO))
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

impl Open {
    /// Removes the renamed files beyond the retention, oldest first. One that cannot be removed stays.
    fn remove_old(&self) {
        let AuditRetention { max_age, max_bytes } = self.retention;
        let mut room = max_bytes.map(|bytes| bytes.saturating_sub(MAX_BYTES));
        let now = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
        for (renamed, path) in self.renamed().into_iter().rev() {
            let bytes = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
            let is_old = max_age.is_some_and(|age| Duration::from_millis(now.saturating_sub(renamed)) > age);
            // An older file than one that has no room has none either.
            room = room.map(|room| room.saturating_sub(bytes));
            if is_old || room == Some(0) {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// The renamed files with their times, oldest first.
    fn renamed(&self) -> BTreeMap<u64, PathBuf> {
        let directory = self.path.parent().filter(|directory| !directory.as_os_str().is_empty());
        let Ok(entries) = std::fs::read_dir(directory.unwrap_or(Path::new("."))) else { return BTreeMap::new() };
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let time = |name: &str| {
            let digits = name.strip_prefix(&stem)?.strip_prefix('.')?.strip_suffix(".log")?;
            // Other programs name theirs by a number or a date.
            (digits.len() == TIME_DIGITS).then(|| digits.parse().ok())?
        };
        entries.flatten().filter_map(|entry| Some((time(entry.file_name().to_str()?)?, entry.path()))).collect()
    }
}

impl Write for AuditFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A path or a host name may contain a secret by mistake.
        let text = self.redactor.log_line(line);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.bytes >= MAX_BYTES {
            let aside = open.path.with_extension(format!("{}.log", Timestamp::now().as_millisecond()));
            std::fs::rename(&open.path, aside)?;
            (open.file, open.bytes) = (append_to(&open.path)?, 0);
            open.remove_old();
        }
        open.file.write_all(&text)?;
        open.bytes += text.len() as u64;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for AuditFile {
    type Writer = AuditFile;

    fn make_writer(&'a self) -> AuditFile {
        self.clone()
    }
}

#[cfg(test)]
mod tests;
