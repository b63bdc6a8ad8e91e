//! The reservation of money for one request, until it is settled.

use std::time::Duration;

use domain::usage::{Account, Charge, OpenRequest};
use store::{Change, StoreError};

use super::{Budgets, Certainty};

/// The number of attempts to write a settlement while the disk is full, one every half second. After that the request stays open,
/// and the next start charges its estimate.
const TRIES: u32 = 1200;
const RETRY: Duration = Duration::from_millis(500);

/// Money reserved for one request. Dropping it settles the request with [`Reservation::charge`]; drop it inside a tokio
/// runtime.
pub struct Reservation {
    budgets: Budgets,
    request: OpenRequest,
    accounts: Vec<Account>,
    certainty: Certainty,
    /// The charge so far. It starts at zero.
    pub charge: Charge,
}

impl Reservation {
    pub(super) fn new(budgets: Budgets, request: OpenRequest, accounts: Vec<Account>, certainty: Certainty) -> Self {
        let charge = Charge { model: request.model.clone(), ..Charge::default() };
        Reservation { budgets, request, accounts, certainty, charge }
    }

    pub fn request(&self) -> &OpenRequest {
        &self.request
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let (charge, accounts) = (std::mem::take(&mut self.charge), std::mem::take(&mut self.accounts));
        self.budgets.ledger().settle(&accounts, self.request.estimate, self.certainty, &charge);
        self.budgets.look_again();
        let Some(book) = &self.budgets.shared.book else {
            self.budgets.ledger().written(&accounts);
            return;
        };
        let settlement = vec![Change::SettleRequest { id: self.request.id, charge }];
        // The settlement is queued before anyone sees the end of the answer, so that it precedes the end of its task.
        let queued = book.store.enqueue(settlement.clone());
        let (budgets, store) = (self.budgets.clone(), book.store.clone());
        book.tracker.spawn(async move {
            let mut written = queued.await;
            let mut tries = 1;
            while tries < TRIES && matches!(written, Err(StoreError::Full(_))) {
                tokio::time::sleep(RETRY).await;
                written = store.commit(settlement.clone()).await;
                tries += 1;
            }
            match written {
                Ok(()) => budgets.ledger().written(&accounts),
                Err(error) => tracing::warn!(%error, "could not store the cost of a model request"),
            }
        });
    }
}
