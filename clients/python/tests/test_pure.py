"""Tests that need no server: the order of events, the delays, and the types against the server's documents."""

import json
import subprocess
import sys
from typing import Any, Dict, get_type_hints

import pytest

from claude_runner import RunnerError, types
from claude_runner.follow import Cut, Place, ServerSent
from claude_runner.requests import FIELDS, REPOSITORY_FIELDS
from claude_runner.retries import Backoff, Retries
from conftest import ROOT

DOCUMENTS = ROOT / "crates/api/src"


def schemas(document: str) -> Dict[str, Any]:
    parsed: Dict[str, Any] = json.loads((DOCUMENTS / document).read_text())
    found: Dict[str, Any] = parsed["components"]["schemas"]
    return found


def test_types_are_those_of_the_documents() -> None:
    api = schemas("openapi.json")
    for name in ("Usage", "Answer", "Accepted", "Aborted", "Session", "Agent", "Ticket", "UsageRow", "UsageReport"):
        assert set(get_type_hints(getattr(types, name))) == set(api[name]["properties"]), name
    assert set(get_type_hints(types.TaskRecord)) == set(api["Task"]["properties"])
    events = schemas("asyncapi.json")
    kinds = [reference["$ref"].rsplit("/", 1)[1] for reference in events["Event"]["oneOf"]]
    told = {name for kind in kinds if kind != "Connected" for name in events[kind]["properties"]}
    assert set(get_type_hints(types.Event)) == told
    request = set(api["SessionTaskRequest"]["properties"]) - {"sessionId", "message", "async"}
    assert set(FIELDS.values()) == request
    assert set(REPOSITORY_FIELDS.values()) == set(api["RepositoryTaskRequest"]["properties"]) - {"prompt"}


def test_the_sync_client_is_the_other_one_without_asyncio() -> None:
    subprocess.run([sys.executable, "scripts/unasync.py", "--check"], check=True, cwd=ROOT / "clients/python")


def event(seq: int, kind: str = "text") -> Dict[str, Any]:
    return {"type": kind, "seq": seq}


def test_nothing_comes_twice_and_nothing_is_missed() -> None:
    place = Place(3)
    place.connected(9)
    assert [place.take(event(seq)) is not None for seq in (4, 5, 5, 4, 6)] == [True, True, False, False, True]
    with pytest.raises(Cut):
        place.take(event(8))
    # The client reconnects at its position; if the same event is missing again, the stream fails.
    place.connected(9)
    with pytest.raises(RunnerError) as missing:
        place.take(event(8))
    assert missing.value.code == "events_missing"
    # A gap that the server reports is not an error.
    place.take({"type": "gap", "from": 7, "to": 20})
    assert place.take(event(21)) is not None
    with pytest.raises(RunnerError) as renewed:
        place.connected(1)
    assert renewed.value.code == "session_renewed"
    fresh = Place(5)
    with pytest.raises(RunnerError):
        fresh.take(event(2))


FIRST, SECOND = "0" * 15 + "1", "0" * 15 + "2"


def test_a_cursor_is_of_one_life_of_its_session() -> None:
    place = Place(3)
    assert place.cursor == 3
    place.connected(epoch=FIRST)
    place.take(event(4))
    assert place.cursor == f"{FIRST}-4"
    for life in (
        lambda: place.connected(epoch=SECOND),
        lambda: place.take({"type": "gap", "from": 1, "to": 0, "reason": "renewed", "epoch": SECOND}),
        lambda: Place(f"{FIRST}-0").connected(epoch=SECOND),
    ):
        with pytest.raises(RunnerError) as renewed:
            life()
        assert renewed.value.code == "session_renewed"
    # A reader that has received nothing has lost nothing.
    early = Place(0)
    early.connected(epoch=FIRST)
    assert early.cursor == 0
    early.connected(epoch=SECOND)
    early.take(event(1))
    assert early.cursor == f"{SECOND}-1"
    with pytest.raises(ValueError):
        Place("-1")


def test_server_sent_events_may_be_cut_anywhere() -> None:
    text = ": comment\n\nid: 1\ndata: {\"type\":\"text\",\"text\":\"a\\n\\nb\"}\n\ndata: {\"type\":\"gap\"}\n\n"
    for at in range(len(text)):
        parser = ServerSent()
        assert parser.feed(text[:at]) + parser.feed(text[at:]) == [{"type": "text", "text": "a\n\nb"}, {"type": "gap"}]


def test_waits_grow_to_a_bound_and_end() -> None:
    backoff = Backoff(Retries(tries=6, first_wait=1.0, longest_wait=4.0))
    error = RuntimeError("x")
    waits = [backoff.wait_after(error, None) for _ in range(5)]
    assert all(low <= wait <= high for wait, (low, high) in zip(waits, [(0.5, 1), (1, 2), (2, 4), (2, 4), (2, 4)]))
    assert backoff.wait_after(error, 30.0) == 30.0
    with pytest.raises(RuntimeError):
        backoff.wait_after(error, None)
    backoff.reset()
    with pytest.raises(RuntimeError):
        backoff.wait_after(error, 61.0)
