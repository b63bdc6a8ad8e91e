//! Faults of DATA_DIR: a copy beside the live directory, a lost database, damaged rows.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use rand::RngExt as _;
use tokio::time::sleep;

use crate::bounds::{random, short_or_long, within};
use crate::client::Work;
use crate::load::Load;
use crate::recovery;
use crate::row::Row;
use crate::server::{Server, Setup};

fn work(name: &str, number: usize) -> Work {
    Work::slow(name, 10 + 10 * (number % 3))
}

/// Copies the files while the server writes to them.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => copy(&entry.path(), &target),
            kind if kind.is_file() => drop(std::fs::copy(entry.path(), target).unwrap()),
            _ => {}
        }
    }
}

/// Starts a second server with this DATA_DIR and expects it to refuse.
async fn start_beside(server: &Server, data: &Path) {
    let run = data.with_extension("run");
    let mut second = server.second(&[("DATA_DIR", data), ("RUNTIME_DIR", &run)]);
    let listens = within("the second server ends", second.address()).await;
    assert!(listens.is_none(), "a second server started on {}:\n{}", data.display(), second.log());
    assert!(!second.ended().await.success(), "{}", second.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_beside_the_live_server_destroys_nothing() {
    let copies = short_or_long(4, 20);
    let mut random = random();
    let server = Setup::new().start().await;
    let data = server.data_dir();
    let mut load = Load::start(&server, 3, work);
    load.warmed_up(1).await;
    for number in 0..copies {
        sleep(Duration::from_millis(random.random_range(100..1000))).await;
        let beside = PathBuf::from(format!("{}-{number}", data.display()));
        copy(&data, &beside);
        start_beside(&server, &beside).await;
        // A copy without a database, in which the second server knows no volume.
        std::fs::remove_file(beside.join("claude-runner.db")).unwrap();
        for name in ["claude-runner.db-wal", "claude-runner.db-shm"] {
            // The refused server may have removed the file.
            let _ = std::fs::remove_file(beside.join(name));
        }
        start_beside(&server, &beside).await;
        server.tally.collect(&server.model);
    }
    let history = load.finish(&server).await;
    Row::of(
        "a copy of DATA_DIR is started beside the live server, with and without its database",
        2 * copies,
        &history,
        Vec::new(),
    )
    .report();
    server.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_rows_leave_the_other_sessions_alone() {
    let kills = short_or_long(4, 20);
    let mut random = random();
    let mut server = Setup::new().start().await;
    let client = server.client();
    for number in 0..kills {
        let accepted = client.accept(&format!("damaged-{number}"), &work("damaged", 0)).await;
        client.ended(&accepted.task).await;
    }
    let mut load = Load::start(&server, 3, work);
    load.warmed_up(1).await;
    let mut times = Vec::new();
    for number in 0..kills {
        sleep(Duration::from_millis(random.random_range(100..1000))).await;
        server.tally.collect(&server.model);
        let killed = Timestamp::now();
        server.kill().await;
        damage(&server.data_dir(), &format!("damaged-{number}"));
        let started = Timestamp::now();
        server.start_again().await;
        times.push((killed, started));
    }
    let history = load.finish_with_faults(&server, times.iter().map(|(killed, _)| *killed)).await;
    Row::of(
        "`kill -9`, and a row of another session is damaged",
        kills,
        &history,
        recovery::after_kills(&history, &times),
    )
    .report();
    server.finish().await;
}

/// Damages the record of a session's task, which the server reads at startup.
fn damage(data: &Path, session: &str) {
    let database = rusqlite::Connection::open(data.join("claude-runner.db")).unwrap();
    let damaged = database
        .execute("UPDATE tasks SET request = '{', status = 'queued', finished = NULL WHERE session_id = ?1", [session]);
    assert_eq!(damaged.unwrap(), 1);
}
