//! The schema version of a database that is not opened. Opening a database in WAL mode creates files, even for reading.
//! The format is described at sqlite.org/fileformat2.html.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::StoreError;
use super::data_dir::DataDir;

const HEADER_BYTES: usize = 100;
/// The place of `user_version` in the header, with which the first page starts.
const USER_VERSION: std::ops::Range<usize> = 60..64;

/// The schema version of the database in a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SchemaVersion {
    /// There is no database, or an empty file.
    Missing,
    /// 0 if the database has no tables yet. [`SCHEMA_VERSION`](crate::SCHEMA_VERSION) is the newest that this program
    /// supports.
    Version(u32),
    /// The file is not an SQLite database.
    Foreign,
}

/// Reads the schema version of a data directory. It opens no database, takes no lock and creates no file, so a server may
/// run on the directory.
pub fn schema_version(data_dir: &Path) -> Result<SchemaVersion, StoreError> {
    version_of(&data_dir.join(DataDir::DATABASE))
}

/// The same as [`schema_version`], of a database.
pub(super) fn version_of(database: &Path) -> Result<SchemaVersion, StoreError> {
    read(database).map_err(StoreError::file(database))
}

fn read(database: &Path) -> io::Result<SchemaVersion> {
    let file = match File::open(database) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Ok(SchemaVersion::Missing),
        Err(error) => return Err(error),
    };
    let mut header = Vec::new();
    file.take(HEADER_BYTES as u64).read_to_end(&mut header)?;
    let mut log = OsString::from(database);
    log.push("-wal");
    // The WAL contains every commit since the last checkpoint. After a kill that may be all of them.
    match File::open(&log).and_then(|log| newest_in_log(&log)) {
        Ok(Some(newest)) => Ok(parse(&newest)),
        Ok(None) => Ok(parse(&header)),
        Err(error) if is_missing(&error) => Ok(parse(&header)),
        Err(error) => Err(error),
    }
}

/// True if the file does not exist, or if its directory is not a directory.
pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn parse(header: &[u8]) -> SchemaVersion {
    if header.is_empty() {
        return SchemaVersion::Missing;
    }
    if header.len() < HEADER_BYTES || !header.starts_with(b"SQLite format 3\0") {
        return SchemaVersion::Foreign;
    }
    SchemaVersion::Version(word(&header[USER_VERSION]))
}

/// Returns the start of the first page as the last commit in the WAL left it. The salts distinguish its frames from those
/// of an earlier WAL. Checksums are not verified, because an incomplete end contains no commit of interest.
fn newest_in_log(log: &File) -> io::Result<Option<[u8; HEADER_BYTES]>> {
    const FRAME_HEADER: u64 = 24;
    const SIZES: std::ops::RangeInclusive<u32> = 512..=65_536;

    let Some(header) = read_at::<32>(log, 0)? else { return Ok(None) };
    let page_size = word(&header[8..12]);
    if word(&header[..4]) & !1 != 0x377f_0682 || !SIZES.contains(&page_size) {
        return Ok(None);
    }
    let (mut seen, mut committed) = (None, None);
    let mut at = header.len() as u64;
    while let Some(frame) = read_at::<24>(log, at)? {
        if frame[8..16] != header[16..24] {
            break;
        }
        if word(&frame[..4]) == 1 {
            seen = read_at(log, at + FRAME_HEADER)?;
        }
        // A commit frame has the size of the database here; every other frame has 0.
        if word(&frame[4..8]) != 0 {
            committed = seen;
        }
        at += FRAME_HEADER + u64::from(page_size);
    }
    Ok(committed)
}

/// Returns `None` if the file ends earlier.
fn read_at<const N: usize>(file: &File, at: u64) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    match file.read_exact_at(&mut bytes, at) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// A big-endian number of four bytes.
fn word(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::fs::copy;

    use super::{SchemaVersion, parse, read, schema_version};
    use crate::{SCHEMA_VERSION, Store, StoreOptions};

    #[test]
    fn a_header_is_known_by_its_first_bytes() {
        let mut header = [0; 100];
        header[..16].copy_from_slice(b"SQLite format 3\0");
        header[60..64].copy_from_slice(&7_u32.to_be_bytes());
        assert_eq!(parse(&header), SchemaVersion::Version(7));
        assert_eq!(parse(&[]), SchemaVersion::Missing);
        assert_eq!(parse(&header[..64]), SchemaVersion::Foreign);
        header[0] = b'X';
        assert_eq!(parse(&header), SchemaVersion::Foreign);
    }

    #[tokio::test]
    async fn what_a_kill_left_in_the_log_counts() {
        let base = tempfile::tempdir().unwrap();
        let (running, killed) = (base.path().join("running"), base.path().join("killed.db"));
        let store = Store::open(&running, StoreOptions::default()).unwrap();
        copy(running.join("claude-runner.db"), &killed).unwrap();
        let without_log = read(&killed).unwrap();
        copy(running.join("claude-runner.db-wal"), base.path().join("killed.db-wal")).unwrap();
        store.close().await;
        drop(store);
        let closed = schema_version(&running).unwrap();
        assert_eq!(closed, SchemaVersion::Version(SCHEMA_VERSION));
        assert_eq!(read(&killed).unwrap(), closed);
        assert_ne!(without_log, closed, "the log was not needed");
    }
}
