"""The client for asyncio."""

import asyncio
import time
from types import TracebackType
from typing import Any, AsyncGenerator, Callable, List, Optional, Type, cast

import httpx

from . import requests
from .errors import RunnerError, cut, error_of, task_failure, unreachable
from .follow import EPOCH, FINAL, SILENCE, Cut, EventCursor, Place, ServerSent
from .requests import Call
from .retries import Backoff, Retries
from .types import Aborted, Agent, Answer, Event, Session, TaskRecord, Ticket, UsageReport

#: A synchronous task answers when it ends. After this many seconds without an answer, the request is repeated with the same key.
ANSWER = 300.0
#: A request that fails after more seconds had been accepted, so it resets the retries.
LONG_ANSWER = 60.0

OnState = Callable[[str], None]


class AsyncClaudeRunner:
    """A Claude Runner server. Every call raises :class:`RunnerError` on failure. Idempotent calls are retried.

    Cancelling a call ends the request, not the task."""

    def __init__(
        self,
        url: str,
        key: Optional[str] = None,
        *,
        retries: Optional[Retries] = None,
        client: Optional[httpx.AsyncClient] = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._retries = retries or Retries()
        self._client = client or httpx.AsyncClient(timeout=httpx.Timeout(10.0, read=ANSWER, pool=None))

    async def submit(
        self, session_id: str, message: str, *, idempotency_key: Optional[str] = None, **fields: Any
    ) -> Answer:
        """Sends a message and waits for the answer, also while a person decides about a call. After a restart of the server, it
        repeats the request for the same task.

        ``fields``: ``agent``, ``context``, ``env``, ``model``, ``max_turns``, ``timeout_ms``, ``max_cost_usd``, ``retry``,
        ``metadata``, ``webhook``, ``asks``."""
        body = requests.session_task(session_id, message, fields)
        answer = await self._json(requests.submit(body, idempotency_key, wait=True))
        if answer.get("waiting"):
            # The server answers at once when a task begins to wait for a person.
            return await AsyncTask(self, answer["taskId"], session_id).result()
        return cast(Answer, answer)

    async def start(
        self, session_id: str, message: str, *, idempotency_key: Optional[str] = None, **fields: Any
    ) -> "AsyncTask":
        """Submits a message and returns without waiting for the answer. ``fields`` are those of :meth:`submit`."""
        body = requests.session_task(session_id, message, fields)
        return await self._started(requests.submit(body, idempotency_key, wait=False))

    async def start_repository(
        self, prompt: str, *, idempotency_key: Optional[str] = None, **fields: Any
    ) -> "AsyncTask":
        """Starts a repository task. ``fields`` are those of :meth:`submit` without ``agent`` and ``asks``, and ``repo``, ``base``,
        ``branch``."""
        body = requests.repository_task(prompt, fields)
        return await self._started(requests.submit(body, idempotency_key, wait=False))

    async def stream(
        self, session_id: str, *, since: Optional[EventCursor] = None, on_state: Optional[OnState] = None
    ) -> AsyncGenerator[Event, None]:
        """Yields a session's events after ``since`` (``EPOCH-SEQ`` or ``SEQ``, 0: all), or from now on. Reconnects after every
        interruption; ends when the session is deleted. ``on_state`` is called with ``live`` or ``lost``."""
        # The position is read before the stream opens, so that an early interruption loses no event.
        place = Place(await self._latest(session_id) if since is None else since)
        backoff = Backoff(self._retries)
        while True:
            try:
                call = requests.events(session_id, place.cursor)
                async with self._open(call, read=SILENCE) as answer:
                    await self._check(answer)
                    place.connected(epoch=answer.headers.get(EPOCH))
                    if on_state:
                        on_state("live")
                    parser = ServerSent()
                    async for text in answer.aiter_text():
                        for raw in parser.feed(text):
                            event = place.take(raw)
                            if event is None:
                                continue
                            backoff.reset()
                            yield event
                            if event["type"] == "session_deleted":
                                return
                raise Cut("the server ended the stream")
            except (Cut, RunnerError, httpx.TransportError) as error:
                lost = place.lost(error)
                wait = backoff.wait_after(lost, lost.retry_after)
            if on_state:
                on_state("lost")
            await asyncio.sleep(wait)

    async def abort(self, id: str, *, mode: Optional[str] = None) -> Aborted:
        """Aborts one task, or every running and queued task of a session. ``mode``: ``kill``, or ``interrupt`` to keep the container."""
        return cast(Aborted, await self._json(requests.abort(id, mode)))

    async def attach(self, task_id: str) -> "AsyncTask":
        """Returns a handle for an existing task id."""
        return AsyncTask(self, task_id, (await self.task(task_id))["sessionId"])

    async def task(self, id: str) -> TaskRecord:
        return cast(TaskRecord, await self._json(requests.task(id)))

    async def retry(self, id: str) -> "AsyncTask":
        """Submits the task again as a new task."""
        return await self._started(requests.retry(id))

    async def tasks(
        self,
        *,
        limit: Optional[int] = None,
        status: Optional[str] = None,
        session_id: Optional[str] = None,
        q: Optional[str] = None,
        full: bool = False,
    ) -> List[TaskRecord]:
        """Returns a page of tasks, newest first; with ``full``, each has its output and response."""
        call = requests.tasks(limit=limit, status=status, sessionId=session_id, q=q, full=1 if full else None)
        return cast(List[TaskRecord], await self._json(call))

    async def sessions(self) -> List[Session]:
        return cast(List[Session], await self._json(requests.sessions()))

    async def session(self, id: str) -> Session:
        return cast(Session, await self._json(requests.session(id)))

    async def reset_session(self, id: str) -> bool:
        """Restores the template's files and forgets the conversation. Returns false if there is no such session."""
        return bool((await self._json(requests.reset_session(id)))["reset"])

    async def delete_session(self, id: str) -> None:
        await self._json(requests.delete_session(id))

    async def ticket(self, session_id: str, *, origin: Optional[str] = None) -> Ticket:
        """Issues a ticket with which a page opens the stream once. ``origin`` is the page's."""
        return cast(Ticket, await self._json(requests.ticket(session_id, origin)))

    async def usage(
        self,
        *,
        by: Optional[str] = None,
        from_: Optional[str] = None,
        to: Optional[str] = None,
        session_id: Optional[str] = None,
        key: Optional[str] = None,
        model: Optional[str] = None,
    ) -> UsageReport:
        parameters = {"by": by, "from": from_, "to": to, "sessionId": session_id, "key": key, "model": model}
        return cast(UsageReport, await self._json(requests.usage(**parameters)))

    async def agents(self) -> List[Agent]:
        return cast(List[Agent], await self._json(requests.agents()))

    async def first_event(self, task_id: str) -> Optional[int]:
        """The ``seq`` of a task's first stored event; ``None`` if retention has removed its events."""
        line, _ = await self._retrying(requests.first_event(task_id), self._first_line)
        return None if line is None else int(line["seq"])

    async def before_task(self, task_id: str) -> Optional[EventCursor]:
        """The position before a task's first stored event; ``None`` if retention has removed its events."""
        line, epoch = await self._retrying(requests.first_event(task_id), self._first_line)
        if line is None:
            return None
        before = int(line["seq"]) - 1
        return f"{epoch}-{before}" if epoch else before

    async def aclose(self) -> None:
        await self._client.aclose()

    async def __aenter__(self) -> "AsyncClaudeRunner":
        return self

    async def __aexit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        await self.aclose()

    async def _started(self, call: Call) -> "AsyncTask":
        accepted = await self._json(call)
        return AsyncTask(self, accepted["taskId"], accepted["sessionId"])

    async def _latest(self, session_id: str) -> EventCursor:
        try:
            session = await self._json(requests.session(session_id))
            return f"{session['epoch']}-{session['seq']}" if "epoch" in session else int(session["seq"])
        except RunnerError as error:
            if error.code == "session_not_found":
                return 0
            raise

    async def _json(self, call: Call) -> Any:
        return await self._retrying(call, self._once)

    async def _retrying(self, call: Call, attempt: Callable[[Call], Any]) -> Any:
        backoff = Backoff(self._retries)
        while True:
            began = time.monotonic()
            try:
                return await attempt(call)
            except RunnerError as error:
                if not (call.repeatable and error.may_succeed_later):
                    raise
                # A long task can outlive its connection. Such a failure is not a repeated one.
                if time.monotonic() - began > LONG_ANSWER:
                    backoff.reset()
                wait = backoff.wait_after(error, error.retry_after)
            await asyncio.sleep(wait)

    async def _once(self, call: Call) -> Any:
        try:
            async with self._open(call) as answer:
                await self._check(answer)
                await answer.aread()
        except httpx.TransportError as error:
            raise unreachable(self._url) from error
        if answer.status_code == 204:
            return None
        try:
            return answer.json()
        except ValueError as error:
            raise cut() from error

    async def _first_line(self, call: Call) -> Any:
        try:
            async with self._open(call) as answer:
                await self._check(answer)
                async for line in answer.aiter_lines():
                    if line:
                        return httpx.Response(200, text=line).json(), answer.headers.get(EPOCH)
                return None, None
        except httpx.TransportError as error:
            raise unreachable(self._url) from error
        except ValueError as error:
            raise cut() from error

    def _open(self, call: Call, *, read: float = ANSWER) -> Any:
        return self._client.stream(
            call.method,
            self._url + call.path,
            json=call.body,
            params=call.query,
            headers={"accept": "application/json", **self._headers, **call.headers},
            timeout=httpx.Timeout(10.0, read=read, pool=None),
        )

    @staticmethod
    async def _check(answer: httpx.Response) -> None:
        if not answer.is_success:
            await answer.aread()
            raise error_of(answer)


class AsyncTask:
    """A task that the server has accepted. It continues to run if this object is dropped."""

    def __init__(self, runner: AsyncClaudeRunner, id: str, session_id: str) -> None:
        self._runner = runner
        self.id = id
        self.session_id = session_id

    async def events(self, *, on_state: Optional[OnState] = None) -> AsyncGenerator[Event, None]:
        """Yields the task's events from the first to the last, across restarts of the server. Ends after the final event."""
        since = await self._runner.before_task(self.id)
        # Retention has removed all events, and no new ones follow.
        if since is None:
            return
        stream = self._runner.stream(self.session_id, since=since, on_state=on_state)
        try:
            async for event in stream:
                is_own = event.get("taskId") == self.id
                if is_own or event["type"] == "gap":
                    yield event
                if (is_own and event["type"] in FINAL) or event["type"] == "session_deleted":
                    return
        except RunnerError as error:
            # The session was deleted, and the task ended with it.
            if error.code != "session_renewed":
                raise
        finally:
            await stream.aclose()

    async def result(self) -> Answer:
        """Waits for the end. Raises a :class:`RunnerError` with an ``error_type`` if the task did not complete."""
        events = self.events()
        try:
            async for event in events:
                if event["type"] == "task_complete":
                    answer = {name: value for name, value in event.items() if name not in ("type", "seq", "ts")}
                    return cast(Answer, answer)
                if event["type"] in FINAL:
                    raise task_failure(event["error"], event["errorType"], self.id)
        finally:
            await events.aclose()
        record = await self.show()
        if record["status"] != "completed":
            sentence = record.get("error") or "the task did not complete"
            raise task_failure(sentence, record.get("errorType") or "deleted", self.id)
        return cast(Answer, record)

    async def show(self) -> TaskRecord:
        return await self._runner.task(self.id)

    async def abort(self, *, mode: Optional[str] = None) -> Aborted:
        return await self._runner.abort(self.id, mode=mode)
