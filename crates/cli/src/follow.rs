//! The events of one task from first to last, even across restarts of the server.

use std::io;
use std::pin::Pin;
use std::time::Duration;

use api_types::Nullable;
use api_types::event::{Abort, AbortedBy, Event, Gap, GapReason, Head, OfSession, OfTask, TaskComplete, TaskFailed};
use api_types::task::{Answer, ErrorType, Task, TaskStatus};
use bytes::Bytes;
use domain::session::{Epoch, EventCursor};
use futures::{Stream, TryStreamExt as _};
use reqwest::{Method, Response};
use tokio::io::{AsyncBufReadExt as _, Lines};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::io::StreamReader;

use super::exit::Exit;
use super::remote::{Answered, Remote, RemoteError};

pub(super) const NDJSON: &str = "application/x-ndjson";
const SERVER_SENT: &str = "text/event-stream";
const EPOCH: &str = "session-epoch";

/// A live stream sends something every 15 seconds, so a longer silence means that it is dead.
const SILENCE: Duration = Duration::from_secs(40);

/// The time for which a server may be unreachable, and the interval of attempts to reach it.
const PATIENCE: Duration = Duration::from_mins(5);
const PAUSE: Duration = Duration::from_millis(300);

/// Follows a task.
pub(super) struct Follow {
    remote: Remote,
    task: String,
    session: String,
    /// Wait for events that are still to come.
    live: bool,
    /// The number of the last event that was seen.
    seq: u64,
    /// The life of the session to which the number belongs, if the server reports it.
    epoch: Option<Epoch>,
    source: Source,
    ended: bool,
    /// The task is known to have ended, so that all of its events are stored now.
    read_after_end: bool,
    away_since: Option<Instant>,
}

pub(super) enum Step {
    Event {
        event: Box<Event>,
        /// The event's line, unchanged.
        line: String,
    },
    /// The server is unreachable, and reconnecting has begun. Reported once for each interruption.
    Away(RemoteError),
}

enum Read {
    /// An event's JSON, or nothing.
    Line(String),
    /// The task's end, from its record, when its event is no longer stored.
    Ended(Box<Event>, String),
    /// The next source follows.
    Turned,
    End,
}

enum Source {
    /// Next: read the stored events of the task.
    Unread,
    Stored(BodyLines),
    /// All stored events were shown. Next: open the live stream.
    Read,
    Live(BodyLines),
}

pub(super) type BodyLines = Lines<StreamReader<Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>, Bytes>>;

pub(super) fn lines_of(response: Response) -> BodyLines {
    let bytes: Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>> =
        Box::pin(response.bytes_stream().map_err(io::Error::other));
    StreamReader::new(bytes).lines()
}

/// Returns the exit status of a task if this is its last event.
pub(super) fn end_of(event: &Event) -> Option<Exit> {
    match event {
        Event::TaskComplete(_) => Some(Exit::Done),
        Event::TaskFailed(_) => Some(Exit::Failed),
        Event::Abort(_) => Some(Exit::Aborted),
        _ => None,
    }
}

impl Follow {
    /// Starts at the first event. With `live` it ends at the task's last event, otherwise at the latest one.
    pub(super) async fn task(remote: &Remote, task: &str, live: bool) -> Result<Self, RemoteError> {
        let record: Task = remote.get(&["task", task]).await?;
        Ok(Follow {
            remote: remote.clone(),
            task: task.to_owned(),
            session: record.session_id.to_string(),
            live,
            seq: 0,
            epoch: None,
            source: Source::Unread,
            ended: false,
            read_after_end: false,
            away_since: None,
        })
    }

    /// Returns the next step; `None` after the last. It is cancel-safe: a dropped call loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<Step>, RemoteError> {
        loop {
            if self.ended {
                return Ok(None);
            }
            let line = match self.read().await {
                Ok(Read::Line(line)) => line,
                Ok(Read::Turned) => continue,
                Ok(Read::Ended(event, line)) => {
                    self.ended = true;
                    return Ok(Some(Step::Event { event, line }));
                }
                Ok(Read::End) => return Ok(None),
                Err(error) => match self.away(error).await? {
                    Some(step) => return Ok(Some(step)),
                    None => continue,
                },
            };
            self.away_since = None;
            let Ok(head) = serde_json::from_str::<Head>(&line) else { continue };
            let Some(seq) = head.seq else {
                // An event without a number stands for missing ones.
                if let Ok(Event::Gap(Gap { reason: GapReason::Renewed, .. })) = serde_json::from_str(&line) {
                    // The session of the task was deleted, or the server continues from a backup. The record shows which.
                    (self.source, self.seq, self.read_after_end) = (Source::Unread, 0, false);
                }
                continue;
            };
            if seq <= self.seq {
                continue;
            }
            self.seq = seq;
            if head.task_id.as_ref() == Some(&self.task) {
                // An event that this version does not know is passed on unchanged.
                let event: Box<Event> = serde_json::from_str(&line).unwrap_or(Box::new(Event::Unknown));
                self.ended = end_of(&event).is_some();
                return Ok(Some(Step::Event { event, line }));
            }
        }
    }

    /// Takes one step: reads a line, or moves from one source to the next.
    async fn read(&mut self) -> Result<Read, RemoteError> {
        match &mut self.source {
            Source::Unread => {
                let path = ["task", &self.task, "logs"];
                let request = self.remote.request(Method::GET, &path, &[("format", "ndjson")])?;
                let response = self.remote.stream(request, NDJSON).await?;
                let epoch = response.headers().get(EPOCH).and_then(|value| value.to_str().ok());
                self.epoch = epoch.and_then(|epoch| epoch.parse().ok());
                self.source = Source::Stored(lines_of(response));
                Ok(Read::Turned)
            }
            Source::Stored(lines) => {
                let line = lines.next_line().await.map_err(|error| self.remote.cut(&error))?;
                if line.is_none() {
                    self.source = Source::Read;
                }
                Ok(line.map_or(Read::Turned, Read::Line))
            }
            Source::Read if !self.live => Ok(Read::End),
            Source::Read => {
                let record: Answered<Task> = self.remote.get(&["task", &self.task]).await?;
                if record.value.status.is_final() {
                    return Ok(self.end_by_record(&record));
                }
                let since = EventCursor { epoch: self.epoch, seq: self.seq }.to_string();
                let path = ["session", &self.session, "events"];
                let request = self.remote.request(Method::GET, &path, &[("since", &since)])?;
                let response = self.remote.stream(request, SERVER_SENT).await?;
                self.source = Source::Live(lines_of(response));
                Ok(Read::Turned)
            }
            Source::Live(lines) => {
                let line = match timeout(SILENCE, lines.next_line()).await {
                    Ok(Ok(Some(line))) => line,
                    Ok(Ok(None)) => return Err(self.remote.cut(&io::ErrorKind::UnexpectedEof.into())),
                    Ok(Err(error)) => return Err(self.remote.cut(&error)),
                    Err(_) => return Err(self.remote.cut(&io::ErrorKind::TimedOut.into())),
                };
                // Other lines contain the event's number or keep the connection alive.
                Ok(Read::Line(line.strip_prefix("data:").unwrap_or_default().trim_start().to_owned()))
            }
        }
    }

    /// Decides how the task ends: it may have ended after its events were read, which are then read again. If it ended before,
    /// retention has removed its last events, and the record contains the end.
    fn end_by_record(&mut self, record: &Answered<Task>) -> Read {
        if !self.read_after_end {
            self.read_after_end = true;
            self.source = Source::Unread;
            return Read::Turned;
        }
        let event = end_in(&record.value, self.seq + 1);
        let kind = match event {
            Event::TaskComplete(_) => "task_complete",
            Event::Abort(_) => "abort",
            _ => "task_failed",
        };
        let members = record.raw.get().trim_end_matches('}');
        let line = format!("{members},\"type\":\"{kind}\",\"seq\":{}}}", self.seq + 1);
        Read::Ended(Box::new(event), line)
    }

    /// Waits before the next attempt to reconnect, and reports the first one.
    async fn away(&mut self, error: RemoteError) -> Result<Option<Step>, RemoteError> {
        let first = self.away_since.is_none();
        let since = *self.away_since.get_or_insert_with(Instant::now);
        if !error.may_heal() || since.elapsed() > PATIENCE {
            return Err(error);
        }
        self.source = Source::Unread;
        if first {
            return Ok(Some(Step::Away(error)));
        }
        sleep(PAUSE).await;
        Ok(None)
    }
}

/// Builds the event with which a task ended, from its record.
fn end_in(record: &Task, seq: u64) -> Event {
    let ts = record.finished.unwrap_or(record.created);
    let head = OfTask { seq, ts, task_id: record.task_id.clone() };
    let (error_type, error) =
        (record.error_type.unwrap_or(ErrorType::Unknown), record.error.clone().unwrap_or_default());
    match record.status {
        TaskStatus::Completed => Event::TaskComplete(Box::new(TaskComplete {
            head: OfSession { seq, ts },
            answer: Answer {
                task_id: record.task_id.clone(),
                session_id: record.session_id.clone(),
                status: record.status,
                output: Nullable::value(&record.output).cloned(),
                response: Nullable::value(&record.response).cloned(),
                cost: record.cost.unwrap_or_default(),
                cli_cost: record.cli_cost.unwrap_or_default(),
                duration: record.duration.unwrap_or_default(),
                tools: record.tools.clone().unwrap_or_default(),
                resumed: record.resumed.unwrap_or_default(),
                usage: record.usage.unwrap_or_default(),
                price_assumed: record.price_assumed,
            },
        })),
        TaskStatus::Aborted => Event::Abort(Abort { head, by: AbortedBy::Unknown, error_type, error }),
        TaskStatus::Failed | TaskStatus::Queued | TaskStatus::Running | TaskStatus::Unknown => {
            Event::TaskFailed(TaskFailed { head, error_type, error })
        }
    }
}
