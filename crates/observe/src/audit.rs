//! The audit log: every call with its caller, its subject and its result, and every request of a sandbox to the
//! outside.
//!
//! The lines are `tracing` events with the target `audit`, so that no crate needs a handle to write one. They go to a
//! separate file as JSON, one per line. The file is only appended to. A message, an `env` value or a secret never
//! appears in it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::registry::LookupSpan;

use crate::redact::Redactor;

/// The target of audit events.
pub const TARGET: &str = "audit";

/// The size at which the file is renamed. The new name contains the time. Only the operator removes these files.
const MAX_BYTES: u64 = 256 << 20;

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
}

impl AuditFile {
    /// Opens the file for appending. A missing file is created with mode 0600.
    pub fn open(path: &Path, redactor: Arc<Redactor>) -> io::Result<AuditFile> {
        let file = append_to(path)?;
        let bytes = file.metadata()?.len();
        Ok(AuditFile { open: Arc::new(Mutex::new(Open { path: path.to_owned(), file, bytes })), redactor })
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

impl Write for AuditFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // A path or a host name may contain a secret by mistake.
        let text = self.redactor.log_line(line);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.bytes >= MAX_BYTES {
            let aside = open.path.with_extension(format!("{}.log", Timestamp::now().as_millisecond()));
            std::fs::rename(&open.path, aside)?;
            (open.file, open.bytes) = (append_to(&open.path)?, 0);
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
