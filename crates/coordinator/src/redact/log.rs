//! The server's own log.

use std::io::{self, Write};
use std::sync::Arc;

use tracing_subscriber::fmt::MakeWriter;

use super::Redactor;

/// Writes to stderr what is masked. A log line is written at once, so no secret is cut over two writes.
#[derive(Clone, Debug)]
pub struct LogWriter(pub Arc<Redactor>);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.text(&String::from_utf8_lossy(bytes)) {
            Some(masked) => io::stderr().write_all(masked.as_bytes())?,
            None => io::stderr().write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = LogWriter;

    fn make_writer(&self) -> LogWriter {
        self.clone()
    }
}
