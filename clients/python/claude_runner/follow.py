"""A session's events, each exactly once and in order, over connections that may end. No I/O."""

import json
import re
from typing import Any, Dict, List, Optional, Union, cast

from .errors import RunnerError
from .types import Event

#: The server sends a comment every 15 seconds. After three missing ones the connection counts as dead, even if TCP still holds it.
SILENCE = 50.0
#: Far above the largest event, which is 256 KiB of escaped input.
MAX_EVENT_CHARACTERS = 16 * 1024 * 1024

#: The header with the epoch of the events in an answer.
EPOCH = "session-epoch"

#: A position in a session's events: ``EPOCH-SEQ``, or ``SEQ`` in the current life of the session.
EventCursor = Union[int, str]

FINAL = ("task_complete", "task_failed", "abort")


class Cut(Exception):
    """The connection was interrupted; the stream continues over the next one."""


class ServerSent:
    """Parses server-sent events."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, text: str) -> List[Dict[str, Any]]:
        """Returns the events that ``text`` completes."""
        *blocks, self._rest = (self._rest + text).split("\n\n")
        if len(self._rest) > MAX_EVENT_CHARACTERS:
            raise Cut("an event is too large")
        events = []
        for block in blocks:
            data = [line[5:].lstrip() for line in block.split("\n") if line.startswith("data:")]
            if data:
                try:
                    events.append(json.loads("\n".join(data)))
                except ValueError as error:
                    raise Cut("an event is not JSON") from error
        return events


class Place:
    """The position of a reader in a session's events."""

    def __init__(self, since: EventCursor) -> None:
        position = re.fullmatch(r"(?:([0-9a-f]{16})-)?([0-9]+)", str(since))
        if position is None:
            raise ValueError(f"since must be EPOCH-SEQ or SEQ, not {since!r}")
        self.epoch: Optional[str] = position[1]
        self.last = int(position[2])
        #: True if the reader named this life of the session or has received events of it.
        self._is_bound = self.epoch is not None or self.last > 0
        self._is_fresh = True
        #: The first missing event at the last reconnect. If it is missing again, the stream fails.
        self._missing: Optional[int] = None

    @property
    def cursor(self) -> EventCursor:
        """The cursor with which the next connection begins."""
        return f"{self.epoch}-{self.last}" if self._is_bound and self.epoch else self.last

    def connected(self, latest: Optional[int] = None, epoch: Optional[str] = None) -> None:
        """Begins a connection to this life of the session. Raises an error if it is another life than before."""
        self._is_fresh = True
        is_other = None not in (epoch, self.epoch) and epoch != self.epoch
        if self._is_bound and (is_other or (latest is not None and latest < self.last)):
            raise self._renewed()
        self.epoch = epoch or self.epoch

    def take(self, event: Dict[str, Any]) -> Optional[Event]:
        """Returns the event if it is the next one, and ``None`` for a duplicate."""
        if event.get("type") == "gap" and event.get("reason") == "renewed":
            if self._is_bound:
                raise self._renewed()
            return None
        if event.get("type") == "gap":
            self.last = max(self.last, int(event["to"]))
            return cast(Event, event)
        seq = int(event["seq"])
        if seq <= self.last:
            # The first event has a number above ``last`` unless the session was renewed. A later such event is a duplicate.
            if self._is_fresh:
                raise self._renewed()
            return None
        self._is_fresh = False
        if seq > self.last + 1:
            if self._missing == self.last + 1:
                raise RunnerError(f"the events from {self.last + 1} to {seq - 1} are missing", code="events_missing")
            self._missing = self.last + 1
            raise Cut(f"event {seq} came after {self.last}")
        self.last, self._is_bound = seq, True
        return cast(Event, event)

    def lost(self, cause: Exception) -> RunnerError:
        """Returns the error to raise if no retry is left. Raises ``cause`` if a retry cannot help."""
        if isinstance(cause, RunnerError):
            if not cause.retryable:
                raise cause
            return cause
        return RunnerError(f"the stream was lost after event {self.last}: {cause}", code="stream_lost", retryable=True)

    def _renewed(self) -> RunnerError:
        sentence = f"the session of event {self.last} was deleted; follow the new session of that name with since=0"
        return RunnerError(sentence, code="session_renewed")
