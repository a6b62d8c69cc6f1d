"""The HTTP connections of the metrics port: how many threads, and for how long each.

Rules of this file:
1. From its accept to the end of its head a request has `HEAD_S` in all, however its bytes drip.
2. A connection that has asked for nothing yet keeps nobody out: whoever comes beyond the bound
   takes the place of the oldest of those, or else of one that takes its answer too slowly.
"""

import contextlib
import logging
import socket
import sys
import threading
from abc import ABC, abstractmethod
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from daemon.shell.process.clock import monotonic_s

log = logging.getLogger("seatriald.metrics")

CONNECTIONS_MAX = 16
"""So many requests are served at once. Every connection is a thread, and the process has a bound on
those."""
HEAD_S = 5.0
ANSWER_S = 5.0
"""An answer that is not taken within this is given up."""
_SPARED_S = 1.0
"""So long an answer may take before its place is given to somebody else."""
_ROOM_S = 2.0


class BoundedHttpServer(ThreadingHTTPServer):
    """A server with at most `CONNECTIONS_MAX` threads; broken connections are not logged."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type["BoundedRequest"]) -> None:
        """Bind at once.

        Raises:
            OSError: the port is taken or the address is not ours.
        """
        super().__init__(address, handler)
        self._free = threading.BoundedSemaphore(CONNECTIONS_MAX)
        self._guard = threading.Lock()
        self._heads: dict[socket.socket, float] = {}
        """When those came whose request is not whole yet; the oldest is first."""
        self._answers: dict[socket.socket, float] = {}
        """Since when the others are answered."""
        self.handed_over: set[Any] = set()
        """Connections that are somebody else's now, and are not closed with their request."""

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve it in a thread of its own; where all are taken, in that of one that must go."""
        if not self._free.acquire(blocking=False):
            self._make_room()
            if not self._free.acquire(timeout=_ROOM_S):
                self.shutdown_request(request)
                return
        with self._guard:
            self._heads[request] = monotonic_s()
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._forget(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve it, then make room."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._forget(request)

    def service_actions(self) -> None:
        """Cut off whose head is late; called several times a second."""
        with self._guard:
            late = [one for one, at in self._heads.items() if monotonic_s() - at > HEAD_S]
            for one in late:
                self._cut(one, self._heads)

    def asked(self, request: socket.socket) -> None:
        """Note that a request is whole."""
        with self._guard:
            if self._heads.pop(request, None) is not None:
                self._answers[request] = monotonic_s()

    def shutdown_request(self, request: Any) -> None:
        """Close a connection, unless somebody else has it."""
        if request in self.handed_over:
            self.handed_over.discard(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A scraper that hangs up is not a fault of ours; what else goes wrong is told."""
        del request, client_address
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            log.error("a request to the metrics port could not be answered", exc_info=error)

    def _make_room(self) -> None:
        with self._guard:
            if self._heads:
                self._cut(next(iter(self._heads)), self._heads)
                return
            oldest = next(iter(self._answers), None)
            if oldest is not None and monotonic_s() - self._answers[oldest] > _SPARED_S:
                self._cut(oldest, self._answers)

    def _cut(self, request: socket.socket, places: dict[socket.socket, float]) -> None:
        """End a connection, and so the thread that waits for it."""
        del places[request]
        if request not in self.handed_over:
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def _forget(self, request: socket.socket) -> None:
        with self._guard:
            self._heads.pop(request, None)
            self._answers.pop(request, None)
        self._free.release()


class BoundedRequest(BaseHTTPRequestHandler, ABC):
    """A request to a `BoundedHttpServer`; it says when its head is whole, and logs nothing."""

    server: BoundedHttpServer
    timeout = ANSWER_S

    def do_GET(self) -> None:
        """Answer one request."""
        self.answer(with_body=True)

    def do_HEAD(self) -> None:
        """Answer with the headers that a GET would have."""
        self.answer(with_body=False)

    @abstractmethod
    def answer(self, *, with_body: bool) -> None:
        """Answer what `path` asks for."""

    def parse_request(self) -> bool:
        """Read the head.

        Returns:
            Whether it is a request; where not, it has been answered.
        """
        is_request = super().parse_request()
        self.server.asked(self.connection)
        return is_request

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - inherited name
        """Say nothing: scrapes are not news."""
