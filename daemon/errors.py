"""The error tree: whose fault it is, and what the reader must do.

    SeatrialError
    |-- LocalError                       our side
    |   |-- LocalRecoverableError        try again later, nothing is broken; no byte left
    |   |   |-- NotConnected             no connection, or it could not be made
    |   |   |-- HaltClosed               a placement met the closed halt flag
    |   |   |-- BudgetEmpty              the governor refused
    |   |   `-- Unencodable              a request that the venue's language cannot say
    |   `-- LocalFatalError              a human must mend it
    |       |-- HostRefused              an address that is not in the frozen table
    |       |-- InstanceUnknown          nobody can tell which open orders are ours
    |       |-- AnchorUnusable           a file or class of an anchor sink that cannot be used
    |       `-- CredentialsRefused       a key file that cannot be used
    `-- VenueError                       the venue's side
        |-- VenueRecoverableError        try again later
        |   |-- AnswerLost               bytes left, no trustworthy answer: UNKNOWN, never "no"
        |   |-- Undecodable              an answer that is not in the venue's language
        |   `-- VenueRefusal             a definite, typed no (carries status, code, message)
        `-- VenueFatalError              a human must mend it
            `-- KeyRefused               wrong key, wrong signature, missing permission

Rules: business outcomes (denied, rejected, unknown) are values, not exceptions. Foreign exceptions
(aiohttp, websockets, picows, OSError, ssl) are mapped to these once, at the shell's border.
"""

# ruff: noqa: N818
# Leaves are named for what happened, as the reader meets them in a sentence; the branches that a
# handler catches end in Error.


class SeatrialError(Exception):
    """Any error that seatrial raises on purpose; `str()` is one line for an operator."""


class LocalError(SeatrialError):
    """Our side is at fault."""


class LocalRecoverableError(LocalError):
    """Nothing is broken: try again later."""


class NotConnected(LocalRecoverableError):
    """There is no connection, or it could not be made. Proof that no byte left."""


class HaltClosed(LocalRecoverableError):
    """A placement met the closed halt flag. Proof that no byte left."""


class BudgetEmpty(LocalRecoverableError):
    """The governor refused the request. Proof that no byte left.

    Attributes:
        until_ns: engine time at which to try again.
    """

    def __init__(self, message: str, until_ns: int) -> None:
        super().__init__(message)
        self.until_ns = until_ns


class Unencodable(LocalRecoverableError):
    """A request that the venue's language cannot say. Proof that no byte left."""


class LocalFatalError(LocalError):
    """A human must mend it: no retry will help."""


class HostRefused(LocalFatalError):
    """An address that is not in the frozen table of the environment (promise P9)."""


class LiveBlocked(LocalFatalError):
    """A live environment without every key of the gating turned, or without a host in the table."""


class InstanceUnknown(LocalFatalError):
    """Nobody can tell which of the open orders are ours."""


class AnchorUnusable(LocalFatalError):
    """A file or class that an anchor sink names cannot be used; the text says the mend."""


class CredentialsRefused(LocalFatalError):
    """A key that cannot be used: unreadable, of a refused kind, or malformed."""


class VenueError(SeatrialError):
    """The venue's side is at fault, or refused."""


class VenueRecoverableError(VenueError):
    """Try again later."""


class AnswerLost(VenueRecoverableError):
    """Bytes left and no trustworthy answer came: the outcome is unknown, never a "no"."""


class Undecodable(VenueRecoverableError):
    """An answer that is not in the venue's language (HTML of a proxy, cut JSON, a wrong type)."""


class VenueRefusal(VenueRecoverableError):
    """The venue's definite, typed no.

    Attributes:
        status: the HTTP (or WebSocket API) status.
        code: the venue's stable error code, 0 when it gave none.
        retry_after: its `Retry-After` as it stood, None without one.
    """

    def __init__(
        self, status: int, code: int, message: str, *, retry_after: str | None = None
    ) -> None:
        super().__init__(f"venue refused: {message} (code {code}, status {status})")
        self.retry_after = retry_after
        self.status = status
        self.code = code
        self.message = message

    @classmethod
    def of_handshake(
        cls, host: str, status: int, body: bytes | bytearray, retry_after: str | None
    ) -> "VenueRefusal":
        """A WebSocket handshake that `host` answered with another status than 101."""
        said = f"{status} {body[:200].decode('ascii', 'replace')}".rstrip()
        return cls(status, 0, f"{host} answered the handshake with {said}", retry_after=retry_after)


class VenueFatalError(VenueError):
    """A human must mend it: no retry will help."""


class KeyRefused(VenueFatalError):
    """The venue does not take this key or signature (-2014, -2015, -1022, -1002)."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(
            f"the venue does not take this key: {message} (code {code}, status {status}); "
            "check that the key belongs to this environment"
        )
        self.status = status
        self.code = code
        self.message = message
