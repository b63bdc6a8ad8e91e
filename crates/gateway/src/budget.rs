//! Budgets: they decide whether a model request may start, and record what it cost.
//!
//! Every model request is charged to several accounts ([`Account`]): its task, its session, its key, the key's day, the day and the
//! installation. Each may have limits. A request starts only if each account with a limit has money left, and if the reservations
//! of the open requests also leave money, or no request is open. While a request without a known bound on its cost is open, no
//! other request starts on its limited accounts. So no limit is exceeded by more than one request, however many are sent at once.
//!
//! The reservation is durable before the request is sent, and its settlement follows with the next commit. A crash between the two
//! leaves the reservation, which the next start charges at its estimate, so that the limits also hold across a crash.

mod ledger;
mod reservation;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::budget::{InstallationLimits, Payer, Spent, limits_of};
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio_util::task::TaskTracker;

use ledger::{Ledger, Ruling};

pub use reservation::Reservation;

pub use super::bound::Certainty;

use domain::task::TaskId;
use domain::usage::{Account, Balance, Cost, Day, OpenRequest, Usage};
use store::{Change, Store, StoreError};

/// The delay before a reservation that failed because of a full disk is repeated.
const FULL_DISK_RETRY: Duration = Duration::from_millis(500);

/// The bound on a model's name. The longest are ARNs of Amazon Bedrock.
pub(super) const MAX_MODEL_CHARS: usize = 256;

/// All budgets of an installation. They are cheap to clone.
#[derive(Clone)]
pub struct Budgets {
    shared: Arc<BudgetState>,
}

struct BudgetState {
    ledger: Mutex<Ledger>,
    limits: InstallationLimits,
    /// Notified whenever a request is settled or a limit changes.
    released: Notify,
    next_request: AtomicU64,
    /// Held while accounts are read from the store, so that the read balances are not older than the known ones.
    loading: tokio::sync::Mutex<()>,
    /// `None`: nothing is stored.
    book: Option<Book>,
}

struct Book {
    store: Store,
    tracker: TaskTracker,
}

/// The reason why a request gets no reservation.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Spent(#[from] Spent),
    /// A request whose reservation cannot be stored is not sent.
    #[error("the request could not be stored")]
    Store(#[from] StoreError),
}

impl Budgets {
    /// Makes budgets that are not stored, for tests and checks.
    pub fn in_memory(limits: InstallationLimits) -> Self {
        Budgets::new(limits, None)
    }

    /// Opens the budgets of a store. Requests that an earlier coordinator left open are charged at their estimate.
    pub async fn open(store: Store, limits: InstallationLimits, tracker: TaskTracker) -> Result<Budgets, StoreError> {
        store.commit(vec![Change::ChargeOpenRequests]).await?;
        Ok(Budgets::new(limits, Some(Book { store, tracker })))
    }

    fn new(limits: InstallationLimits, book: Option<Book>) -> Self {
        let shared = BudgetState {
            ledger: Mutex::default(),
            limits,
            released: Notify::new(),
            next_request: AtomicU64::new(1),
            loading: tokio::sync::Mutex::default(),
            book,
        };
        Budgets { shared: Arc::new(shared) }
    }

    /// Makes a durable reservation for a request. `None`: the request must wait until an open request has ended, see
    /// [`Budgets::released`].
    pub async fn try_reserve(
        &self,
        payer: &Payer,
        model: &str,
        estimate: Cost,
        certainty: Certainty,
    ) -> Result<Option<Reservation>, Refusal> {
        let request = OpenRequest {
            id: self.shared.next_request.fetch_add(1, Ordering::Relaxed),
            day: Day::of(Timestamp::now()),
            key: payer.key.clone(),
            session: payer.session.clone(),
            task: payer.task.clone(),
            // The model's name comes from the agent and may be anything.
            model: model.chars().take(MAX_MODEL_CHARS).collect(),
            estimate,
        };
        let limits = limits_of(payer, &self.shared.limits, request.day);
        let accounts = request.accounts();
        loop {
            self.load(&accounts).await?;
            match self.ledger().reserve(&accounts, &limits, estimate, certainty) {
                // The account was evicted before it was used: load it again.
                Ruling::Unknown => {}
                Ruling::Wait => return Ok(None),
                Ruling::Spent(spent) => return Err(spent.into()),
                Ruling::Granted => break,
            }
        }
        // Dropping the reservation settles it, even while it is being written.
        let reservation = Reservation::new(self.clone(), request, accounts, certainty);
        self.write(&reservation).await?;
        Ok(Some(reservation))
    }

    /// Completes when a request is settled or limits change, after the returned value was enabled.
    pub fn released(&self) -> Notified<'_> {
        self.shared.released.notified()
    }

    /// Wakes the waiting requests, so that they check their budgets again.
    pub(crate) fn look_again(&self) {
        self.shared.released.notify_waiters();
    }

    /// Returns the first limit of a payer that is reached already.
    pub async fn spent(&self, payer: &Payer) -> Result<Option<Spent>, StoreError> {
        for limit in limits_of(payer, &self.shared.limits, Day::of(Timestamp::now())) {
            let spent = self.balance(&limit.account).await?.spent;
            if spent >= limit.most {
                return Ok(Some(limit.reached(spent)));
            }
        }
        Ok(None)
    }

    /// Adds a task that was never charged, so that the store is not read for it.
    pub fn new_task(&self, task: &TaskId) {
        self.ledger().learn_new(&Account::Task(task.clone()));
    }

    /// Returns the charges of a task over all its attempts, without reading the store. The usage is known if this coordinator
    /// handled the task from its beginning.
    pub fn charged(&self, task: &TaskId) -> Option<(Cost, Option<Usage>)> {
        self.ledger().charged(&Account::Task(task.clone()))
    }

    /// Returns true if every request of a task is charged.
    pub fn is_settled(&self, task: &TaskId) -> bool {
        self.ledger().is_settled(&Account::Task(task.clone()))
    }

    /// Waits until every request of a task is charged.
    pub async fn settled(&self, task: &TaskId) {
        let mut released = Box::pin(self.released());
        loop {
            // Register interest before the check, so that a release in between is not missed.
            released.as_mut().enable();
            if self.is_settled(task) {
                return;
            }
            released.as_mut().await;
            released.set(self.released());
        }
    }

    /// The charges of a task.
    pub async fn of_task(&self, task: &TaskId) -> Result<Balance, StoreError> {
        self.balance(&Account::Task(task.clone())).await
    }

    async fn balance(&self, account: &Account) -> Result<Balance, StoreError> {
        loop {
            self.load(std::slice::from_ref(account)).await?;
            if let Some(balance) = self.ledger().balance(account) {
                return Ok(balance);
            }
        }
    }

    /// Loads the accounts that the ledger does not know.
    async fn load(&self, accounts: &[Account]) -> Result<(), StoreError> {
        if self.ledger().unknown(accounts).is_empty() {
            return Ok(());
        }
        let _loading = self.shared.loading.lock().await;
        let unknown = self.ledger().unknown(accounts);
        let balances = match &self.shared.book {
            Some(book) => book.store.balances(unknown.clone()).await?,
            None => vec![Balance::default(); unknown.len()],
        };
        let mut ledger = self.ledger();
        for (account, balance) in unknown.into_iter().zip(balances) {
            ledger.learn(account, balance);
        }
        Ok(())
    }

    /// Writes the reservation. It waits while the disk is full, like all running work.
    async fn write(&self, reservation: &Reservation) -> Result<(), StoreError> {
        let Some(book) = &self.shared.book else { return Ok(()) };
        loop {
            match book.store.commit(vec![Change::OpenRequest(reservation.request().clone())]).await {
                Err(StoreError::Full(_)) => tokio::time::sleep(FULL_DISK_RETRY).await,
                written => return written,
            }
        }
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.shared.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
