"""Runs a control server in its thread for a test, and speaks to it in raw bytes."""

import contextlib
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from control.peer_identity import ControlConfig
from control.server.control_server import ControlThread
from tests.support.control_port import FakePort

DEADLINE_S = 60.0


@contextlib.contextmanager
def serving(directory: Path, port: FakePort | None = None, **settings: Any) -> Iterator[Path]:
    """Serve `port` on a socket in `directory`; yields the socket's path."""
    path = directory / "control.sock"
    thread = ControlThread(ControlConfig(path, **settings), port or FakePort())
    thread.start()
    try:
        yield path
    finally:
        assert thread.stop(), "the control thread did not end"


def eventually(condition: Callable[[], bool]) -> None:
    """Wait for a condition that another thread brings about."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


class RawClient:
    """Bytes in, lines out; keeps no rule of the protocol."""

    def __init__(self, path: Path) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE_S)
        self.sock.connect(str(path))
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        """Write, whatever becomes of it."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(data)

    def line(self) -> dict[str, Any] | None:
        """The next answer, or None when the server has closed."""
        while b"\n" not in self._buffer:
            try:
                data = self.sock.recv(65536)
            except ConnectionResetError:
                return None
            if not data:
                assert not self._buffer, f"half a line from the server: {self._buffer!r}"
                return None
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, method: str, request_id: Any = 1, **params: Any) -> dict[str, Any]:
        """One well-formed call."""
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        self.send(json.dumps(message).encode() + b"\n")
        answer = self.line()
        assert answer is not None
        return answer

    def closed(self) -> bool:
        """Whether the server has closed, with nothing more to say."""
        return self.line() is None
