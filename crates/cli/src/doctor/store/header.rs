//! The schema version of a database that is not opened: opening one in WAL mode makes files, even for reading.
//! The format is described at sqlite.org/fileformat2.html.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

const HEADER_BYTES: usize = 100;
/// Where `user_version` is in the header, which is where the first page begins.
const USER_VERSION: std::ops::Range<usize> = 60..64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schema {
    None,
    Version(u32),
    Foreign,
}

pub(super) fn read(database: &Path) -> io::Result<Schema> {
    let file = match File::open(database) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Ok(Schema::None),
        Err(error) => return Err(error),
    };
    let mut header = Vec::new();
    file.take(HEADER_BYTES as u64).read_to_end(&mut header)?;
    let mut log = OsString::from(database);
    log.push("-wal");
    // What was committed since the last checkpoint is only there; after a kill that may be everything.
    match File::open(&log).and_then(|log| newest_in_log(&log)) {
        Ok(Some(newest)) => Ok(parse(&newest)),
        Ok(None) => Ok(parse(&header)),
        Err(error) if is_missing(&error) => Ok(parse(&header)),
        Err(error) => Err(error),
    }
}

/// Also when DATA_DIR itself is no directory, which is another check's.
pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn parse(header: &[u8]) -> Schema {
    if header.is_empty() {
        return Schema::None;
    }
    if header.len() < HEADER_BYTES || !header.starts_with(b"SQLite format 3\0") {
        return Schema::Foreign;
    }
    Schema::Version(word(&header[USER_VERSION]))
}

/// The beginning of the first page, as the last commit in a write-ahead log left it. Frames are told from those of an
/// earlier log by their salts; their checksums are not looked at, since a torn end holds no commit worth telling of.
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
        // The size of the database after a commit; 0 in all other frames.
        if word(&frame[4..8]) != 0 {
            committed = seen;
        }
        at += FRAME_HEADER + u64::from(page_size);
    }
    Ok(committed)
}

/// `None` where the file ends before.
fn read_at<const N: usize>(file: &File, at: u64) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    match file.read_exact_at(&mut bytes, at) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Four bytes, the highest first.
fn word(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::fs::copy;

    use super::{Schema, parse, read};
    use store::{Store, StoreOptions};

    #[test]
    fn a_header_is_known_by_its_first_bytes() {
        let mut header = [0; 100];
        header[..16].copy_from_slice(b"SQLite format 3\0");
        header[60..64].copy_from_slice(&7_u32.to_be_bytes());
        assert_eq!(parse(&header), Schema::Version(7));
        assert_eq!(parse(&[]), Schema::None);
        assert_eq!(parse(&header[..64]), Schema::Foreign);
        header[0] = b'X';
        assert_eq!(parse(&header), Schema::Foreign);
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
        let closed = read(&running.join("claude-runner.db")).unwrap();
        assert!(matches!(closed, Schema::Version(1..)), "{closed:?}");
        assert_eq!(read(&killed).unwrap(), closed);
        assert_ne!(without_log, closed, "the log was not needed");
    }
}
