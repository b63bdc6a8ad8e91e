"""What went wrong."""

import json
from typing import Any, Dict, Optional

import httpx


class RunnerError(Exception):
    """An answer of the server (``status`` is its HTTP status), or none at all (``status`` is 0 and ``code`` one of
    ``unreachable``, ``cut``, ``stream_lost``, ``events_missing``, ``session_renewed``)."""

    status: int
    #: Stable; decide on it.
    code: str
    #: The same request may succeed later.
    retryable: bool
    #: Seconds after which to try again, where the server says so.
    retry_after: Optional[float]
    #: Of a task that did not complete.
    error_type: Optional[str]
    task_id: Optional[str]
    #: The whole answer; of a task that failed with what it cost.
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
        """A task that failed has failed, whatever its status: asked once more it would be told once more."""
        return self.retryable and self.error_type is None


def error_of(answer: httpx.Response) -> RunnerError:
    """The error of an answer that is not a good one and whose body was read; also of a proxy's, which is no problem+json."""
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
        # A gateway's own answer while the server behind it is away.
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
