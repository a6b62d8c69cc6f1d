"""Tell systemd what state the daemon is in: sd_notify(3), one datagram a message.

Rules of this file:
1. Where systemd does not ask (no NOTIFY_SOCKET), every call does nothing and answers False.
2. A call never blocks and never raises: a supervisor that cannot be told is no reason to stop.
"""

import os
import socket
from collections.abc import Mapping

STATUS_BYTES_MAX = 2_000


class Notifier:
    """Sends state to the service manager that started us (`Type=notify`)."""

    def __init__(self, environment: Mapping[str, str] | None = None, *, pid: int = 0) -> None:
        """Read what systemd asks for.

        Args:
            environment: where NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID stand; the process's
                own by default.
            pid: this process (0: ask the kernel); WATCHDOG_PID must name it.
        """
        env = os.environ if environment is None else environment
        self._address = _address(env.get("NOTIFY_SOCKET", ""))
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)
        self.watchdog_usec = _watchdog_usec(env, pid or os.getpid())
        """Microseconds within which systemd wants a `watchdog()`; 0: it does not watch."""

    @property
    def enabled(self) -> bool:
        """Whether somebody listens."""
        return self._socket is not None

    def ready(self, status: str = "") -> bool:
        """Start-up is over: the control socket answers. Call once."""
        return self._send("READY=1", status)

    def stopping(self, within_s: float) -> bool:
        """The process ends, within so many seconds: no earlier SIGKILL."""
        return self._send(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={int(within_s * 1_000_000)}", "")

    def status(self, text: str) -> bool:
        """One line for `systemctl status`."""
        return self._send("", text)

    def watchdog(self) -> bool:
        """The main loop turns and its queue is young. Never call this from a timer thread."""
        return self.watchdog_usec > 0 and self._send("WATCHDOG=1", "")

    def extend_timeout(self, usec: int) -> bool:
        """Start or stop takes longer (a long recovery): give it so many more microseconds."""
        return self._send(f"EXTEND_TIMEOUT_USEC={usec}", "")

    def close(self) -> None:
        """Forget the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, state: str, status: str) -> bool:
        if self._socket is None:
            return False
        lines = [state] if state else []
        if status:
            one_line = " ".join(status.split()).encode()[:STATUS_BYTES_MAX]
            lines.append("STATUS=" + one_line.decode(errors="ignore"))
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError:  # full, gone, or not ours: see rule 2
            return False
        return True


def _address(text: str) -> str:
    """The socket's address: a path, or an abstract name (`@` stands for the leading NUL)."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else ""


def _watchdog_usec(env: Mapping[str, str], pid: int) -> int:
    try:
        usec = int(env.get("WATCHDOG_USEC", "0"))
        watched = int(env.get("WATCHDOG_PID", str(pid)))
    except ValueError:
        return 0
    return usec if usec > 0 and watched == pid else 0
