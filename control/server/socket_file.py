"""The control socket's file: it is made safely, never over a live one, and removed only if ours."""

import contextlib
import errno
import grp
import os
import socket
import stat
import tempfile
from pathlib import Path

from control.control_errors import ControlConfigError, SocketInUseError, SocketUnusableError

PATH_BYTES_MAX = 107
"""sun_path of Linux, less its final NUL."""
SOCKET_MODE = 0o660
_BIRTH_MODE = 0o600
BACKLOG = 128
"""A newcomer waits for everybody before it: short, so that a kill waits little in a storm."""


class ListeningSocket:
    """A listening Unix socket at a path."""

    def __init__(self, path: Path, sock: socket.socket) -> None:
        self.path = path
        self.sock = sock
        self._identity = _identity(path)

    @classmethod
    def open(cls, path: Path, group: str = "") -> "ListeningSocket":
        """Bind, set mode 0660 and the group, listen; replace the socket of a dead daemon.

        It is bound at its own place, not renamed to it: the kernel's list of sockets then names
        the path, which is how systemd-tmpfiles tells a live socket from a leftover. It is born
        with mode 0600 (on Linux the socket's own mode holds for the file that `bind` makes), so it
        is never visible with wider rights than it ends up with.

        Raises:
            SocketInUseError: a live daemon answers on it.
            SocketUnusableError: the path, its parent or the rights do not allow it.
            ControlConfigError: the group does not exist.
        """
        _check_parent(path)
        if len(os.fsencode(path)) > PATH_BYTES_MAX:
            raise SocketUnusableError(
                f"the control socket's path is too long ({len(os.fsencode(path))} bytes, at most "
                f"{PATH_BYTES_MAX}): {path}; set control.socket to a shorter one"
            )
        gid = _gid(group) if group else -1
        _check_free(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        bound = False
        try:
            os.fchmod(sock.fileno(), _BIRTH_MODE)
            path.unlink(missing_ok=True)
            sock.bind(os.fspath(path))
            bound = True
            if group:
                os.chown(path, -1, gid)
            path.chmod(SOCKET_MODE)
            sock.listen(BACKLOG)
            sock.setblocking(False)
        except OSError as error:
            sock.close()
            if bound:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
            raise SocketUnusableError(
                f"cannot make the control socket {path}: {error.strerror or error}; "
                f"check the rights on {path.parent}, or set control.socket"
            ) from error
        return cls(path, sock)

    @property
    def is_in_place(self) -> bool:
        """Whether a client that connects to the path reaches this socket."""
        return self._identity is not None and _identity(self.path) == self._identity

    def reopen(self, group: str = "") -> "ListeningSocket":
        """Make a new socket at the path after this one's file was removed; this one stays open.

        A file, a directory or a link in its place is moved aside: a daemon that lives must be
        reached.

        Raises:
            SocketInUseError, SocketUnusableError, ControlConfigError: as in `open`.
        """
        with contextlib.suppress(OSError):  # told by `open`
            if not stat.S_ISSOCK(self.path.lstat().st_mode):
                aside = tempfile.mkdtemp(
                    prefix=f"{self.path.name}.displaced-", dir=self.path.parent
                )
                self.path.rename(Path(aside) / self.path.name)
        return ListeningSocket.open(self.path, group)

    def close(self) -> None:
        """Stop listening; remove the path unless another daemon has taken it since."""
        self.sock.close()
        if _identity(self.path) == self._identity:
            with contextlib.suppress(OSError):
                self.path.unlink()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino)


def _check_parent(path: Path) -> None:
    parent = path.parent
    try:
        found = parent.stat()
    except OSError as error:
        raise SocketUnusableError(
            f"the control socket's directory {parent} cannot be used: {error.strerror}; "
            f"create it, or set control.socket"
        ) from error
    if not stat.S_ISDIR(found.st_mode):
        raise SocketUnusableError(f"the control socket's parent {parent} is not a directory")
    if found.st_uid not in {0, os.getuid()}:
        raise SocketUnusableError(
            f"the control socket's directory {parent} belongs to uid {found.st_uid}: whoever owns "
            f"it could put another socket in its place; use a directory of uid {os.getuid()}"
        )
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise SocketUnusableError(
            f"the control socket's directory {parent} is writable by everybody: "
            f"anybody could put another socket in its place; chmod o-w {parent}"
        )


def _check_free(path: Path) -> None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise SocketUnusableError(f"cannot look at {path}: {error.strerror}") from error
    if not stat.S_ISSOCK(found.st_mode):
        raise SocketUnusableError(f"{path} exists and is no socket: remove it, or use another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(os.fspath(path))
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:
                return  # left by a daemon that is dead: the rename replaces it
            if not isinstance(error, TimeoutError) and error.errno not in {
                errno.EAGAIN,
                errno.EACCES,
            }:
                raise SocketUnusableError(
                    f"cannot probe {path}: {error.strerror or error}"
                ) from error
    raise SocketInUseError(
        f"a daemon is running on {path}; stop it (seatrial --socket {path} shutdown) "
        f"or set another control.socket"
    )


def _gid(group: str) -> int:
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise ControlConfigError(
            f"control.socket_group: there is no group {group!r} on this machine"
        ) from None
