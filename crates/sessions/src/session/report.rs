//! The reports of work that a session's worker has spawned.

use std::collections::BTreeSet;

use domain::repository::Pull;
use domain::task::TaskId;
use failpoint::failpoint;
use sandbox::capacity::Shortage;
use tokio::sync::{mpsc, oneshot};

use super::sandbox::{Launched, NotLaunched, Step};
use super::state::Input;
use crate::repository::WoundUp;

/// The number of reports that the worker has not received. At most one launch, one removal, one wiping, one wait for charges and
/// one change of the branches are in progress.
const MAX_REPORTS: usize = 6;

pub(crate) enum Report {
    /// The launch waits for a slot.
    Waits {
        ahead: usize,
        shortage: Shortage,
    },
    Launched(Box<Result<Launched, NotLaunched>>),
    Reattached(Box<Result<Launched, NotLaunched>>),
    /// A step in the preparation of a repository. The preparation continues once the worker answers that it is durable.
    Prepared(Step, oneshot::Sender<()>),
    PullOpened(Pull),
    /// The other branches that the task has made in its sandbox.
    BranchesMade(BTreeSet<String>),
    /// All model requests of a task that ended are charged.
    Settled(TaskId),
    /// The sandbox was removed. `Some`: the work of the ended task was handed in.
    TakenDown(Option<WoundUp>),
    Wiped,
}

pub(crate) type Reports = (mpsc::Sender<Report>, mpsc::Receiver<Report>);

pub(crate) fn channel() -> Reports {
    mpsc::channel(MAX_REPORTS)
}

/// The worker's next step after a report, once its changes are committed.
pub(crate) enum Next {
    Advance(Option<Input>),
    /// The preparation that waits for the commit continues.
    Confirm(oneshot::Sender<()>),
}

/// The places at which a test can end the process, between a commit and the transition that follows from it.
pub(crate) fn reach_failpoint(input: Input) {
    if input == Input::Started {
        failpoint!("sandbox.written");
    }
    if input == Input::TakenDown {
        failpoint!("sandbox.forgotten");
    }
    if input == Input::Reattached {
        failpoint!("takeover.resumed");
    }
}
