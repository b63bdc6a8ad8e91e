//! Group commit: all waiting requests share one transaction, and each caller's list has its own savepoint.

use std::time::Instant;

use failpoint::failpoint;
use rusqlite::Connection;

use super::{Request, Work, Writer, asks, logs, search, sessions, tasks, usage, webhooks};
use crate::damage::DamageLog;
use crate::seal::Sealer;
use crate::{Change, StoreError, orphans, retention};

/// The maximum number of rows per transaction: enough to make the wait for the disk cheap, few enough to take
/// milliseconds. A single list may be longer.
const ROWS_PER_TRANSACTION: usize = 512;

impl Writer {
    /// Returns the first request and those that are already waiting.
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
            // One list failed the others, for example because it was too large for the disk. Alone, each gets its own
            // result.
            Err(_) if group.len() > 1 => return group.into_iter().for_each(|request| self.write(vec![request])),
            Err(error) => vec![Err(error)],
        };
        for (request, result) in group.into_iter().zip(results) {
            match request.work {
                Work::Commit(changes) => {
                    self.rows_left |= changes.iter().any(|change| matches!(change, Change::DeleteSession(_)));
                    if changes.iter().any(Change::changes_texts) {
                        self.unindexed.notify_one();
                    }
                    if changes.iter().any(Change::makes_due) {
                        self.due.notify_one();
                    }
                }
                // If the removal failed on a full disk, try it again.
                Work::Prune(_) => self.rows_left = true,
                Work::Index => {}
                Work::Close => self.requests.close(),
                #[cfg(test)]
                Work::Hook(_) => {}
            }
            // A caller that no longer waits needs no answer.
            let _ = request.reply.send(result);
        }
    }

    /// Removes some rows of deleted sessions. Returns true if more are left.
    pub(super) fn remove_deleted(&mut self) -> bool {
        let removed = execute(&self.connection, "BEGIN IMMEDIATE")
            .and_then(|()| retention::remove_deleted(&self.connection, &self.damage))
            .and_then(|more| execute(&self.connection, "COMMIT").map(|()| more));
        removed.unwrap_or_else(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "could not remove a deleted session's events yet");
            self.roll_back();
            false
        })
    }

    /// Runs the group in one transaction. An error means that the whole transaction was rolled back.
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
            let result = perform(&self.connection, &self.sealer, &self.damage, &mut request.work);
            // After a full disk and some other errors, SQLite rolls back the transaction itself. Then no earlier result
            // counts.
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
            // This fills a transaction of its own.
            Work::Prune(_) | Work::Index => ROWS_PER_TRANSACTION,
            Work::Close => 0,
            #[cfg(test)]
            Work::Hook(_) => 0,
        }
    }
}

fn perform(connection: &Connection, sealer: &Sealer, damage: &DamageLog, work: &mut Work) -> Result<usize, StoreError> {
    match work {
        Work::Commit(changes) => {
            // Check this first, so that a repeated request gets this error whatever else it collides with.
            changes.iter().try_for_each(|change| tasks::check_idempotency(connection, change))?;
            changes.iter().try_for_each(|change| apply(connection, sealer, damage, change))?;
            Ok(changes.iter().map(Change::rows).sum())
        }
        Work::Prune(plan) => retention::prune(connection, plan, damage),
        Work::Index => search::index(connection, damage),
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

fn apply(connection: &Connection, sealer: &Sealer, damage: &DamageLog, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::InsertSession(record) => sessions::insert(connection, sealer, record),
        Change::UpdateSession(record) => sessions::update(connection, sealer, record),
        Change::SetEnv { session, env } => sessions::set_env(connection, sealer, *session, env),
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
        Change::SettleRequest { id, charge } => usage::settle(connection, damage, *id, charge),
        Change::ChargeOpenRequests => usage::charge_open(connection, damage),
        Change::AddCliCharge(charge) => usage::add_cli_charge(connection, charge),
        Change::InsertWebhook { id, task, target } => webhooks::insert(connection, sealer, *id, task, target),
        Change::AttemptedWebhook(attempted) => webhooks::attempted(connection, damage, attempted),
        Change::ReplayWebhook(id) => webhooks::replay(connection, *id),
        Change::InsertAsk { session, ask } => asks::insert(connection, *session, ask),
        Change::EndAsk(ask) => asks::end(connection, ask),
        Change::RememberDecision { session, remembered } => asks::remember(connection, *session, remembered),
        Change::ForgetDecisions(session) => asks::forget(connection, *session),
        Change::RecordOrphanVolumes { volumes, now } => orphans::record(connection, volumes, *now, damage),
    }
}

fn execute(connection: &Connection, statement: &str) -> Result<(), StoreError> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}
