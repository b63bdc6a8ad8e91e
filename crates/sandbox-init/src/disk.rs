use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::statvfs::statvfs;
use sandbox_link::frame::UpFrame;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::outbox::Outbox;

/// How often it is looked whether the files have to be measured: a disk that is written at 1 GB/s gets 2 GB more than it
/// may.
const INTERVAL: Duration = Duration::from_secs(2);

/// They are measured at least as often as this, also where the disk has not become fuller: others may have made room on it.
const LONGEST_INTERVAL: Duration = Duration::from_secs(10);

/// The share of the time that measuring may take is one in this many, however many files there are.
const REST: u32 = 20;

/// What any file takes at least: an inode is a bounded thing too.
const LEAST_BYTES: u64 = 4096;

/// Files with several names that are counted once; those beyond it are counted by name.
const MAX_LINKED: usize = 100_000;

/// What a program that was started over the limit may add: its own notes, and what it takes to clean up.
const SLACK_BYTES: u64 = 16 << 20;

/// What a sandbox's files may take on the disk. A watchdog, not a quota: it is noticed afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) bytes: u64,
    pub(crate) paths: Vec<PathBuf>,
}

/// Measures while a program runs, and says so once when it is too much. What is then done is the coordinator's to decide.
pub(crate) async fn watch(limit: Limit, running: Arc<AtomicBool>, outbox: Arc<Outbox>) {
    let mut walk = Walk { roots: limit.paths, closed: HashSet::new() };
    let mut allowed = None;
    let mut last: Option<Look> = None;
    loop {
        let free = walk.free_bytes();
        // The first time before anything runs: what is there then is not the program's doing.
        let due = last.as_ref().is_none_or(|last| running.load(Ordering::Relaxed) && last.is_outdated(free));
        if due {
            let began = Instant::now();
            let Ok((measured, back)) = spawn_blocking(move || (walk.measure(), walk)).await else { return };
            walk = back;
            let allowed = *allowed.get_or_insert_with(|| allowance(limit.bytes, measured.bytes));
            if measured.bytes > allowed || measured.hidden {
                outbox.push([UpFrame::DiskFull { used_bytes: measured.bytes, limit_bytes: limit.bytes }]);
                return;
            }
            // What could not be looked into is looked at again.
            let room = if walk.closed.is_empty() { allowed - measured.bytes } else { 0 };
            last = Some(Look { at: began, free, room });
            sleep(INTERVAL.max(began.elapsed() * REST)).await;
        } else {
            sleep(INTERVAL).await;
        }
    }
}

/// What was found the last time.
struct Look {
    at: Instant,
    /// Of the whole disk.
    free: u64,
    /// What the files could still take.
    room: u64,
}

impl Look {
    /// Whether the files may have become too large since. A disk that lost less than what they may take says no, for a
    /// while; half of it, since others may give back what these take. So an idle session costs next to nothing.
    fn is_outdated(&self, free: u64) -> bool {
        self.room == 0 || self.free.saturating_sub(free) > self.room / 2 || self.at.elapsed() >= LONGEST_INTERVAL
    }
}

/// Who begins over the limit may go on a little, so that it can clean up; never beyond a quarter more.
fn allowance(limit: u64, at_start: u64) -> u64 {
    limit.max(at_start.saturating_add(SLACK_BYTES).min(limit.saturating_add(limit / 4)))
}

struct Walk {
    roots: Vec<PathBuf>,
    /// Directories that could not be read the last time.
    closed: HashSet<PathBuf>,
}

struct Measured {
    bytes: u64,
    /// There is something that cannot be reached: a path longer than the kernel takes.
    hidden: bool,
}

impl Walk {
    /// On the disk of the first root, which the others share. None, where it does not say: then it has lost everything.
    fn free_bytes(&self) -> u64 {
        let disk = self.roots.first().and_then(|root| statvfs(root.as_path()).ok());
        disk.map_or(0, |disk| disk.blocks_available() * disk.fragment_size())
    }

    /// Follows no symbolic link and opens nothing but directories. What changes meanwhile is measured the next time.
    fn measure(&mut self) -> Measured {
        let mut measured = Measured { bytes: 0, hidden: false };
        let (mut linked, mut closed) = (HashSet::new(), HashSet::new());
        let mut directories = self.roots.clone();
        while let Some(directory) = directories.pop() {
            let entries = match fs::read_dir(&directory) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    // Closed for a moment is a program's business, closed for good a place to hide.
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
                // Of the entry itself, by its directory's descriptor: no path is too long for it.
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
