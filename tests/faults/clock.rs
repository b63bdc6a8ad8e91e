//! The wall clock jumps. Needs libfaketime, which `scripts/test` and `scripts/faults` install.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rand::RngExt as _;
use tokio::time::sleep;

use crate::bounds::{random, short_or_long};
use crate::client::Work;
use crate::load::Load;
use crate::row::Row;
use crate::server::Setup;

/// Returns the library's variant for programs with threads, at Debian's path.
fn library() -> PathBuf {
    let places = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let library = places.map(|place| place.join("faketime/libfaketimeMT.so.1")).find(|library| library.exists());
    library.expect("libfaketime is not installed (Debian's package: faketime)")
}

/// Sets the clock to this many seconds from the true time. Renaming the file makes the change atomic.
fn jump(file: &Path, seconds: i64) {
    let next = file.with_extension("next");
    std::fs::write(&next, format!("{seconds:+}\n")).unwrap();
    std::fs::rename(next, file).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_ends_nothing() {
    let jumps = short_or_long(8, 60);
    let mut random = random();
    let setup = Setup::new();
    let file = setup.directory().join("clock");
    jump(&file, 0);
    let server = setup
        .env("LD_PRELOAD", library().display())
        .env("FAKETIME_TIMESTAMP_FILE", file.display())
        .env("FAKETIME_NO_CACHE", 1)
        // Operators change only the wall clock, never the monotonic clock.
        .env("FAKETIME_DONT_FAKE_MONOTONIC", 1)
        .start()
        .await;
    let mut load = Load::start(&server, 3, |name, number| Work::slow(name, 10 + 10 * (number % 3)));
    load.warmed_up(1).await;
    for _ in 0..jumps {
        sleep(Duration::from_millis(random.random_range(100..1000))).await;
        // The clock jumps by up to a day in either direction, which is less than the age limit of events.
        jump(&file, random.random_range(-86_400..86_400));
        server.tally.collect(&server.model);
    }
    jump(&file, 0);
    let history = load.finish(&server).await;
    Row::of("wall clock jumps by up to a day", jumps, &history, Vec::new()).report();
    server.finish().await;
}
