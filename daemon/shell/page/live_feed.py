"""Pushes the page's frames to the browsers that are open: one thread, one rendering for all.

Rules of this file:
1. Nothing of it runs on the main loop. A frame is made once a second, while somebody looks.
2. Subscribers are bounded, and nobody waits for one: whose socket takes no whole frame is dropped.
   A browser comes again by itself, and asks for what it has missed.
"""

import contextlib
import socket
import threading
from collections.abc import Callable

FRAME_S = 1.0
SUBSCRIBERS_MAX = 12
SEND_BUFFER_BYTES = 512 * 1024
"""A frame of 100 open orders is 40 kB: whoever cannot take this much has stopped reading."""


class LiveFeed:
    """Owns the sockets of its subscribers."""

    def __init__(self, frame: Callable[[], bytes], *, frame_s: float = FRAME_S) -> None:
        """`frame` renders one server-sent event; it is called on the feed's own thread."""
        self._frame = frame
        self._frame_s = frame_s
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._awake = threading.Event()
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def is_full(self) -> bool:
        """Whether so many look that nobody else can."""
        with self._lock:
            return self._over.is_set() or len(self._sockets) >= SUBSCRIBERS_MAX

    def subscribe(self, sock: socket.socket) -> bool:
        """Take a socket whose response has begun; False: too many look, it stays the caller's."""
        with self._lock:
            if self._over.is_set() or len(self._sockets) >= SUBSCRIBERS_MAX:
                return False
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            sock.setblocking(False)
            self._sockets.append(sock)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="seatrial-page", daemon=True)
                self._thread.start()
        self._awake.set()
        return True

    def stop(self) -> None:
        """Close every subscriber; no frame follows."""
        with self._lock:
            self._over.set()
            gone, self._sockets = self._sockets, []
        self._awake.set()
        for one in gone:
            one.close()
        if self._thread is not None:
            self._thread.join(timeout=self._frame_s + 5)

    def _run(self) -> None:
        while not self._over.is_set():
            self._awake.wait()
            with self._lock:
                listeners = list(self._sockets)
                if not listeners:
                    self._awake.clear()
            if self._over.is_set():
                return
            if not listeners:
                continue
            frame = self._frame()
            lost = [one for one in listeners if not _sent(one, frame)]
            with self._lock:
                self._sockets = [one for one in self._sockets if one not in lost]
            for one in lost:
                one.close()
            self._over.wait(self._frame_s)


def _sent(sock: socket.socket, frame: bytes) -> bool:
    """Whether the kernel took the whole frame at once."""
    try:
        return sock.send(frame) == len(frame)
    except OSError:
        return False
