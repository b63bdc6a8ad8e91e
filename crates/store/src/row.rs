//! The column formats of this project's types.

use std::time::Duration;

use domain::agent::AgentName;
use domain::session::{Epoch, SessionId, SessionKey};
use domain::task::{TaskId, TaskStatus};
use domain::usage::Cost;
use jiff::Timestamp;
use rusqlite::Row;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;

/// Nanoseconds since 1970. The years 1677 to 2262 fit; other times saturate.
pub(super) fn nanos(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(if time < Timestamp::UNIX_EPOCH { i64::MIN } else { i64::MAX })
}

pub(super) fn timestamp(nanos: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_nanosecond(nanos.into()).map_err(|_| StoreError::corrupt("a time out of range"))
}

pub(super) fn duration(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// Converts counts and sequence numbers. They never come near the limit, except a caller's arbitrary `since`, which
/// saturates.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Returns the number of a task's sixteen hexadecimal digits. The sign bit is an ordinary bit.
pub(super) fn task_number(id: &TaskId) -> Result<i64, StoreError> {
    u64::from_str_radix(id.as_str(), 16)
        .map(u64::cast_signed)
        .map_err(|_| StoreError::corrupt(format!("task id {id} is not a number")))
}

pub(super) fn task_id(number: i64) -> Result<TaskId, StoreError> {
    format!("{:016x}", number.cast_unsigned()).parse().map_err(|_| StoreError::corrupt("a task id"))
}

/// The sign bit is an ordinary bit.
pub(super) fn epoch_number(epoch: Epoch) -> i64 {
    epoch.number().cast_signed()
}

pub(super) fn epoch(number: i64) -> Epoch {
    Epoch::from_number(number.cast_unsigned())
}

pub(super) fn status(text: &str) -> Result<TaskStatus, StoreError> {
    const ALL: [TaskStatus; 5] =
        [TaskStatus::Queued, TaskStatus::Running, TaskStatus::Completed, TaskStatus::Failed, TaskStatus::Aborted];
    ALL.into_iter()
        .find(|status| status.as_str() == text)
        .ok_or_else(|| StoreError::corrupt(format!("task status {text:?}")))
}

pub(super) fn session_key(bytes: [u8; 16]) -> SessionKey {
    SessionKey::from_bytes(bytes)
}

/// An id that an earlier version's rules accepted is read unchanged.
pub(super) fn session_id(text: String) -> SessionId {
    SessionId::stored(text)
}

pub(super) fn agent_name(text: &str) -> Result<AgentName, StoreError> {
    text.parse().map_err(|_| StoreError::corrupt(format!("agent {text:?}")))
}

/// A text, or the first bytes of one, which may end within a character. SQLite cuts bytes, because it takes a NUL for the end of
/// a text.
pub(super) fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, rusqlite::Error> {
    let bytes = row.get_ref(column)?.as_bytes_or_null().ok().flatten().unwrap_or_default();
    Ok(bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid()))
}

pub(super) fn json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::corrupt(format!("a stored record: {error}")))
}

pub(super) fn encode<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::Encode)
}

/// Nine billion dollars fit.
pub(super) fn cost(cost: Cost) -> i64 {
    integer(cost.nano_dollars())
}

pub(super) fn as_cost(nanos: i64) -> Cost {
    Cost::from_nano_dollars(unsigned(nanos))
}
