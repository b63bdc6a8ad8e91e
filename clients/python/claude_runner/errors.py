"""The error of a call."""

import json
from typing import Any, Dict, Optional

import httpx


class RunnerError(Exception):
    """The error of a call. ``status`` is the HTTP status of the server's answer. Without an answer, ``status`` is 0 and ``code`` is
    one of ``unreachable``, ``cut``, ``stream_lost``, ``events_missing``, ``session_renewed``."""

    status: int
    #: A stable identifier of the error.
    code: str
    #: The same request may succeed later.
    retryable: bool
    #: Seconds to wait before a retry, if the server names them.
    retry_after: Optional[float]
    #: The error type of a task that did not complete.
    error_type: Optional[str]
    task_id: Optional[str]
    #: The whole body; for a failed task it includes ``cost``.
    problem: Dict[str, Any]

    def __init__(
        self,
        message: str,
        *,
        code: str,
        status: int = 0,
        retryable: bool = False,
        retry_after: Optional[float] = None,
        problem: Optional[Dict[str, Any]] = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retryable = retryable
        self.retry_after = retry_after
        self.problem = problem or {}
        self.error_type = self.problem.get("errorType")
        self.task_id = self.problem.get("taskId")

    @property
    def may_succeed_later(self) -> bool:
        """A failed task is final; repeating the request returns the same failure."""
        return self.retryable and self.error_type is None


def error_of(answer: httpx.Response) -> RunnerError:
    """Converts an answer with an error status, whose body was read. The answer of a proxy may not be problem+json."""
    try:
        parsed = json.loads(answer.text)
    except ValueError:
        parsed = None
    problem: Dict[str, Any] = parsed if isinstance(parsed, dict) else {}
    try:
        retry_after: Optional[float] = float(answer.headers["retry-after"])
    except (KeyError, ValueError):
        retry_after = None
    return RunnerError(
        problem.get("error") or f"the server answered {answer.status_code} {answer.reason_phrase}".strip(),
        status=answer.status_code,
        code=problem.get("code") or f"http_{answer.status_code}",
        # A proxy sends these while the server behind it is down.
        retryable=bool(problem.get("retryable", answer.status_code in (502, 503, 504))),
        retry_after=retry_after,
        problem=problem,
    )


def unreachable(url: str) -> RunnerError:
    return RunnerError(f"the server at {url} does not answer", code="unreachable", retryable=True)


def cut() -> RunnerError:
    return RunnerError("the answer was cut", code="cut", retryable=True)


def task_failure(sentence: str, error_type: str, task_id: str) -> RunnerError:
    return RunnerError(sentence, code=error_type, problem={"errorType": error_type, "taskId": task_id})
