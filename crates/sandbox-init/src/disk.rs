use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use link_transport::Outbox;
use nix::sys::statvfs::statvfs;
use sandbox_link::frame::UpFrame;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

/// The time between two checks of the free space. A disk that is written at 1 GB/s can receive 2 GB above the limit.
const INTERVAL: Duration = Duration::from_secs(2);

/// The maximum time between two measurements. It applies even if the free space has not shrunk, because other sandboxes
/// may have freed space.
const LONGEST_INTERVAL: Duration = Duration::from_secs(10);

/// Measuring takes at most one part in this many of the time, however many files there are.
const REST: u32 = 20;

/// The minimum that every file counts, because inodes are limited too.
const LEAST_BYTES: u64 = 4096;

/// The maximum number of hard-linked files that are counted once. Further ones are counted once per name.
const MAX_LINKED: usize = 100_000;

/// The amount that a program may add if it starts above the limit: its own notes, and what it needs to clean up.
const SLACK_BYTES: u64 = 16 << 20;

/// The disk limit of a sandbox's files. It is a watchdog, not a quota: it detects an excess afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DiskLimit {
    pub(crate) bytes: u64,
    pub(crate) paths: Vec<PathBuf>,
}

/// Measures while a program runs and reports an excess once. The coordinator decides what follows.
pub(crate) async fn watch(limit: DiskLimit, running: Arc<AtomicBool>, outbox: Arc<Outbox<UpFrame>>) {
    let mut walk = Walk { roots: limit.paths, closed: HashSet::new() };
    let mut allowed = None;
    let mut last: Option<Look> = None;
    loop {
        let free = walk.free_bytes();
        // The first measurement comes before anything runs: files that exist by then are not the program's doing.
        let due = last.as_ref().is_none_or(|last| running.load(Ordering::Relaxed) && last.is_outdated(free));
        if due {
            let began = Instant::now();
            let Ok((measured, back)) = spawn_blocking(move || (walk.measure(), walk)).await else { return };
            walk = back;
            let allowed = *allowed.get_or_insert_with(|| disk_budget(limit.bytes, measured.bytes));
            if measured.bytes > allowed || measured.hidden {
                outbox.push([UpFrame::DiskFull { used_bytes: measured.bytes, limit_bytes: limit.bytes }]);
                return;
            }
            // Measure again if a directory could not be read.
            let room = if walk.closed.is_empty() { allowed - measured.bytes } else { 0 };
            last = Some(Look { at: began, free, room });
            sleep(INTERVAL.max(began.elapsed() * REST)).await;
        } else {
            sleep(INTERVAL).await;
        }
    }
}

/// The result of the last measurement.
struct Look {
    at: Instant,
    /// Free bytes of the whole disk.
    free: u64,
    /// Bytes that the files may still grow.
    room: u64,
}

impl Look {
    /// True if the files may have exceeded the limit since the measurement. The files cannot have grown by more than
    /// the disk's free space shrank, unless others freed space meanwhile; so half of the room is the threshold, and
    /// LONGEST_INTERVAL bounds the error. An idle session therefore costs almost nothing.
    fn is_outdated(&self, free: u64) -> bool {
        self.room == 0 || self.free.saturating_sub(free) > self.room / 2 || self.at.elapsed() >= LONGEST_INTERVAL
    }
}

/// Returns the effective limit. A program that starts above the limit may grow by [`SLACK_BYTES`], so that it can clean
/// up, but never beyond 125 % of the limit.
fn disk_budget(limit: u64, at_start: u64) -> u64 {
    limit.max(at_start.saturating_add(SLACK_BYTES).min(limit.saturating_add(limit / 4)))
}

struct Walk {
    roots: Vec<PathBuf>,
    /// Directories that could not be read in the last measurement.
    closed: HashSet<PathBuf>,
}

struct Measured {
    bytes: u64,
    /// Some files cannot be reached because their path is longer than the kernel accepts.
    hidden: bool,
}

impl Walk {
    /// Free bytes of the disk that holds the roots. They share one disk, so the first root is asked. Returns 0 on an
    /// error, as if the disk had lost all its space.
    fn free_bytes(&self) -> u64 {
        let disk = self.roots.first().and_then(|root| statvfs(root.as_path()).ok());
        disk.map_or(0, |disk| disk.blocks_available() * disk.fragment_size())
    }

    /// Adds up the files. It follows no symbolic link and opens nothing but directories. Changes during the walk appear
    /// in the next measurement.
    fn measure(&mut self) -> Measured {
        let mut measured = Measured { bytes: 0, hidden: false };
        let (mut linked, mut closed) = (HashSet::new(), HashSet::new());
        let mut directories = self.roots.clone();
        while let Some(directory) = directories.pop() {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    // A program may close a directory for a moment; a directory that stays closed is a hiding place.
                    if self.closed.contains(&directory) {
                        let _ = fs::set_permissions(&directory, PermissionsExt::from_mode(0o700));
                    }
                    closed.insert(directory);
                    continue;
                }
                Err(error) => {
                    measured.hidden |= error.kind() == io::ErrorKind::InvalidFilename;
                    continue;
                }
            };
            for entry in entries.flatten() {
                // Reads the entry through its directory's descriptor, so no path is too long.
                let Ok(metadata) = entry.metadata() else { continue };
                let first = metadata.nlink() == 1
                    || metadata.is_dir()
                    || linked.len() >= MAX_LINKED
                    || linked.insert((metadata.dev(), metadata.ino()));
                if first {
                    measured.bytes = measured.bytes.saturating_add(LEAST_BYTES.max(metadata.blocks() * 512));
                }
                if metadata.is_dir() {
                    directories.push(entry.path());
                }
            }
        }
        self.closed = closed;
        measured
    }
}

#[cfg(test)]
mod tests;
