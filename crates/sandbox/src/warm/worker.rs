//! Keeps the wanted number of warm sandboxes: launches them one at a time, replaces those that ended or are out of
//! date, and yields them when others need the room.

use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use agent_template::AgentTemplate;
use domain::session::SessionKey;
use failpoint::failpoint;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{TakeRequest, Warm, WarmSettings};
use crate::capacity::{Capacity, Slot};
use crate::{Assignment, LaunchOrder, SandboxHost};

/// The time between two checks of template, image and room.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The pause after a warm sandbox was taken, in which its session has the machine to itself.
const AFTER_TAKEN: Duration = Duration::from_millis(300);

/// The pause after a failed launch. It doubles with each failure, up to `AFTER_FAILURES`.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
const AFTER_FAILURES: Duration = Duration::from_mins(1);

struct Worker {
    settings: WarmSettings,
    host: Arc<SandboxHost>,
    capacity: Capacity,
    tracker: TaskTracker,
    stop: CancellationToken,
    ready: Vec<Warm>,
    /// Cancels the launch in progress, if there is one.
    making: Option<CancellationToken>,
    not_before: Instant,
    failures: u32,
    ready_sender: watch::Sender<usize>,
}

pub(super) async fn run(
    settings: WarmSettings,
    host: Arc<SandboxHost>,
    capacity: Capacity,
    mut requests: mpsc::Receiver<TakeRequest>,
    ready_sender: watch::Sender<usize>,
    stop: CancellationToken,
    tracker: TaskTracker,
) {
    let (report, mut made) = mpsc::channel(1);
    let mut looks = tokio::time::interval(LOOK_AGAIN);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut worker = Worker {
        settings,
        host,
        capacity,
        tracker,
        stop: stop.clone(),
        ready: Vec::new(),
        making: None,
        not_before: Instant::now(),
        failures: 0,
        ready_sender,
    };
    loop {
        worker.make_one(&report);
        worker.ready_sender.send_replace(worker.ready.len());
        let not_before = worker.not_before;
        let waits = worker.is_wanted() && not_before > Instant::now();
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(request) = requests.recv() => worker.give(request),
            Some(outcome) = made.recv() => worker.on_made(outcome),
            index = lost(&mut worker.ready) => {
                let warm = worker.ready.swap_remove(index);
                worker.discard(warm);
            }
            _ = looks.tick() => worker.replace_stale().await,
            () = tokio::time::sleep_until(not_before), if waits => {}
        }
    }
    worker.ready_sender.send_replace(0);
    if let Some(making) = &worker.making {
        making.cancel();
        if let Some(Ok(warm)) = made.recv().await {
            worker.ready.push(*warm);
        }
    }
    for warm in std::mem::take(&mut worker.ready) {
        warm.discard(&worker.host).await;
    }
}

impl Worker {
    fn is_wanted(&self) -> bool {
        self.making.is_none() && self.ready.len() < self.settings.count
    }

    /// Starts a launch if a sandbox is missing and there is room.
    fn make_one(&mut self, report: &mpsc::Sender<Result<Box<Warm>, String>>) {
        if !self.is_wanted() || self.not_before > Instant::now() {
            return;
        }
        let Some(slot) = self.capacity.spare() else {
            self.not_before = Instant::now() + LOOK_AGAIN;
            return;
        };
        let cancel = self.stop.child_token();
        self.making = Some(cancel.clone());
        let (settings, host, report) = (self.settings.clone(), Arc::clone(&self.host), report.clone());
        self.tracker.spawn(async move {
            let outcome = make(settings, &host, slot, cancel).await.map(Box::new);
            // The worker always receives this.
            let _ = report.send(outcome).await;
        });
    }

    fn on_made(&mut self, outcome: Result<Box<Warm>, String>) {
        self.making = None;
        match outcome {
            Ok(warm) => {
                info!(sandbox.name = %warm.sandbox.name, "a warm sandbox is ready");
                self.failures = 0;
                self.ready.push(*warm);
                failpoint!("warm.ready");
            }
            Err(error) => {
                warn!(error, "could not launch a warm sandbox");
                self.not_before = Instant::now() + (AFTER_FAILURE * (1 << self.failures.min(5))).min(AFTER_FAILURES);
                self.failures += 1;
            }
        }
    }

    fn give(&mut self, request: TakeRequest) {
        // Take the oldest, which has had the most time to finish its start.
        let found = self.ready.iter().position(|warm| warm.template.name == request.agent);
        let warm = found.map(|index| Box::new(self.ready.remove(index)));
        if warm.is_some() {
            self.not_before = Instant::now() + AFTER_TAKEN;
        }
        if let Err(Some(warm)) = request.reply.send(warm) {
            self.ready.push(*warm);
        }
    }

    fn discard(&mut self, warm: Warm) {
        info!(sandbox.name = %warm.sandbox.name, "a warm sandbox is being removed");
        self.not_before = self.not_before.max(Instant::now() + AFTER_TAKEN);
        let host = Arc::clone(&self.host);
        self.tracker.spawn(async move { warm.discard(&host).await });
    }

    async fn replace_stale(&mut self) {
        if self.ready.is_empty() {
            return;
        }
        let (template, image) =
            tokio::join!(AgentTemplate::read(self.settings.agent_dir.clone(), None), self.host.image_id());
        // A template that cannot be read is an error of the next task, as without warm sandboxes.
        let current = |warm: &Warm| template.as_ref().is_ok_and(|template| warm.is_current(template, image.as_deref()));
        let stale: Vec<Warm> = self.ready.extract_if(.., |warm| !current(warm)).collect();
        for warm in stale {
            self.discard(warm);
        }
    }
}

async fn make(
    settings: WarmSettings,
    host: &SandboxHost,
    mut slot: Slot,
    cancel: CancellationToken,
) -> Result<Warm, String> {
    let template = AgentTemplate::read(settings.agent_dir, None).await.map_err(|error| error.to_string())?;
    let template = Arc::new(template);
    // Read the id before the launch: if the image is replaced meanwhile, the sandbox counts as out of date.
    let image = host.image_id().await;
    let session = SessionKey::generate();
    host.own(session);
    let order = LaunchOrder {
        session,
        model: template.settings.model.clone().unwrap_or(settings.model),
        asks: template.settings.asks.is_some(),
        template: Arc::clone(&template),
        resume: None,
        fresh_workspace: true,
        assignment: Assignment::Workspace,
    };
    let launched = {
        let mut launch = pin!(host.launch(order, cancel.clone()));
        tokio::select! {
            launched = &mut launch => launched,
            // Another session needs the room.
            () = slot.eviction_requested() => {
                cancel.cancel();
                launch.await
            }
        }
    };
    match launched {
        Ok(sandbox) => Ok(Warm { session, sandbox, template, image, slot }),
        Err(error) => {
            // The container was removed; the volumes may exist.
            match host.remove_volumes(session).await {
                Ok(()) => host.disown(session),
                Err(error) => {
                    warn!(session.key = %session, %error, "could not remove the volumes of a warm sandbox");
                    host.abandon(session);
                }
            }
            Err(error.to_string())
        }
    }
}

/// Returns the index of the first sandbox that ended or is being evicted. Cancel-safe.
async fn lost(ready: &mut [Warm]) -> usize {
    let mut watches: Vec<_> = ready
        .iter_mut()
        .map(|warm| {
            let Warm { sandbox, slot, .. } = warm;
            Box::pin(async move {
                tokio::select! {
                    _ = sandbox.rest() => {}
                    () = slot.eviction_requested() => {}
                }
            })
        })
        .collect();
    std::future::poll_fn(|context| match watches.iter_mut().position(|watch| watch.as_mut().poll(context).is_ready()) {
        Some(index) => Poll::Ready(index),
        None => Poll::Pending,
    })
    .await
}
