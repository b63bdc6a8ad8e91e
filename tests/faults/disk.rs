//! The disk of DATA_DIR becomes full, and later has free space again.

use std::path::{Path, PathBuf};
use std::process::Command;

use tokio::time::{Instant, sleep};

use crate::bounds::{BOUND, PACE, short_or_long};
use crate::check::Findings;
use crate::client::Work;
use crate::history::History;
use crate::row::Row;
use crate::server::Setup;

/// A file system in memory, unmounted on drop. Needs root.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn mount(at: &Path, size: &str) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let options = format!("size={size},mode=0700");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).status().unwrap();
        assert!(status.success(), "a small disk cannot be mounted; the fault tests need root");
        SmallDisk(at.to_owned())
    }

    /// Writes until the disk has no free byte.
    pub(crate) fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("fill")).unwrap();
        let block = [0; 4096];
        while std::io::Write::write_all(&mut file, &block).is_ok() {}
        while std::io::Write::write_all(&mut file, &block[..1]).is_ok() {}
    }

    pub(crate) fn make_room(&self) {
        std::fs::remove_file(self.0.join("fill")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["--lazy"]).arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_accepts_nothing_and_heals() {
    let runs = short_or_long(2, 20);
    let setup = Setup::new();
    let disk = SmallDisk::mount(&setup.directory().join("data"), "16m");
    let mut server = setup.start().await;
    let client = server.client();
    let mut history = History::default();
    let mut recovery = Vec::new();
    for run in 0..runs {
        // One task runs while the disk becomes full, and one waits.
        history.accepted.push(client.accept("s", &Work::slow(&format!("f{run}a"), 20)).await);
        history.accepted.push(client.accept("s", &Work::tool(&format!("f{run}b"))).await);
        disk.fill();
        // The store may still commit into space that it has already allocated; after that, tasks get 507.
        let refused = until_refused(&client, &mut history, run).await;
        assert_eq!((refused.status.as_u16(), &refused.body["code"]), (507, &"disk_full".into()), "{}", refused.body);
        if run % 2 == 1 {
            history.faults.push(jiff::Timestamp::now());
            server.kill().await;
            // A start on a full disk must not destroy data, whether it succeeds or not.
            disk.make_room();
            server.start_again().await;
        } else {
            disk.make_room();
        }
        let begun = Instant::now();
        let accepted = client.accept("s", &Work::slow(&format!("f{run}c"), 3)).await;
        recovery.push(begun.elapsed());
        client.ended(&accepted.task).await;
        history.accepted.push(accepted);
    }
    history.complete(&server).await;
    Row {
        fault: "disk of DATA_DIR full, room again",
        runs,
        tasks: history.accepted.len(),
        findings: Findings::of(&history),
        recovery,
    }
    .report();
    server.finish().await;
    drop(disk);
}

/// Posts tasks until the server refuses one because the disk is full. Accepted tasks go into the history.
async fn until_refused(client: &crate::client::Client, history: &mut History, run: usize) -> crate::client::Answer {
    let begun = Instant::now();
    for number in 0.. {
        let work = Work::slow(&format!("f{run}x{number}"), 1);
        let answer = client.try_submit("s", &work).await.unwrap();
        match answer.status.as_u16() {
            202 => history.accepted.push(work.accepted("s", &answer)),
            _ => return answer,
        }
        assert!(begun.elapsed() < BOUND, "a full disk accepts tasks");
        sleep(PACE).await;
    }
    unreachable!("there are more numbers than that")
}
