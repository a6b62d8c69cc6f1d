"""Everything that can go wrong between an operator and the daemon, by what the reader must do.

    ControlError
      ControlConfigError          the config names a user or group that does not exist: mend it
      SocketUnusableError         the socket cannot be made: the message names the path and the mend
        SocketInUseError          another daemon answers on it: stop that one, or use another path
      DaemonUnreachableError      no daemon answers: start it, or look at its log
      CallTimeoutError            asked, and no answer in time: outcome unknown, ask `status`
      BadReplyError               what answered does not speak our protocol
      RpcError                    the daemon's own typed answer: see `ProtocolErrorCode`

Numbers are JSON-RPC 2.0's own for its own cases and -32000 downwards for ours; they never change.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class ProtocolErrorCode(IntEnum):
    """Codes of the protocol's error objects."""

    PARSE_ERROR = -32700
    """Not a line of JSON; the connection is closed."""
    INVALID_REQUEST = -32600
    """JSON, but no request: `jsonrpc`, `id` or `method` is missing or wrong, or it is a batch."""
    METHOD_NOT_FOUND = -32601
    """There is no such method."""
    INVALID_PARAMS = -32602
    """`data.problems` names each parameter that is missing, unknown or out of bounds."""
    INTERNAL_ERROR = -32603
    """A fault of ours; the message says which. After a kill: use `seatrial kill --direct`."""
    FORBIDDEN = -32000
    """The kernel says who you are, and that role may not do this."""
    REFUSED = -32001
    """The engine said no; its own code is in `data.code`."""
    TIMEOUT = -32002
    """No answer of the engine within the method's deadline: the outcome is unknown."""
    TOO_MANY_CLIENTS = -32003
    """Evicted, or not admitted, because the bound on clients is reached."""
    LINE_TOO_LONG = -32004
    """A line is longer than `line_bytes_max`; the connection is closed."""
    TOO_SLOW = -32005
    """A line was begun and not finished, or nothing was asked, within the deadline."""
    BUSY = -32006
    """Too many requests in flight on this connection."""
    COMMAND_ID_REUSED = -32007
    """This command id was used for a different command."""
    REASON_REQUIRED = -32008
    """The method needs `params.reason`."""
    UNSUPPORTED_VERSION = -32009
    """`version` is not the one that this daemon speaks."""
    SHUTTING_DOWN = -32010
    """The daemon ended before it answered."""

    @property
    def title(self) -> str:
        """The name as it stands in `data.name` and in the journal: `too_many_clients`."""
        return self.name.lower()


class ControlError(Exception):
    """Base of this package's errors."""


class ControlConfigError(ControlError):
    """The control section of the config cannot be used."""


class SocketUnusableError(ControlError):
    """The control socket cannot be created."""


class SocketInUseError(SocketUnusableError):
    """A live daemon answers on the socket path."""


class DaemonUnreachableError(ControlError):
    """No daemon answers on the socket."""


class CallTimeoutError(ControlError):
    """No answer in time; what became of the command is unknown."""


class BadReplyError(ControlError):
    """The answer is not of our protocol."""


class RpcError(ControlError):
    """A typed error of the daemon."""

    def __init__(self, code: int, message: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data: Mapping[str, Any] = data or {}
