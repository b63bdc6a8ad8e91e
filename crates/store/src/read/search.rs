//! Searches for a text in messages and answers. The index finds candidates, whose texts are then compared.

use std::collections::BTreeSet;
use std::iter::Peekable;

use domain::task::TaskRecord;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::tasks::{Answers, Conditions, listed_columns, name, read_listed};
use crate::damage::{DamageLog, unread_task_name};
use crate::page::PageBuilder;
use crate::{Cursor, Page, StoreError, row};

/// The newest tasks that are compared where the index cannot help: for a text that is shorter than a trigram, and for tasks that
/// are not indexed yet.
const UNINDEXED_TASKS: i64 = 1000;

/// A long text has many trigrams. These are enough to find few candidates, and each costs a pass over its list.
const MAX_TRIGRAMS: usize = 16;

/// The columns of a task that a search looks at: the first 16 KiB of the message, and of the answer if the task completed.
pub(crate) const TEXTS: &str = "substr(CAST(message AS BLOB), 1, 16384),
     CASE WHEN status = 'completed' AND json_valid(answer)
         THEN substr(CAST(coalesce(answer ->> '$.response', answer -> '$.output') AS BLOB), 1, 16384) END";

/// A search below a position.
pub(super) struct Search {
    pub(super) text: String,
    /// The conditions besides the text.
    pub(super) conditions: Conditions,
    /// The beginning of the ids of all sessions that may match.
    pub(super) session_prefix: String,
    pub(super) answers: Answers,
    pub(super) cursor: Option<Cursor>,
    pub(super) limit: usize,
    pub(super) damage: DamageLog,
}

impl Search {
    /// The newest tasks that match. A search that is interrupted returns what it has found by then, as a partial page.
    pub(super) fn run(&self, connection: &Connection) -> Result<Page<TaskRecord>, StoreError> {
        let mut page = PageBuilder::new(self.limit);
        let mut examined = self.cursor;
        match self.collect(connection, &mut page, &mut examined) {
            Ok(Outcome::Whole) => Ok(page.last()),
            Ok(Outcome::Full) => Ok(page.with_next()),
            Ok(Outcome::Unindexed) => Ok(page.partial(None)),
            // A link to the position where this search began would lead its caller in a circle.
            Err(StoreError::TimedOut) => Ok(page.partial(examined.filter(|_| examined != self.cursor))),
            Err(error) => Err(error),
        }
    }

    fn collect(
        &self,
        connection: &Connection,
        page: &mut PageBuilder<TaskRecord>,
        examined: &mut Option<Cursor>,
    ) -> Result<Outcome, StoreError> {
        let below = self.cursor.map_or(i64::MAX, Cursor::number);
        let wanted = self.text.to_lowercase();
        let trigrams = trigrams(&self.text);
        let is_short = trigrams.is_empty();
        let fresh = if is_short { self.newest(connection, below)? } else { unindexed(connection, below)? };
        let is_behind = !is_short && i64::try_from(fresh.len()).is_ok_and(|length| length >= UNINDEXED_TASKS);

        let mut statement = connection.prepare_cached(
            "SELECT rowid FROM task_search WHERE task_search MATCH ?1 AND rowid < ?2 ORDER BY rowid DESC",
        )?;
        let expression = expression(&trigrams, &self.session_prefix);
        let rows = if is_short { None } else { Some(statement.query_map((expression, below), |row| row.get(0))?) };
        let mut indexed = rows.into_iter().flatten().peekable();
        let mut fresh = fresh.into_iter().peekable();
        while let Some(number) = newer(&mut indexed, &mut fresh)? {
            let unread = || unread_task_name(number);
            if self.damage.skip(unread, self.matches(connection, number, &wanted))? == Some(true) {
                if page.is_full() {
                    return Ok(Outcome::Full);
                }
                match self.damage.skip(unread, self.record(connection, number))?.flatten() {
                    Some((bytes, record)) => page.push(number, bytes, record),
                    None => page.skip(number),
                }
            }
            *examined = Some(Cursor::after(number));
        }
        Ok(if is_behind { Outcome::Unindexed } else { Outcome::Whole })
    }

    /// Key prefixes and filters first: the text of a task that the key may not see is never read.
    fn matches(&self, connection: &Connection, number: i64, wanted: &str) -> Result<bool, StoreError> {
        let query = format!("SELECT {TEXTS} FROM task_records WHERE number = ? AND {}", self.conditions.text());
        let mut statement = connection.prepare_cached(&query)?;
        let mut rows = statement.query(params_from_iter(self.parameters(number)))?;
        let Some(row) = rows.next()? else { return Ok(false) };
        for column in 0..2 {
            if row::text(row, column)?.to_lowercase().contains(wanted) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `None` if its row is damaged, or no longer exists.
    fn record(&self, connection: &Connection, number: i64) -> Result<Option<(usize, TaskRecord)>, StoreError> {
        let query = format!("SELECT {} FROM task_records WHERE number = ?", listed_columns(self.answers));
        let mut statement = connection.prepare_cached(&query)?;
        let mut rows = statement.query([number])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        self.damage.skip(|| name(row), read_listed(row, self.answers))
    }

    /// The newest tasks that the caller may see, of all that there are, below the position.
    fn newest(&self, connection: &Connection, below: i64) -> Result<Vec<i64>, StoreError> {
        let mut statement = connection.prepare_cached(
            "SELECT number FROM
                 (SELECT number FROM tasks WHERE substr(session_id, 1, length(?1)) = ?1 ORDER BY number DESC LIMIT ?2)
             WHERE number < ?3",
        )?;
        let numbers = statement.query_map((&self.session_prefix, UNINDEXED_TASKS, below), |row| row.get(0))?;
        Ok(numbers.collect::<Result<_, _>>()?)
    }

    fn parameters(&self, number: i64) -> Vec<Value> {
        let mut parameters = vec![Value::from(number)];
        parameters.extend(self.conditions.parameters().iter().cloned());
        parameters
    }
}

enum Outcome {
    /// The search examined everything.
    Whole,
    /// The page is full, and more tasks match.
    Full,
    /// More tasks are unindexed than a search compares.
    Unindexed,
}

/// The newest of the tasks that are not indexed.
fn unindexed(connection: &Connection, below: i64) -> Result<Vec<i64>, StoreError> {
    let mut statement = connection
        .prepare_cached("SELECT number FROM unindexed_tasks WHERE number < ?1 ORDER BY number DESC LIMIT ?2")?;
    let numbers = statement.query_map((below, UNINDEXED_TASKS), |row| row.get(0))?;
    Ok(numbers.collect::<Result<_, _>>()?)
}

/// Takes the greater number from two descending lists, and one that is in both once.
fn newer(
    indexed: &mut Peekable<impl Iterator<Item = rusqlite::Result<i64>>>,
    fresh: &mut Peekable<impl Iterator<Item = i64>>,
) -> Result<Option<i64>, StoreError> {
    if let Some(Err(_)) = indexed.peek() {
        return Ok(indexed.next().transpose()?);
    }
    let first = indexed.peek().and_then(|number| number.as_ref().ok().copied());
    let next = first.max(fresh.peek().copied());
    if first == next {
        indexed.next().transpose()?;
    }
    if fresh.peek().copied() == next {
        fresh.next();
    }
    Ok(next)
}

/// Some of the text's sequences of three characters. Empty if it is shorter.
fn trigrams(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    let all: BTreeSet<String> = characters.windows(3).map(|window| window.iter().collect()).collect();
    // The index reads an expression up to a NUL.
    let all: Vec<String> = all.into_iter().filter(|trigram| !trigram.contains('\0')).collect();
    let step = all.len().div_ceil(MAX_TRIGRAMS).max(1);
    all.into_iter().step_by(step).collect()
}

/// The tasks whose text has all of these, in sessions whose ids have the last trigrams of the prefix.
fn expression(trigrams: &[String], session_prefix: &str) -> String {
    let quoted = |trigram: &String| format!("\"{}\"", trigram.replace('"', "\"\""));
    let text: Vec<String> = trigrams.iter().map(quoted).collect();
    let characters: Vec<char> = session_prefix.chars().collect();
    let session = characters.windows(3).rev().take(4).map(|window| quoted(&window.iter().collect()));
    let session: Vec<String> = session.collect();
    let text = format!("text : ({})", text.join(" AND "));
    if session.is_empty() { text } else { format!("{text} AND session : ({})", session.join(" AND ")) }
}
