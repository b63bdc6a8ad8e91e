"""Both clients against the real server."""

import asyncio
import threading
from typing import Any, AsyncIterator, Dict, List, Optional, Union

import pytest

from claude_runner import AsyncClaudeRunner, ClaudeRunner, Retries, RunnerError
from conftest import KEY, Server


class Sync:
    """Gives the synchronous client the interface of the other one, so that one test drives both."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        self.runner = ClaudeRunner(*arguments, **more)

    def __getattr__(self, name: str) -> Any:
        member = getattr(self.runner, name)

        async def call(*arguments: Any, **more: Any) -> Any:
            return await asyncio.to_thread(member, *arguments, **more)

        return call

    async def events_of(self, task: Any) -> AsyncIterator[Dict[str, Any]]:
        events = task.events()
        while (event := await asyncio.to_thread(next, events, None)) is not None:
            yield event

    async def stream_of(self, session: str, since: Union[int, str, None]) -> AsyncIterator[Dict[str, Any]]:
        events = self.runner.stream(session, since=since)
        while (event := await asyncio.to_thread(next, events, None)) is not None:
            yield event

    async def of(self, call: Any) -> Any:
        return await asyncio.to_thread(call)


class Async(AsyncClaudeRunner):
    def events_of(self, task: Any) -> Any:
        return task.events()

    def stream_of(self, session: str, since: Union[int, str, None]) -> Any:
        return self.stream(session, since=since)

    async def of(self, call: Any) -> Any:
        return await call()


CLIENTS = pytest.mark.parametrize("client", [Sync, Async])


@CLIENTS
def test_submits_streams_and_aborts(server: Server, client: Any) -> None:
    async def scenario() -> None:
        name = f"use-{client.__name__}"
        runner = client(server.url, KEY)
        answer = await runner.submit(name, "say:hello there", metadata={"n": 1})
        assert (answer["status"], answer["response"], answer["sessionId"]) == ("completed", "hello there", name)

        task = await runner.start(name, "think:once more")
        events = [event async for event in runner.events_of(task)]
        assert {event["taskId"] for event in events} == {task.id}
        assert events == [event for event in server.export(name) if event.get("taskId") == task.id]
        assert (events[0]["type"], events[-1]["type"]) == ("task_queued", "task_complete")
        result = await runner.of(task.result)
        assert {**result} == {name: value for name, value in events[-1].items() if name not in ("type", "seq", "ts")}

        # Two clients with one key create one task.
        same = [await runner.start(name, "say:same", idempotency_key=f"same-{name}") for _ in range(2)]
        assert same[0].id == same[1].id
        with pytest.raises(RunnerError) as other:
            await runner.start(name, "say:other", idempotency_key=f"same-{name}")
        assert (other.value.status, other.value.code, other.value.retryable) == (422, "idempotency_conflict", False)

        long = await runner.start(name, "bash:sleep 100")
        async for event in runner.events_of(long):
            if event["type"] == "tool_start":
                assert (await runner.abort(long.id))["aborted"] is True
        assert event["type"] == "abort" and event["by"] == "request"
        with pytest.raises(RunnerError) as aborted:
            await runner.of(long.result)
        assert (aborted.value.code, aborted.value.error_type, aborted.value.task_id) == ("aborted", "aborted", long.id)

        assert (await runner.task(task.id))["status"] == "completed"
        assert [record["id"] for record in await runner.tasks(session_id=name, status="aborted")] == [long.id]
        assert name in [session["sessionId"] for session in await runner.sessions()]
        assert (await runner.usage(session_id=name, by="session"))["totals"]["requests"] >= 3
        assert (await runner.agents())[0]["default"] is True
        assert (await runner.ticket(name))["protocols"][0] == "claude-runner"

        seen = runner.stream_of(name, 0)
        first = await seen.__anext__()
        assert first["seq"] == 1
        session = await runner.session(name)
        assert await runner.reset_session(name) is True
        await runner.delete_session(name)
        assert [event["type"] async for event in seen][-1] == "session_deleted"
        with pytest.raises(RunnerError) as renewed:
            async for event in runner.stream_of(name, first["seq"]):
                pass
        assert renewed.value.code == "session_renewed"

        # The new life has an event at the old cursor's number, and the client distinguishes them.
        old = f"{session['epoch']}-{first['seq']}"
        again = await runner.start(name, "say:anew")
        assert [event["type"] async for event in runner.events_of(again)][-1] == "task_complete"
        assert (await runner.session(name))["epoch"] != session["epoch"]
        with pytest.raises(RunnerError) as renewed:
            async for event in runner.stream_of(name, old):
                pass
        assert renewed.value.code == "session_renewed"

    asyncio.run(scenario())


@CLIENTS
@pytest.mark.parametrize("way", ["kill", "end"])
def test_goes_on_after_the_server_was_killed_or_stopped(server: Server, client: Any, way: str) -> None:
    async def scenario() -> None:
        name = f"{way}-{client.__name__}"
        runner = client(server.url, KEY)
        task = await runner.start(name, "slow:60")
        # A synchronous caller waits behind that task, across the same fault.
        waiting = asyncio.ensure_future(runner.submit(name, "say:still here"))
        events: List[Dict[str, Any]] = []
        again: Optional[threading.Thread] = None
        async for event in runner.events_of(task):
            events.append(event)
            if again is None and sum(event["type"] == "text" for event in events) == 10:
                getattr(server, way)()
                again = threading.Thread(target=server.up)
                again.start()
        assert again is not None
        again.join()
        assert events[-1]["type"] == "task_complete" and "w59" in events[-1]["response"]
        assert events == [event for event in server.export(name) if event.get("taskId") == task.id]
        assert (await waiting)["response"] == "still here"
        assert len(await runner.tasks(session_id=name)) == 2

    asyncio.run(scenario())


@CLIENTS
def test_errors_have_a_code_and_no_server_is_waited_for_without_end(server: Server, client: Any, free_port: int) -> None:
    async def scenario() -> None:
        stranger = client(server.url, "wrong")
        calls = [stranger.submit("s", "say:no"), stranger.sessions(), stranger.stream_of("s", 0).__anext__()]
        for call in calls:
            with pytest.raises(RunnerError) as error:
                await call
            assert (error.value.status, error.value.code, error.value.retryable) == (401, "unauthorized", False)

        with pytest.raises(RunnerError, match="maxTurns") as invalid:
            await client(server.url, KEY).submit("s", "say:no", max_turns=0)
        assert (invalid.value.status, invalid.value.code) == (400, "invalid_request")
        with pytest.raises(TypeError, match="maxturns"):
            await client(server.url, KEY).submit("s", "say:no", maxturns=1)

        nobody = client(f"http://127.0.0.1:{free_port}", KEY, retries=Retries(tries=2, first_wait=0.01))
        for call in [nobody.sessions(), nobody.stream_of("s", 0).__anext__()]:
            with pytest.raises(RunnerError) as error:
                await call
            assert error.value.code in ("unreachable", "stream_lost")

    asyncio.run(scenario())
