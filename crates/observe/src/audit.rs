//! The audit log: who called, what for, what came of it; and what sandboxes asked of the outside.
//!
//! Lines are `tracing` events with the target `audit`, so that whoever has something to say needs no handle. They go to a file of
//! their own as JSON, one a line, appended and never changed; a message, an `env` value or a secret is never in one.

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

/// The target of its events.
pub const TARGET: &str = "audit";

/// A file that has grown to this is put aside under the time as its name; nothing removes it but the operator.
const MAX_BYTES: u64 = 256 << 20;

/// Where the lines go.
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
    /// Opens it for appending; it is made (0600) where it is not there.
    pub fn open(path: &Path, redactor: Arc<Redactor>) -> io::Result<AuditFile> {
        let file = append_to(path)?;
        let bytes = file.metadata()?.len();
        Ok(AuditFile { open: Arc::new(Mutex::new(Open { path: path.to_owned(), file, bytes })), redactor })
    }
}

/// Takes the events with the audit target, whatever the log's own filter says.
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
        // A path or a host's name may hold what somebody put there by mistake.
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
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;
    use std::sync::Arc;

    use super::{AuditFile, MAX_BYTES};

    #[test]
    fn lines_are_appended_and_a_full_file_is_put_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        std::fs::write(&path, "before\n").unwrap();
        let mut file = AuditFile::open(&path, Arc::default()).unwrap();
        file.write_all(b"one\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\none\n");
        file.open.lock().unwrap().bytes = MAX_BYTES;
        file.write_all(b"two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "two\n");
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }
}
