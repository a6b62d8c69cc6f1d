"""Pushes the page's frames to the browsers that are open: one thread, one rendering for all.

Rules of this file:
1. Nothing of it runs on the main loop. A frame is made once a second, while somebody looks.
2. Nobody waits for a subscriber: it is dropped when its socket takes no whole frame, or has not
   drained for `DRAIN_S`. A browser comes again by itself, and asks for what it has missed.
3. Subscribers are bounded. Who comes beyond that takes the place of the one that has not drained
   for longest, or else of the oldest: nobody can hold places against who opens the page now.
"""

import array
import contextlib
import fcntl
import logging
import socket
import termios
import threading
from collections.abc import Callable

import msgspec

from daemon.shell.process.clock import monotonic_s

log = logging.getLogger("seatriald.page")

FRAME_S = 1.0
SUBSCRIBERS_MAX = 12
SEND_BUFFER_BYTES = 512 * 1024
"""A frame of 100 open orders is 40 kB: whoever cannot take this much has stopped reading."""
DRAIN_S = 10.0
"""The system takes some 64 kB for a reader that has stopped; what is beyond that does not drain."""
_COME_LATER = b"retry: 15000\n\n"
"""Told to who makes room: two pages too many would take each other's place without end."""


class _Subscriber(msgspec.Struct, eq=False):
    sock: socket.socket
    drained_s: float
    """When it was last seen to have taken all that was sent."""


class LiveFeed:
    """Owns the sockets of its subscribers."""

    def __init__(
        self,
        frame: Callable[[], bytes],
        *,
        frame_s: float = FRAME_S,
        now_s: Callable[[], float] = monotonic_s,
    ) -> None:
        """`frame` renders one server-sent event; it is called on the feed's own thread."""
        self._frame = frame
        self._frame_s = frame_s
        self._now_s = now_s
        self._lock = threading.Lock()
        self._subscribers: list[_Subscriber] = []
        """The oldest is first."""
        self._awake = threading.Event()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self._problem = ""

    def __len__(self) -> int:
        """How many look."""
        with self._lock:
            return len(self._subscribers)

    def subscribe(self, sock: socket.socket) -> bool:
        """Take a socket whose response has begun; False: the feed has ended, it is not taken."""
        with self._lock:
            if self._over.is_set():
                return False
            if len(self._subscribers) >= SUBSCRIBERS_MAX:
                # The first of equals: who drains was seen to at the last frame, as all others.
                self._drop(min(self._subscribers, key=lambda one: one.drained_s))
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            sock.setblocking(False)
            self._subscribers.append(_Subscriber(sock, self._now_s()))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="seatrial-page", daemon=True)
                self._thread.start()
        self._awake.set()
        return True

    def stop(self) -> None:
        """Close every subscriber; no frame follows."""
        with self._lock:
            self._over.set()
            gone, self._subscribers = self._subscribers, []
        self._awake.set()
        for one in gone:
            one.sock.close()
        if self._thread is not None:
            self._thread.join(timeout=self._frame_s + 5)

    def _run(self) -> None:
        while not self._over.is_set():
            self._awake.wait()
            with self._lock:
                if not self._subscribers:
                    self._awake.clear()
                    continue
            frame = self._drawn()
            with self._lock:
                now_s = self._now_s()
                for one in self._subscribers.copy():
                    if _has_drained(one.sock):
                        one.drained_s = now_s
                    if now_s - one.drained_s > DRAIN_S or not _sent(one.sock, frame):
                        self._drop(one)
            self._over.wait(self._frame_s)

    def _drawn(self) -> bytes:
        try:
            return self._frame()
        except Exception as error:  # one status that cannot be drawn must not end the page
            if repr(error) != self._problem:
                self._problem = repr(error)
                log.exception("the operator's page cannot be drawn now")
            return b":\n\n"  # a comment: the connection lives

    def _drop(self, one: _Subscriber) -> None:
        self._subscribers.remove(one)
        _sent(one.sock, _COME_LATER)
        one.sock.close()


def _has_drained(sock: socket.socket) -> bool:
    """Whether the peer's system has taken all that was sent."""
    waiting = array.array("i", [0])
    try:
        fcntl.ioctl(sock, termios.TIOCOUTQ, waiting)
    except OSError:
        return False
    return waiting[0] == 0


def _sent(sock: socket.socket, frame: bytes) -> bool:
    """Whether the kernel took the whole frame at once."""
    try:
        return sock.send(frame) == len(frame)
    except OSError:
        return False
