"""What the server answers and tells. Each name may be missing where the server is another one than this was written for."""

from typing import Any, Dict, List, Optional, TypedDict


class Usage(TypedDict, total=False):
    requests: int
    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int


class Answer(TypedDict, total=False):
    taskId: str
    sessionId: str
    status: str
    output: Any
    response: str
    cost: float
    cliCost: float
    duration: int
    tools: List[str]
    resumed: bool
    usage: Usage


class Accepted(TypedDict, total=False):
    id: str
    taskId: str
    sessionId: str
    status: str


class Aborted(TypedDict, total=False):
    sessionId: str
    taskId: str
    aborted: bool


class TaskRecord(TypedDict, total=False):
    id: str
    taskId: str
    sessionId: str
    kind: str
    status: str
    prompt: str
    context: Optional[str]
    model: str
    maxTurns: int
    timeoutMs: int
    maxCostUsd: Optional[float]
    metadata: Optional[Dict[str, Any]]
    created: str
    started: Optional[str]
    finished: Optional[str]
    error: Optional[str]
    errorType: Optional[str]
    pr_url: Optional[str]
    stage: Optional[str]
    repo: Optional[str]
    branch: Optional[str]
    summary: Optional[str]
    cost: float
    cliCost: float
    duration: int
    tools: List[str]
    resumed: bool
    usage: Usage
    output: Any
    response: Optional[str]


class Session(TypedDict, total=False):
    sessionId: str
    agent: str
    created: str
    lastActive: str
    turns: int
    busy: bool
    queued: int
    state: str
    seq: int
    sdkSessionId: Optional[str]
    credential: str


class Agent(TypedDict, total=False):
    name: str
    description: Optional[str]
    default: bool
    model: str
    maxTurns: int
    timeoutMs: int
    maxCostUsd: Optional[float]
    permissionMode: str
    env: List[str]
    mcpServers: List[str]
    error: Optional[str]


class Ticket(TypedDict, total=False):
    ticket: str
    expiresAt: str
    protocols: List[str]


class UsageRow(TypedDict, total=False):
    day: str
    key: Optional[str]
    sessionId: Optional[str]
    model: Optional[str]
    requests: int
    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    cost: float
    estimatedCost: float
    cliCost: Optional[float]


UsageReport = TypedDict(
    "UsageReport",
    {
        "from": str,
        "to": str,
        "by": List[str],
        "totals": UsageRow,
        "rows": List[UsageRow],
        "truncated": bool,
    },
    total=False,
)


#: An event of a session, of any ``type``; which type has what is in the server's ``/asyncapi.json``. Types may be added.
Event = TypedDict(
    "Event",
    {
        "type": str,
        "seq": int,
        "ts": str,
        "taskId": str,
        "sessionId": str,
        "position": int,
        "reason": str,
        "stage": str,
        "repo": str,
        "branch": str,
        "prUrl": str,
        "model": str,
        "tools": List[str],
        "claudeSessionId": str,
        "parentToolUseId": str,
        "text": str,
        "tool": str,
        "input": Any,
        "truncated": bool,
        "toolUseId": str,
        "result": str,
        "isError": bool,
        "attempt": int,
        "maxRetries": int,
        "delayMs": int,
        "status": Any,
        "discardsFrom": int,
        "phase": str,
        "frame": Any,
        "output": Any,
        "response": str,
        "cost": float,
        "cliCost": float,
        "duration": int,
        "resumed": bool,
        "usage": Usage,
        "errorType": str,
        "error": str,
        "by": str,
        "from": int,
        "to": int,
        "event": Any,
    },
    total=False,
)
