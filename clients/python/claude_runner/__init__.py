"""A client for Claude Runner: :class:`ClaudeRunner`, and :class:`AsyncClaudeRunner` for asyncio."""

from .aio import AsyncClaudeRunner, AsyncTask
from .client import ClaudeRunner, Task
from .errors import RunnerError
from .retries import Retries
from .types import (
    Aborted,
    Accepted,
    Agent,
    Answer,
    Event,
    Session,
    TaskRecord,
    Ticket,
    Usage,
    UsageReport,
    UsageRow,
)

__all__ = [
    "Aborted",
    "Accepted",
    "Agent",
    "Answer",
    "AsyncClaudeRunner",
    "AsyncTask",
    "ClaudeRunner",
    "Event",
    "Retries",
    "RunnerError",
    "Session",
    "Task",
    "TaskRecord",
    "Ticket",
    "Usage",
    "UsageReport",
    "UsageRow",
]
