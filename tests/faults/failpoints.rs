//! The coordinator is killed at named places of a task's life, between any two steps that depend on each other. `failpoint!` marks
//! the places in the source. Only test builds contain them.

mod callers;
mod cases;
mod names;

use std::os::unix::process::ExitStatusExt as _;

use futures::future::join_all;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bounds::{Length, length, within};
use crate::check::Findings;
use crate::client::Work;
use crate::follow::{follow, whole_log};
use crate::history::History;
use crate::recovery;
use crate::row::Row;
use crate::server::{Server, Setup};
use callers::Caller;
use cases::{AT_THE_END, Case, Doing, ON_THE_WAY};

/// The number of servers that are killed side by side. A case mostly waits for a container or an agent.
const LANES: usize = 3;

/// A brief run kills at every fourth place: a start of the server and a sandbox for each of all places take ten minutes.
const BRIEF_EVERY: usize = 4;

const SIGKILL: i32 = nix::sys::signal::Signal::SIGKILL as i32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_coordinator_is_killed_at_each_step_of_a_task() {
    let fault =
        "`kill -9` at each step of a task: accepted, sandbox made, sent to the agent, output read, ended, reattached";
    kill_at(fault, ON_THE_WAY).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_coordinator_is_killed_at_each_step_of_an_end() {
    let fault =
        "`kill -9` at each step of an abort, a reset, a deletion, an idle session's eviction, and a stop of the server";
    kill_at(fault, AT_THE_END).await;
}

async fn kill_at(fault: &'static str, cases: &[Case]) {
    let (rounds, every) = match length() {
        Length::Brief => (1, BRIEF_EVERY),
        Length::Short => (1, 1),
        Length::Long => (5, 1),
    };
    let all: Vec<(usize, &Case)> = (0..rounds).flat_map(|_| cases.iter().step_by(every)).enumerate().collect();
    let lanes = (0..LANES).map(|lane| {
        let cases = all.iter().skip(lane).step_by(LANES);
        async move {
            let mut lane = Lane::open().await;
            for (number, case) in cases {
                lane.play(*number, case).await;
            }
            lane.close().await
        }
    });
    let mut row = Row { fault, runs: 0, tasks: 0, findings: Findings::default(), recovery: Vec::new() };
    for (history, kills) in join_all(lanes).await {
        row.runs += kills.len();
        row.tasks += history.accepted.len();
        row.findings.add(Findings::of(&history));
        row.recovery.extend(recovery::after_kills(&history, &kills));
    }
    row.report();
}

/// Servers that run one after another on the same data.
struct Lane {
    server: Server,
    history: History,
    /// The times at which each server ended and the next one started.
    kills: Vec<(Timestamp, Timestamp)>,
    tracker: TaskTracker,
}

impl Lane {
    async fn open() -> Self {
        let mut server = Setup::new().with_failpoints().start().await;
        server.kill().await;
        Lane { server, history: History::default(), kills: Vec::new(), tracker: TaskTracker::new() }
    }

    /// Kills the server where the case says while its callers work. Every task must end afterwards.
    async fn play(&mut self, number: usize, case: &Case) {
        let begun = Instant::now();
        let session = format!("p{number}");
        for (name, value) in case.doing.settings() {
            self.server.set(name, value);
        }
        self.server.set("WARM_SANDBOXES", if case.doing == Doing::Warm { "1" } else { "0" });
        self.server.set("FAILPOINT", case.deaths[0]);
        self.server.start_again().await;
        let (enough, (sender, mut ended)) = (CancellationToken::new(), watch::channel(0));
        let following = follow(self.server.client(), session.clone(), sender, enough.clone());
        let following = self.tracker.spawn(following);
        let calling = self.tracker.spawn(Caller::of(&self.server, &session).run(case.doing));
        for (place, death) in case.deaths.iter().enumerate() {
            self.dies_at(death).await;
            match case.deaths.get(place + 1) {
                Some(next) => self.server.set("FAILPOINT", next),
                None => self.server.unset("FAILPOINT"),
            }
            self.server.spawn_again();
        }
        self.server.until_it_listens().await;

        let client = self.server.client();
        let mut accepted = calling.await.unwrap();
        // The session accepts another task, whatever was cut off.
        accepted.push(client.accept(&session, &Work::slow(&format!("{session}z"), 2)).await);
        for accepted in &accepted {
            self.history.records.insert(accepted.task.clone(), client.ended(&accepted.task).await);
        }
        self.history.logs.insert(session.clone(), whole_log(&client, &session).await);
        if case.doing == Doing::Delete {
            // The log began again, and the subscriber still has the events of the deleted session.
            self.history.deleted.insert(session.clone());
        } else {
            within("the subscriber sees all ends", ended.wait_for(|ended| *ended >= accepted.len())).await.unwrap();
        }
        enough.cancel();
        let follower = following.await.unwrap();
        if case.doing != Doing::Delete {
            self.history.followers.push(follower);
        }
        self.history.accepted.extend(accepted);
        client.delete(&session).await;
        if case.doing == Doing::Warm {
            // The next warm sandbox is ready or being created. It does not survive its server.
            self.server.kill().await;
            self.server.set("WARM_SANDBOXES", "0");
            self.server.start_again().await;
        }
        self.server.nothing_is_left().await;
        self.server.tally.collect(&self.server.model);
        eprintln!("{case:?} after {:?}", begun.elapsed());
        self.server.kill().await;
        for (name, _) in case.doing.settings() {
            self.server.unset(name);
        }
    }

    async fn dies_at(&mut self, death: &str) {
        let status = self.server.process.ended().await;
        let now = Timestamp::now();
        assert_eq!(status.signal(), Some(SIGKILL), "the server did not reach {death}: it ended with {status}");
        self.kills.push((now, now));
        self.history.faults.push(now);
    }

    async fn close(mut self) -> (History, Vec<(Timestamp, Timestamp)>) {
        self.server.start_again().await;
        self.history.asked = self.server.tally.counts();
        self.server.finish().await;
        (self.history, self.kills)
    }
}
