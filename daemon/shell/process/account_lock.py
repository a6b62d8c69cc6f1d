"""One daemon per account and machine: two on one account would each mistake the other for foreign.

The lock is an abstract Unix socket name (Linux): the kernel frees it when its owner dies, however
it dies, it needs no directory that both could write, and units with private /tmp see the same one.
"""

import errno
import socket

_NAME_BYTES_MAX = 107
"""sockaddr_un."""


class AccountBusy(OSError):  # noqa: N818 - it is a fact about the account, told to an operator
    """Another seatriald on this machine trades on this account."""


class AccountLock:
    """Held from `take` until `release` or the end of the process."""

    def __init__(self, account: str, environment: str, venue: str) -> None:
        """Name the lock by the account's fingerprint, its environment and the venue's address."""
        self._account = account
        self._name = f"\0seatrial-{environment}-{venue}-{account}"[:_NAME_BYTES_MAX]
        self._socket: socket.socket | None = None

    def take(self) -> None:
        """Take the lock.

        Raises:
            AccountBusy: somebody holds it; the message says what to do.
        """
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            made.bind(self._name)
        except OSError as error:
            made.close()
            if error.errno != errno.EADDRINUSE:
                raise
            raise AccountBusy(
                f"account {self._account}: another seatriald on this machine trades on it; stop "
                "that one, or give this one a key of another account"
            ) from error
        self._socket = made

    def release(self) -> None:
        """Give the lock back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
