//! The data directory: its owner, access, durability and free space.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::unistd::geteuid;
use tempfile::TempDir;

use super::check::{Check, in_words};
use super::place::{self, Found};

/// The duration of an fsync that counts as slow. Every accepted task and every batch of events waits for one. A local disk takes
/// 0.1 to 10 ms.
const SLOW_FSYNC: Duration = Duration::from_millis(25);
const FSYNCS: usize = 5;

/// The free space below which tasks are soon refused with 507.
const LITTLE_ROOM: u64 = 1 << 30;
/// The free space below which the database's log does not fit.
const NO_ROOM: u64 = 64 << 20;

pub(super) struct DataDir {
    pub(super) checks: Vec<Check>,
    /// A directory for tests on the same file system. `None`: the data directory cannot be written.
    pub(super) scratch: Option<TempDir>,
}

pub(super) fn look(path: &Path) -> DataDir {
    let (check, scratch) = directory(path);
    let mut checks = vec![check];
    if let Some(scratch) = &scratch {
        checks.push(durable(scratch.path()));
    }
    checks.push(room(path));
    DataDir { checks, scratch }
}

fn directory(path: &Path) -> (Check, Option<TempDir>) {
    const NAME: &str = "data-dir";
    let (shown, us) = (path.display(), geteuid().as_raw());
    let unusable = |why: String| {
        let remedy = format!("make DATA_DIR a directory that user {us} may write to, or set it to another one");
        (Check::fail(NAME, why, remedy), None)
    };
    let found = match place::find(path) {
        Ok(Found::SomethingElse) => return unusable(format!("{shown} is not a directory")),
        Ok(found) => found,
        Err(error) => return unusable(format!("{shown} cannot be looked at: {error}")),
    };
    let scratch = match place::scratch(path) {
        Ok(scratch) => scratch,
        // The complete message would name the test file instead of the directory.
        Err(error) => return unusable(format!("{shown} cannot be written to: {}", error.kind())),
    };
    let check = match found {
        Found::Directory { uid, .. } if uid != us => Check::warn(
            NAME,
            format!("{shown} belongs to user {uid}, and this runs as user {us}"),
            format!("run the server as user {uid}, or `chown -R {us} {shown}`"),
        ),
        Found::Directory { mode, .. } if mode & 0o077 != 0 => Check::warn(
            NAME,
            format!("{shown} has mode {mode:04o}, so others can look into it"),
            format!("`chmod 700 {shown}`"),
        ),
        Found::Directory { .. } => Check::ok(NAME, format!("{shown} can be written to and is ours alone")),
        Found::Nothing | Found::SomethingElse => {
            Check::ok(NAME, format!("{shown} does not exist yet and can be created"))
        }
    };
    (check, Some(scratch))
}

fn durable(scratch: &Path) -> Check {
    const NAME: &str = "fsync";
    match median_fsync(scratch) {
        Ok(taken) => judge_fsync(taken),
        Err(error) => Check::fail(
            NAME,
            format!("a write to DATA_DIR cannot be made durable: {}", in_words(&error)),
            "set DATA_DIR to a directory on a local disk that works",
        ),
    }
}

fn judge_fsync(taken: Duration) -> Check {
    const NAME: &str = "fsync";
    let detail = format!("a write is durable after {:.1} ms", taken.as_secs_f64() * 1000.0);
    if taken > SLOW_FSYNC {
        Check::warn(
            NAME,
            format!("{detail}, which every accepted task and every batch of events waits for"),
            "set DATA_DIR to a directory on a faster local disk",
        )
    } else {
        Check::ok(NAME, detail)
    }
}

/// Writes one page after another, like the database writes its log.
fn median_fsync(scratch: &Path) -> io::Result<Duration> {
    let mut file = File::create(scratch.join("fsync"))?;
    let mut times = Vec::with_capacity(FSYNCS);
    for _ in 0..FSYNCS {
        let began = Instant::now();
        file.write_all(&[0x5a; 8192])?;
        file.sync_all()?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[FSYNCS / 2])
}

fn room(path: &Path) -> Check {
    const NAME: &str = "disk";
    let free = place::nearest(path).and_then(|path| Ok(nix::sys::statvfs::statvfs(&path)?));
    match free {
        Ok(disk) => judge_room(disk.blocks_available().saturating_mul(disk.fragment_size())),
        Err(error) => {
            Check::warn(NAME, format!("could not determine the free space of DATA_DIR: {error}"), "check it with `df`")
        }
    }
}

fn judge_room(bytes: u64) -> Check {
    const NAME: &str = "disk";
    const REMEDY: &str = "make room on the disk of DATA_DIR, or lower EVENT_RETENTION";
    let detail = if bytes < LITTLE_ROOM {
        format!("{} MiB are free for DATA_DIR", bytes >> 20)
    } else {
        format!("{} GiB are free for DATA_DIR", bytes >> 30)
    };
    match bytes {
        ..NO_ROOM => Check::fail(NAME, detail, REMEDY),
        NO_ROOM..LITTLE_ROOM => Check::warn(NAME, detail, REMEDY),
        LITTLE_ROOM.. => Check::ok(NAME, detail),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::check::Status;

    #[test]
    fn room_and_speed_have_bounds() {
        assert_eq!(super::judge_room(10 << 20).status, Status::Fail);
        let little = super::judge_room(500 << 20);
        assert_eq!((little.status, little.detail.as_str()), (Status::Warn, "500 MiB are free for DATA_DIR"));
        assert_eq!(super::judge_room(3 << 30).detail, "3 GiB are free for DATA_DIR");
        assert_eq!(super::judge_fsync(Duration::from_micros(1234)).detail, "a write is durable after 1.2 ms");
        assert_eq!(super::judge_fsync(Duration::from_millis(40)).status, Status::Warn);
    }

    #[test]
    fn a_file_is_no_data_directory() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        std::fs::write(&file, "").unwrap();
        for path in [file.clone(), file.join("below")] {
            let found = super::look(&path);
            assert_eq!(found.checks[0].status, Status::Fail, "{:?}", found.checks);
            assert!(found.scratch.is_none());
        }
        assert_eq!(super::look(&base.path().join("new")).checks[0].status, Status::Ok);
    }
}
