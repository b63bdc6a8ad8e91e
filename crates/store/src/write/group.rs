//! Group commit: what has arrived goes into one transaction, each caller's list under its own savepoint.

use std::sync::atomic::Ordering;
use std::time::Instant;

use failpoint::failpoint;
use rusqlite::Connection;

use super::{Request, Work, Writer, logs, sessions, tasks, usage, webhooks};
use crate::seal::Sealer;
use crate::{Change, StoreError, retention};

/// Enough to make the wait for the disk cheap, few enough that it takes milliseconds. A single list may be longer.
const ROWS_PER_TRANSACTION: usize = 512;

impl Writer {
    /// The first request and what else is there already.
    pub(super) fn gather(&mut self, first: Request) -> Vec<Request> {
        let mut rows = first.work.rows();
        let mut group = vec![first];
        while rows < ROWS_PER_TRANSACTION {
            let Ok(request) = self.requests.try_recv() else { break };
            rows += request.work.rows();
            group.push(request);
        }
        group
    }

    pub(super) fn write(&mut self, mut group: Vec<Request>) {
        let results = match self.transact(&mut group) {
            Ok(results) => results,
            // One of them took the others down, by being too large for the disk, say. Alone, each gets its own answer.
            Err(_) if group.len() > 1 => return group.into_iter().for_each(|request| self.write(vec![request])),
            Err(error) => vec![Err(error)],
        };
        for (request, result) in group.into_iter().zip(results) {
            match request.work {
                Work::Commit(changes) => {
                    self.sweep |= changes.iter().any(|change| matches!(change, Change::DeleteSession(_)));
                    self.counters.commits.fetch_add(u64::from(result.is_ok()), Ordering::Relaxed);
                    if changes.iter().any(Change::makes_due) {
                        self.due.notify_one();
                    }
                }
                // A sweep that failed on a full disk gets another chance.
                Work::Prune(_) => self.sweep = true,
                Work::Close => self.requests.close(),
                #[cfg(test)]
                Work::Hook(_) => {}
            }
            // A caller that does not wait any more needs no answer.
            let _ = request.reply.send(result);
        }
    }

    /// Returns whether there is more to remove.
    pub(super) fn sweep_once(&mut self) -> bool {
        let swept = execute(&self.connection, "BEGIN IMMEDIATE")
            .and_then(|()| retention::sweep(&self.connection))
            .and_then(|more| execute(&self.connection, "COMMIT").map(|()| more));
        swept.unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "could not remove a deleted session's events yet");
            self.roll_back();
            false
        })
    }

    /// An error means that the whole transaction is undone.
    fn transact(&mut self, group: &mut [Request]) -> Result<Vec<Result<usize, StoreError>>, StoreError> {
        let outcome = self.try_transact(group);
        if outcome.is_err() {
            self.roll_back();
        }
        outcome
    }

    fn try_transact(&mut self, group: &mut [Request]) -> Result<Vec<Result<usize, StoreError>>, StoreError> {
        let began = Instant::now();
        execute(&self.connection, "BEGIN IMMEDIATE")?;
        let mut results = Vec::with_capacity(group.len());
        for request in group {
            execute(&self.connection, "SAVEPOINT caller")?;
            let result = perform(&self.connection, &self.sealer, &mut request.work);
            // After a full disk and some others, SQLite undoes the transaction by itself: then nothing before this counts.
            if self.connection.is_autocommit() {
                return Err(result.err().unwrap_or(StoreError::Closed));
            }
            if result.is_err() {
                execute(&self.connection, "ROLLBACK TO caller")?;
            }
            execute(&self.connection, "RELEASE caller")?;
            results.push(result);
        }
        failpoint!("commit.applied");
        execute(&self.connection, "COMMIT")?;
        failpoint!("commit.durable");
        self.counters.transactions.fetch_add(1, Ordering::Relaxed);
        self.metrics.store_committed(began.elapsed());
        Ok(results)
    }

    fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = execute(&self.connection, "ROLLBACK")
        {
            tracing::error!(error = &error as &dyn std::error::Error, "could not undo a transaction");
        }
    }
}

impl Work {
    fn rows(&self) -> usize {
        match self {
            Work::Commit(changes) => changes.iter().map(Change::rows).sum(),
            // Enough for a transaction of its own.
            Work::Prune(_) => ROWS_PER_TRANSACTION,
            Work::Close => 0,
            #[cfg(test)]
            Work::Hook(_) => 0,
        }
    }
}

fn perform(connection: &Connection, sealer: &Sealer, work: &mut Work) -> Result<usize, StoreError> {
    match work {
        Work::Commit(changes) => {
            // Before anything else, so that a request that comes twice is told so whatever else it collides with.
            changes.iter().try_for_each(|change| tasks::check_idempotency(connection, change))?;
            changes.iter().try_for_each(|change| apply(connection, sealer, change))?;
            Ok(changes.iter().map(Change::rows).sum())
        }
        Work::Prune(plan) => retention::prune(connection, plan),
        Work::Close => Ok(0),
        #[cfg(test)]
        Work::Hook(hook) => {
            if let Some(hook) = hook.take() {
                hook(connection);
            }
            Ok(0)
        }
    }
}

fn apply(connection: &Connection, sealer: &Sealer, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::InsertSession(record) => sessions::insert(connection, sealer, record),
        Change::UpdateSession(record) => sessions::update(connection, sealer, record),
        Change::DeleteSession(key) => sessions::delete(connection, *key),
        Change::InsertTask { record, prompt_uuid, idempotency } => {
            tasks::insert(connection, record, *prompt_uuid, idempotency.as_ref())
        }
        Change::UpdateTask(record) => tasks::update(connection, record),
        Change::AppendEvents { session, task, events } => {
            logs::append_events(connection, *session, task.as_ref(), events)
        }
        Change::MoveSandbox { session, last_frame, progress } => {
            sessions::move_sandbox(connection, *session, *last_frame, progress)
        }
        Change::AppendLines { session, task, lines } => logs::append_lines(connection, *session, task, lines),
        Change::OpenRequest(request) => usage::open(connection, request),
        Change::SettleRequest { id, charge } => usage::settle(connection, *id, charge),
        Change::ChargeOpenRequests => usage::charge_open(connection),
        Change::AddCliCharge(charge) => usage::add_cli_charge(connection, charge),
        Change::InsertWebhook { id, task, target } => webhooks::insert(connection, sealer, *id, task, target),
        Change::AttemptedWebhook(attempted) => webhooks::attempted(connection, attempted),
        Change::ReplayWebhook(id) => webhooks::replay(connection, *id),
    }
}

fn execute(connection: &Connection, statement: &str) -> Result<(), StoreError> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}
