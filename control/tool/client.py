"""The blocking client of the control socket: for the tool, for scripts, for the demo.

with ControlClient(path) as client:
    client.call("kill", reason="spread is insane")

A kill waits for the imports of this file. So there is no path object and no orjson in it (orjson
imports eight modules when it is loaded: 9 ms, as long as a bare interpreter takes to start).
"""

import contextlib
import itertools
import json
import os
import socket
import stat
import struct
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, Self

from control.control_errors import (
    BadReplyError,
    CallTimeoutError,
    DaemonUnreachableError,
    ProtocolErrorCode,
    RpcError,
)

if TYPE_CHECKING:
    from control.methods import MethodSpec

_REPLY_BYTES_MAX = 64 * 1024 * 1024
_READ_BYTES = 256 * 1024
_GRACE_S = 2.0
"""Over the server's own deadline, so that its typed answer wins the race."""
_AGAIN_S, _AGAIN_S_MAX = 0.01, 0.25
"""Wait before a stop that lost its place to a crowd asks again; doubled each time."""


class StepListener(Protocol):
    """Is told how far a command has come. Seconds count from the request."""

    def sent(self) -> None:
        """Called once, first, when the bytes of the request have left."""

    def step(self, step: Mapping[str, Any], elapsed_s: float) -> None:
        """Called for each step, and with an empty step when nothing came for `wait_s` seconds."""

    def wait_s(self, elapsed_s: float) -> float:
        """How long to wait for the next step."""


class ControlClient:
    """One connection; calls go one after another. Not for several threads.

    Raises (from every call):
        DaemonUnreachableError: nobody listens, or the connection broke.
        CallTimeoutError: no answer in time; what became of a command is then unknown.
        RpcError: the daemon's typed refusal.
        BadReplyError: what answered is not of our protocol.
    """

    def __init__(self, path: os.PathLike[str] | str, connect_timeout_s: float = 5.0) -> None:
        self.path = os.fspath(path)
        self._ids = itertools.count(1)
        self._buffer = bytearray()
        self.took_s = 0.0
        """How long the last answered call took, seconds."""
        self._connect(connect_timeout_s)

    def _connect(self, connect_timeout_s: float) -> None:
        self._buffer.clear()
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        # A blocking connect with the kernel's own deadline: a socket with Python's timeout would be
        # refused at once (EAGAIN) when a storm has filled the backlog, instead of waiting its turn.
        seconds, rest = divmod(connect_timeout_s, 1)
        self._sock.setsockopt(
            socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(seconds), int(rest * 1e6))
        )
        try:
            self._sock.connect(self.path)
        except OSError as error:
            self._sock.close()
            raise DaemonUnreachableError(_why_unreachable(self.path, error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection. Commands in flight continue in the daemon."""
        self._sock.close()

    def call(self, method: str, timeout_s: float | None = None, **params: Any) -> dict[str, Any]:
        """Send one request and wait for its answer.

        `timeout_s` defaults to the method's own deadline and a little; params that are None are
        left out.
        """
        return self.call_telling(method, None, timeout_s=timeout_s, **params)

    def call_telling(
        self,
        method: str,
        listener: StepListener | None,
        *,
        timeout_s: float | None = None,
        **params: Any,
    ) -> dict[str, Any]:
        """As `call`; the listener hears of every step that the daemon tells of meanwhile.

        What the listener raises ends the call, not the deed. A stop that loses its place to a crowd
        asks again, on a new connection, as long as there is time: to stop twice is to stop.
        """
        if timeout_s is None:
            spec = _spec_of(method)
            timeout_s = (spec.deadline_s if spec is not None else 10.0) + _GRACE_S
        given = {key: value for key, value in params.items() if value is not None}
        deadline_s = time.monotonic() + timeout_s
        again_s = _AGAIN_S
        while True:
            try:
                return self._ask(method, given, deadline_s, listener)
            except RpcError as error:
                in_time = time.monotonic() + again_s < deadline_s
                if error.code != ProtocolErrorCode.TOO_MANY_CLIENTS or not in_time:
                    raise
                spec = _spec_of(method)
                if spec is None or spec.needs != "stopper":
                    raise
            time.sleep(again_s)
            again_s = min(2 * again_s, _AGAIN_S_MAX)
            self.close()
            self._connect(max(0.001, deadline_s - time.monotonic()))

    def _ask(
        self,
        method: str,
        given: Mapping[str, Any],
        deadline_s: float,
        listener: StepListener | None,
    ) -> dict[str, Any]:
        request_id = next(self._ids)
        began_s = time.monotonic()
        self._send(encode_request(request_id, method, given), deadline_s, method)
        if listener is not None:
            listener.sent()
        while True:
            message = self._next(began_s, deadline_s, method, listener)
            if "method" in message:
                told = message.get("params")
                if listener is not None and message["method"] == "step" and isinstance(told, dict):
                    listener.step(told, time.monotonic() - began_s)
                continue  # or an event of a subscription on this connection
            if message.get("id") not in {request_id, None}:
                continue  # an answer to a call that timed out before
            self.took_s = time.monotonic() - began_s
            return _result_of(message)

    def _next(
        self, began_s: float, deadline_s: float, method: str, listener: StepListener | None
    ) -> dict[str, Any]:
        """Wait for the next message; tell the listener while none comes."""
        while listener is not None:
            now_s = time.monotonic()
            try:
                until_s = min(deadline_s, now_s + listener.wait_s(now_s - began_s))
                return self._message(until_s, method)
            except CallTimeoutError:
                if time.monotonic() >= deadline_s:
                    raise
                listener.step({}, time.monotonic() - began_s)
        return self._message(deadline_s, method)

    def follow(
        self,
        types: Sequence[str] = (),
        tail: int = 20,
        *,
        without: Sequence[str] = (),
        bot: str = "",
        wait_s: float | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Yield journal lines as they come; `{"dropped": n}` stands for lines that were lost.

        With `wait_s`, an empty object is yielded whenever nothing came for that long.
        """
        asked: dict[str, Any] = {"types": list(types), "without": list(without), "tail": tail}
        if bot:  # a daemon of an older version does not know the word
            asked["bot"] = bot
        self.call("events", **asked, follow=True)
        while True:
            try:
                deadline_s = None if wait_s is None else time.monotonic() + wait_s
                message = self._message(deadline_s, "events")
            except CallTimeoutError:
                yield {}
                continue
            if message.get("method") == "event":
                yield message["params"]
            elif message.get("method") == "dropped":
                yield {"dropped": message["params"]["count"]}
            elif "error" in message:
                _result_of(message)

    def _send(self, data: bytes, deadline_s: float, method: str) -> None:
        self._sock.settimeout(max(0.001, deadline_s - time.monotonic()))
        try:
            self._sock.sendall(data)
        except TimeoutError as error:
            raise CallTimeoutError(f"the daemon on {self.path} does not read: {method}") from error
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has closed: what it had to say is still to be read
        except OSError as error:
            raise DaemonUnreachableError(_why_unreachable(self.path, error)) from error

    def _message(self, deadline_s: float | None, method: str) -> dict[str, Any]:
        line = self._line(deadline_s, method)
        try:
            message = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadReplyError(f"what answers on {self.path} is no seatrial daemon") from error
        if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
            raise BadReplyError(f"what answers on {self.path} is no seatrial daemon")
        return message

    def _line(self, deadline_s: float | None, method: str) -> bytes:
        scanned = 0
        while (end := self._buffer.find(b"\n", scanned)) < 0:
            scanned = len(self._buffer)
            if scanned > _REPLY_BYTES_MAX:
                raise BadReplyError(f"an endless line from {self.path}")
            left_s = None if deadline_s is None else deadline_s - time.monotonic()
            if left_s is not None and left_s <= 0:
                raise CallTimeoutError(_no_answer(self.path, method))
            self._sock.settimeout(left_s)
            try:
                data = self._sock.recv(_READ_BYTES)
            except TimeoutError as error:
                raise CallTimeoutError(_no_answer(self.path, method)) from error
            except OSError as error:
                raise DaemonUnreachableError(_why_unreachable(self.path, error)) from error
            if not data:
                raise DaemonUnreachableError(
                    f"the daemon on {self.path} closed the connection before it answered {method}; "
                    f"what became of it is unknown"
                )
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line


def encode_request(request_id: str | int, method: str, params: Mapping[str, Any]) -> bytes:
    """One request line, with its end."""
    message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": dict(params)}
    return json.dumps(message, separators=(",", ":"), default=str).encode() + b"\n"


def call(path: os.PathLike[str] | str, method: str, **params: Any) -> dict[str, Any]:
    """One call on a connection of its own."""
    with ControlClient(path) as client:
        return client.call(method, **params)


def _spec_of(method: str) -> "MethodSpec | None":
    """The row of the method table."""
    # Imported here: its models take longer to build than a kill takes to be sent.
    from control.methods import METHODS  # noqa: PLC0415 - see above

    return METHODS.get(method)


def _result_of(message: Mapping[str, Any]) -> dict[str, Any]:
    error = message.get("error")
    if isinstance(error, Mapping):
        raise RpcError(
            int(error.get("code", 0)), str(error.get("message", "")), error.get("data") or {}
        )
    result = message.get("result")
    if not isinstance(result, dict):
        raise BadReplyError("an answer without a result")
    return result


def _no_answer(path: str, method: str) -> str:
    return f"no answer to {method} from the daemon on {path} in time; its outcome is unknown"


def _why_unreachable(path: str, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        why = "there is no socket"
    elif isinstance(error, ConnectionRefusedError):
        why = "nobody listens on it (the daemon has died)"
        with contextlib.suppress(OSError):
            if not stat.S_ISSOCK(os.stat(path).st_mode):  # noqa: PTH116 - no path object
                why = "no socket, something else stands there"
    elif isinstance(error, PermissionError):
        why = "permission denied (are you in the socket's group?)"
    elif isinstance(error, TimeoutError | BlockingIOError):
        why = "it does not take connections (the daemon is stopped or overrun)"
    else:
        why = error.strerror or str(error)
    return f"{path}: {why}"
