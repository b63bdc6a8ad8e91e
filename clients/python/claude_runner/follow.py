"""A session's events without loss and without doubles, over connections that end. No I/O."""

import json
import re
from typing import Any, Dict, List, Optional, Union, cast

from .errors import RunnerError
from .types import Event

#: The server sends a comment every 15 seconds; after three that did not come the connection is dead, whatever TCP thinks.
SILENCE = 50.0
#: Far above the largest event, 256 KiB of input that is escaped.
MAX_EVENT_CHARACTERS = 16 * 1024 * 1024

#: The header with the epoch of the events in an answer.
EPOCH = "session-epoch"

#: A position in a session's events: ``EPOCH-SEQ``, or ``SEQ`` of whichever life the session is in.
EventCursor = Union[int, str]

FINAL = ("task_complete", "task_failed", "abort")


class Cut(Exception):
    """The connection ended; the stream goes on over the next one."""


class ServerSent:
    """Takes apart server-sent events."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, text: str) -> List[Dict[str, Any]]:
        """The events that are whole now."""
        *blocks, self._rest = (self._rest + text).split("\n\n")
        if len(self._rest) > MAX_EVENT_CHARACTERS:
            raise Cut("an event has no end")
        events = []
        for block in blocks:
            data = [line[5:].lstrip() for line in block.split("\n") if line.startswith("data:")]
            if data:
                try:
                    events.append(json.loads("\n".join(data)))
                except ValueError as error:
                    raise Cut("an event is no JSON") from error
        return events


class Place:
    """Where in a session's events a reader is."""

    def __init__(self, since: EventCursor) -> None:
        position = re.fullmatch(r"(?:([0-9a-f]{16})-)?([0-9]+)", str(since))
        if position is None:
            raise ValueError(f"since must be EPOCH-SEQ or SEQ, not {since!r}")
        self.epoch: Optional[str] = position[1]
        self.last = int(position[2])
        #: The reader is in this life of the session: it named it, or has events of it.
        self._is_bound = self.epoch is not None or self.last > 0
        self._is_fresh = True
        #: What was missing when it was noticed: once more of the same is no accident.
        self._missing: Optional[int] = None

    @property
    def cursor(self) -> EventCursor:
        """Where the next connection begins."""
        return f"{self.epoch}-{self.last}" if self._is_bound and self.epoch else self.last

    def connected(self, latest: Optional[int] = None, epoch: Optional[str] = None) -> None:
        """A new connection begins, to a session in this life, whose latest event this is."""
        self._is_fresh = True
        is_other = None not in (epoch, self.epoch) and epoch != self.epoch
        if self._is_bound and (is_other or (latest is not None and latest < self.last)):
            raise self._renewed()
        self.epoch = epoch or self.epoch

    def take(self, event: Dict[str, Any]) -> Optional[Event]:
        """The event, where it is the next one; ``None`` for one that was there before."""
        if event.get("type") == "gap" and event.get("reason") == "renewed":
            if self._is_bound:
                raise self._renewed()
            return None
        if event.get("type") == "gap":
            self.last = max(self.last, int(event["to"]))
            return cast(Event, event)
        seq = int(event["seq"])
        if seq <= self.last:
            # The server sends what comes after ``last``, so numbers began anew; later on it is one that came twice.
            if self._is_fresh:
                raise self._renewed()
            return None
        self._is_fresh = False
        if seq > self.last + 1:
            if self._missing == self.last + 1:
                raise RunnerError(f"the events from {self.last + 1} to {seq - 1} do not come", code="events_missing")
            self._missing = self.last + 1
            raise Cut(f"event {seq} came after {self.last}")
        self.last, self._is_bound = seq, True
        return cast(Event, event)

    def lost(self, cause: Exception) -> RunnerError:
        """The error of a stream that was cut too often; raises a cause that another connection would not mend."""
        if isinstance(cause, RunnerError):
            if not cause.retryable:
                raise cause
            return cause
        return RunnerError(f"the stream was lost after event {self.last}: {cause}", code="stream_lost", retryable=True)

    def _renewed(self) -> RunnerError:
        sentence = f"the session of event {self.last} was deleted: what has its name now is followed with since=0"
        return RunnerError(sentence, code="session_renewed")
