"""The server for these tests, started like the one in tests/browser/server.js."""

import json
import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[3]
TARGET = Path(os.environ.get("TARGET_DIR", ROOT / "target"))
KEY = "0123456789abcdef0123456789abcdef"


class Server:
    """A scripted model, and a server that can be killed and started again at the same address."""

    def __init__(self, place: Path) -> None:
        self.place = place
        (place / "run").mkdir(mode=0o700)
        (place / "agent").mkdir()
        (place / "agent/AGENTS.md").write_text("# An agent\n\nAnswer what you are asked.\n")
        self.programs: List[subprocess.Popen[bytes]] = []
        self.model_url = self.program("scripted-model", ["--port", "0"], {}, "listens on ")
        self.port = "0"
        self.runner: Optional[subprocess.Popen[bytes]] = None
        self.up()

    def up(self) -> None:
        env = {
            "ANTHROPIC_BASE_URL": self.model_url, "ANTHROPIC_API_KEY": "sk-ant-scripted", "API_KEYS": KEY, "HOST": "127.0.0.1",
            "PORT": self.port, "DATA_DIR": str(self.place / "data"), "RUNTIME_DIR": str(self.place / "run"),
            "AGENT_DIR": str(self.place / "agent"), "DRAIN": "handoff", "CORS_ORIGINS": "", "ALLOWED_HOSTS": "",
        }
        address = self.program("claude-runner", ["serve"], env, "listening address=")
        self.runner = self.programs[-1]
        self.port = address.rsplit(":", 1)[1]
        self.url = f"http://{address}"

    def program(self, name: str, arguments: List[str], env: Dict[str, str], mark: str) -> str:
        """Starts a process and returns the word after ``mark`` in its log."""
        log = self.place / f"{name}-{len(self.programs)}.log"
        inherited = {key: value for key, value in os.environ.items() if key != "CLAUDE_CODE_OAUTH_TOKEN"}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [TARGET / "debug" / name, *arguments], cwd=self.place, env={**inherited, "NO_COLOR": "1", **env},
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            )
        self.programs.append(process)
        while True:
            text = log.read_text(errors="replace")
            if mark in text and "\n" in text.split(mark, 1)[1]:
                return text.split(mark, 1)[1].split()[0]
            assert process.poll() is None, f"{name} ended: {text[-2000:]}"
            time.sleep(0.05)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def end(self) -> None:
        """Stops the server as an operator does: it closes its streams, and running tasks continue without it."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        assert self.runner
        self.runner.send_signal(how)
        self.runner.wait()

    def call(self, method: str, path: str, **more: Any) -> Any:
        headers = {"authorization": f"Bearer {KEY}", **more.pop("headers", {})}
        return httpx.request(method, self.url + path, headers=headers, timeout=60, **more)

    def export(self, session: str) -> List[Dict[str, Any]]:
        """Returns all stored events of a session."""
        answer = self.call("GET", f"/session/{session}/events", headers={"accept": "application/x-ndjson"})
        return [json.loads(line) for line in answer.text.splitlines()]

    def stop(self) -> None:
        for session in self.call("GET", "/sessions").json():
            self.call("DELETE", f"/session/{session['sessionId']}")
        for process in reversed(self.programs):
            if process.poll() is None:
                process.terminate()
                process.wait()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    # The path is short, because a socket's path has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="cr-", dir="/tmp") as place:
        server = Server(Path(place))
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture
def free_port() -> int:
    """Returns a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
