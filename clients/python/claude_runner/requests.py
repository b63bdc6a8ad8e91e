"""The server's calls: method, path, headers and body of each. No I/O."""

import secrets
from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional
from urllib.parse import quote

from .follow import EventCursor


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    body: Optional[Mapping[str, Any]] = None
    headers: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: The request is idempotent, so it may be sent twice.
    repeatable: bool = True

    @property
    def query(self) -> Dict[str, str]:
        return {name: str(value) for name, value in self.parameters.items() if value is not None}


def part(text: str) -> str:
    """Escapes one segment of a path."""
    return quote(text, safe="")


def submit(body: Mapping[str, Any], idempotency_key: Optional[str], *, wait: bool) -> Call:
    """Generates an idempotency key if the caller gives none, so that a retry creates no second task."""
    headers = {"idempotency-key": idempotency_key or secrets.token_hex(16)}
    if not wait:
        headers["prefer"] = "respond-async"
    return Call("POST", "/task", body={name: value for name, value in body.items() if value is not None}, headers=headers)


def abort(id: str, mode: Optional[str]) -> Call:
    return Call("POST", f"/task/{part(id)}/abort", parameters={"mode": mode})


def retry(id: str) -> Call:
    return Call("POST", f"/task/{part(id)}/retry", repeatable=False)


def task(id: str) -> Call:
    return Call("GET", f"/task/{part(id)}")


def first_event(id: str) -> Call:
    return Call("GET", f"/task/{part(id)}/logs", parameters={"format": "ndjson"})


def tasks(**parameters: Any) -> Call:
    return Call("GET", "/tasks", parameters=parameters)


def sessions() -> Call:
    return Call("GET", "/sessions")


def session(id: str) -> Call:
    return Call("GET", f"/session/{part(id)}")


def reset_session(id: str) -> Call:
    return Call("POST", f"/session/{part(id)}/reset")


def delete_session(id: str) -> Call:
    return Call("DELETE", f"/session/{part(id)}")


def ticket(id: str, origin: Optional[str]) -> Call:
    return Call("POST", f"/session/{part(id)}/ticket", body=None if origin is None else {"origin": origin})


def usage(**parameters: Any) -> Call:
    return Call("GET", "/usage", parameters=parameters)


def agents() -> Call:
    return Call("GET", "/agents")


def events(id: str, since: EventCursor) -> Call:
    return Call(
        "GET", f"/session/{part(id)}/events", headers={"accept": "text/event-stream"}, parameters={"since": since}
    )


#: The optional fields of a task: the name in Python and the name in JSON.
FIELDS = {
    "agent": "agent",
    "context": "context",
    "env": "env",
    "model": "model",
    "max_turns": "maxTurns",
    "timeout_ms": "timeoutMs",
    "max_cost_usd": "maxCostUsd",
    "retry": "retry",
    "metadata": "metadata",
    "webhook": "webhook",
    "asks": "asks",
}

#: The optional fields of a repository task.
REPOSITORY_FIELDS = {
    **{name: wire for name, wire in FIELDS.items() if name not in ("agent", "asks")},
    "repo": "repo",
    "base": "base",
    "branch": "branch",
}


def session_task(session_id: str, message: str, fields: Mapping[str, Any]) -> Dict[str, Any]:
    return {"sessionId": session_id, "message": message, **_renamed(fields, FIELDS)}


def repository_task(prompt: str, fields: Mapping[str, Any]) -> Dict[str, Any]:
    return {"prompt": prompt, **_renamed(fields, REPOSITORY_FIELDS)}


def _renamed(fields: Mapping[str, Any], names: Mapping[str, str]) -> Dict[str, Any]:
    for name in fields:
        if name not in names:
            raise TypeError(f"a task has no {name!r}, only {', '.join(names)}")
    return {names[name]: value for name, value in fields.items()}
