//! Sessions that are kept busy, each by its own caller, while a fault is injected.

use futures::future::join_all;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::bounds::within;
use crate::client::{Client, Work};
use crate::follow::{follow, whole_log};
use crate::history::{AcceptedTask, Follower, History};
use crate::server::Server;

/// The number of unfinished tasks of one session: one runs and one waits.
const OUTSTANDING: usize = 2;

/// Busy sessions.
pub(crate) struct Load {
    callers: Vec<JoinHandle<(Vec<AcceptedTask>, Follower)>>,
    /// The number of ended tasks of each session.
    ended: Vec<watch::Receiver<usize>>,
    enough: CancellationToken,
    tracker: TaskTracker,
}

impl Load {
    /// Keeps this many sessions busy. `work` gets the name of a task and returns its work.
    pub(crate) fn start(
        server: &Server,
        sessions: usize,
        work: impl Fn(&str, usize) -> Work + Send + Sync + Clone + 'static,
    ) -> Self {
        let (tracker, enough) = (TaskTracker::new(), CancellationToken::new());
        let (mut callers, mut receivers) = (Vec::new(), Vec::new());
        for session in 0..sessions {
            let (sender, ended) = watch::channel(0);
            receivers.push(ended.clone());
            let caller = Caller {
                client: server.client(),
                session: format!("s{session}"),
                tracker: tracker.clone(),
                enough: enough.clone(),
            };
            callers.push(tracker.spawn(caller.run(sender, ended, work.clone())));
        }
        Load { callers, ended: receivers, enough, tracker }
    }

    /// Waits until each session has ended this many tasks.
    pub(crate) async fn warmed_up(&mut self, tasks: usize) {
        for ended in &mut self.ended {
            within("the session ends a task", ended.wait_for(|ended| *ended >= tasks)).await.unwrap();
        }
    }

    /// Like [`Load::finish`], for a run in which these moments may have cut off model requests.
    pub(crate) async fn finish_with_faults(
        self,
        server: &Server,
        faults: impl IntoIterator<Item = Timestamp>,
    ) -> History {
        let mut history = self.finish(server).await;
        history.faults.extend(faults);
        history
    }

    /// Stops posting, waits for the end of all posted tasks, and collects the history.
    pub(crate) async fn finish(self, server: &Server) -> History {
        self.enough.cancel();
        let mut history = History::default();
        for caller in join_all(self.callers).await {
            let (accepted, follower) = caller.unwrap();
            history.accepted.extend(accepted);
            history.followers.push(follower);
        }
        self.tracker.close();
        history.complete(server).await;
        history
    }
}

impl History {
    /// Reads the final state of all tasks and sessions.
    pub(crate) async fn complete(&mut self, server: &Server) {
        let client = server.client();
        for accepted in &self.accepted {
            let record = client.get(&format!("/task/{}", accepted.task)).await;
            self.records.insert(accepted.task.clone(), record);
            if !self.logs.contains_key(&accepted.session) {
                self.logs.insert(accepted.session.clone(), whole_log(&client, &accepted.session).await);
            }
        }
        server.tally.collect(&server.model);
        self.asked = server.tally.counts();
    }
}

struct Caller {
    client: Client,
    session: String,
    tracker: TaskTracker,
    enough: CancellationToken,
}

impl Caller {
    async fn run(
        self,
        sender: watch::Sender<usize>,
        mut ended: watch::Receiver<usize>,
        work: impl Fn(&str, usize) -> Work,
    ) -> (Vec<AcceptedTask>, Follower) {
        let seen_all = CancellationToken::new();
        let follower = follow(self.client.clone(), self.session.clone(), sender, seen_all.clone());
        let follower = self.tracker.spawn(follower);
        let mut accepted: Vec<AcceptedTask> = Vec::new();
        while !self.enough.is_cancelled() {
            let name = format!("{}t{}", self.session, accepted.len());
            accepted.push(self.client.accept(&self.session, &work(&name, accepted.len())).await);
            let most = accepted.len() - (OUTSTANDING - 1);
            within("a task ends", ended.wait_for(|ended| *ended >= most)).await.unwrap();
        }
        within("all tasks end", ended.wait_for(|ended| *ended >= accepted.len())).await.unwrap();
        seen_all.cancel();
        (accepted, follower.await.unwrap())
    }
}
