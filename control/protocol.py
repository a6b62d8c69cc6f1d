"""JSON-RPC 2.0, one line a message. Sans-IO: bytes in, values out; no clock, no socket.

Rules of this file:
1. A request has an id, always: all are answered, so notifications and batches are refused.
2. Nothing here raises on foreign bytes but `ErrorReply`, which holds the one reply that they
   deserve.
3. A line is at most `LINE_BYTES_MAX` long; a longer one is answered and closed.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import orjson

from control.control_errors import ProtocolErrorCode

PROTOCOL_VERSION = 1
LINE_BYTES_MAX = 64 * 1024
ID_CHARS_MAX = 64

RequestId = str | int | None


class ErrorReply(Exception):  # noqa: N818 - an answer that travels up the stack, not a program error
    """One error reply, on its way to the client."""

    def __init__(
        self,
        code: ProtocolErrorCode,
        message: str,
        *,
        request_id: RequestId = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.request_id = request_id
        self.data = data or {}


class Request(msgspec.Struct, frozen=True):
    """A well-formed request; whether the method exists and the params fit is judged later."""

    request_id: str | int
    method: str
    params: Mapping[str, Any] = msgspec.field(default_factory=dict)


class LineSplitter:
    """Cuts a byte stream into lines of bounded size.

    Feed it what arrived, then take lines until there is none.
    """

    __slots__ = ("_buffer", "_limit", "_scanned")

    def __init__(self, limit: int = LINE_BYTES_MAX) -> None:
        self._buffer = bytearray()
        self._limit = limit
        self._scanned = 0

    @property
    def pending(self) -> bool:
        """Whether the beginning of a line is held."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add bytes that arrived."""
        self._buffer += data

    def next_line(self) -> bytes | None:
        """The next whole line without its end, or None.

        Raises:
            Fault: LINE_TOO_LONG, also for a line that has not ended yet.
        """
        end = self._buffer.find(b"\n", self._scanned)
        length = end if end >= 0 else len(self._buffer)
        if length > self._limit:
            raise ErrorReply(
                ProtocolErrorCode.LINE_TOO_LONG, f"a line is at most {self._limit} bytes; closing"
            )
        if end < 0:
            self._scanned = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._scanned = 0
        return line


def parse_request(line: bytes) -> Request:
    """Read one line.

    Raises:
        Fault: PARSE_ERROR for what is no JSON, INVALID_REQUEST for what is no request of ours,
            UNSUPPORTED_VERSION when the client asks for a protocol version that is not this one.
    """
    try:
        message = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ErrorReply(
            ProtocolErrorCode.PARSE_ERROR, f"not a line of JSON ({error}); closing"
        ) from None
    if isinstance(message, list):
        raise ErrorReply(
            ProtocolErrorCode.INVALID_REQUEST, "batches are not taken: send one request a line"
        )
    if not isinstance(message, dict):
        raise ErrorReply(ProtocolErrorCode.INVALID_REQUEST, "a request is a JSON object")
    request_id = _request_id(message)
    if message.get("jsonrpc") != "2.0":
        raise ErrorReply(
            ProtocolErrorCode.INVALID_REQUEST,
            'a request says "jsonrpc": "2.0"',
            request_id=request_id,
        )
    unknown = sorted(message.keys() - {"jsonrpc", "id", "method", "params", "version"})
    if unknown:
        raise ErrorReply(
            ProtocolErrorCode.INVALID_REQUEST,
            f"a request has no member {unknown[0][:40]!r}",
            request_id=request_id,
        )
    if message.get("version", PROTOCOL_VERSION) != PROTOCOL_VERSION:
        raise ErrorReply(
            ProtocolErrorCode.UNSUPPORTED_VERSION,
            f"this daemon speaks version {PROTOCOL_VERSION} of the control protocol",
            request_id=request_id,
            data={"supported": [PROTOCOL_VERSION]},
        )
    method = message.get("method")
    if not isinstance(method, str) or not method:
        raise ErrorReply(
            ProtocolErrorCode.INVALID_REQUEST,
            "a request names its method as text",
            request_id=request_id,
        )
    params = message.get("params", {})
    if not isinstance(params, dict):
        raise ErrorReply(
            ProtocolErrorCode.INVALID_PARAMS, "params are an object, by name", request_id=request_id
        )
    return Request(request_id, method, params)


def _request_id(message: Mapping[str, Any]) -> str | int:
    request_id = message.get("id")
    if isinstance(request_id, bool) or not isinstance(request_id, str | int):
        raise ErrorReply(
            ProtocolErrorCode.INVALID_REQUEST,
            "a request has an id (text or integer): all are answered",
        )
    if isinstance(request_id, str) and len(request_id) > ID_CHARS_MAX:
        raise ErrorReply(
            ProtocolErrorCode.INVALID_REQUEST, f"an id is at most {ID_CHARS_MAX} characters"
        )
    return request_id


def encode_result(request_id: RequestId, result: Any) -> bytes:
    """One success line, with its end."""
    return _line({"jsonrpc": "2.0", "id": request_id, "result": result})


def encode_fault(fault: ErrorReply) -> bytes:
    """One error line, with its end. `data.name` is the code in words."""
    return _line(
        {
            "jsonrpc": "2.0",
            "id": fault.request_id,
            "error": {
                "code": int(fault.code),
                "message": fault.message,
                "data": {"name": fault.code.title, **fault.data},
            },
        }
    )


def encode_event(line: bytes) -> bytes:
    """One journal line as a notification to a subscriber."""
    return b'{"jsonrpc":"2.0","method":"event","params":%b}\n' % line


def encode_dropped(count: int) -> bytes:
    """The notification that tells a subscriber how many events it missed."""
    return _line({"jsonrpc": "2.0", "method": "dropped", "params": {"count": count}})


def encode_step(request_id: RequestId, step: Mapping[str, Any]) -> bytes:
    """The notification that tells a client how far its command has come."""
    return _line({"jsonrpc": "2.0", "method": "step", "params": {"id": request_id, **step}})


def _line(message: Mapping[str, Any]) -> bytes:
    # default=str: a snapshot that carries a Decimal or a Path must not fail an operator's question.
    return orjson.dumps(message, default=str, option=orjson.OPT_NON_STR_KEYS) + b"\n"
