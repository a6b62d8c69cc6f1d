"""The control socket as systemd hands it over (sd_listen_fds(3)): it outlives every daemon.

While the daemon restarts, who connects waits in the socket's queue instead of being refused.

Rules of this file:
1. A descriptor is ours only when LISTEN_PID names this process.
2. What was passed is checked like what we would make: a listening Unix stream socket, at the place
   that the configuration names, owned by root or by us, closed to others. Else the daemon does not
   start: an unsafe socket is no reason to make a second one.
3. The path belongs to systemd: it is never removed here.
"""

import os
import socket
import stat
from collections.abc import MutableMapping
from pathlib import Path

from control.control_errors import SocketUnusableError
from control.server.socket_file import BACKLOG, ListeningSocket

FIRST_FD = 3
FD_NAME = "control"
_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


class PassedEndpoint(ListeningSocket):
    """A listening socket that the service manager made and keeps after the daemon ends."""

    def close(self) -> None:
        """Stop listening; the path and the queue stay with whoever passed the socket."""
        self.sock.close()


def passed_endpoint(
    path: Path, environ: MutableMapping[str, str] | None = None
) -> PassedEndpoint | None:
    """Take over the control socket that the service manager passed; None when it passed none.

    The variables are removed from `environ` (default: the process's own), so that no child takes
    them for its own.

    Raises:
        SocketUnusableError: what was passed is not the socket at `path`, or is not safe to serve.
    """
    environ = os.environ if environ is None else environ
    pid, count, names = (environ.get(name, "") for name in _VARIABLES)
    if pid != str(os.getpid()):
        return None
    for name in _VARIABLES:
        environ.pop(name, None)
    if not count.isdecimal() or int(count) < 1:
        return None
    descriptor = FIRST_FD + _place(int(count), names)
    try:
        os.set_inheritable(descriptor, False)
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        raise SocketUnusableError(
            f"systemd passed descriptor {descriptor}, which is no socket; use ListenStream="
        ) from error
    try:
        _check_kind(sock)
        _check_place(sock, path)
        sock.setblocking(False)
        sock.listen(BACKLOG)  # a newcomer's wait is ours to bound, whatever Backlog= says
        return PassedEndpoint(path, sock)
    except BaseException:
        sock.close()
        raise


def _place(count: int, names: str) -> int:
    """The index of the control socket: the only descriptor, or the one with our name."""
    if count == 1:
        return 0
    named = names.split(":")
    if named.count(FD_NAME) != 1:
        raise SocketUnusableError(
            f"systemd passed {count} sockets and not exactly one is named {FD_NAME!r}; "
            f"set FileDescriptorName={FD_NAME} in its socket unit"
        )
    return named.index(FD_NAME)


def _check_kind(sock: socket.socket) -> None:
    listens = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM or not listens:
        raise SocketUnusableError(
            "what systemd passed is no listening Unix stream socket: the kernel could not say who "
            "asks; use ListenStream=/run/… with Accept=no"
        )


def _check_place(sock: socket.socket, path: Path) -> None:
    name = sock.getsockname()
    passed = Path(os.fsdecode(name)) if name else Path()
    if not passed.is_absolute() or passed.resolve() != path.resolve():
        raise SocketUnusableError(
            f"systemd passed the socket {str(passed)!r}, the configuration says {path}: every tool "
            f"would look in the wrong place; make control.socket and ListenStream= the same"
        )
    try:
        found = passed.lstat()
    except OSError as error:
        raise SocketUnusableError(
            f"the passed socket {passed} is gone from its place ({error.strerror}): nobody could "
            f"connect; restart its socket unit"
        ) from error
    if found.st_uid not in {0, os.getuid()}:
        raise SocketUnusableError(
            f"the passed socket {passed} belongs to uid {found.st_uid}; "
            f"use root or uid {os.getuid()} (SocketUser=)"
        )
    if stat.S_IMODE(found.st_mode) & stat.S_IRWXO:
        raise SocketUnusableError(
            f"the passed socket {passed} has mode {stat.S_IMODE(found.st_mode):04o}: everybody may "
            f"connect; set SocketMode=0660"
        )
