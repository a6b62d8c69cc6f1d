"""The requests of one WebSocket API connection: so many at once, and a cancel behind none of them.

Rules of this file:
1. Frames are always read on, so that no number of unanswered requests holds back a cancel.
2. Other requests begin in their order; what finds no room to wait is refused, and was not sent.
"""

import asyncio
from collections import deque

from daemon.shell.gateway.gateway_ws import IN_FLIGHT_MAX, QUEUED_MAX, ApiFront
from daemon.shell.sim_host.sim_connection import SimConnection
from daemon.venues.binance_spot.serving.ws_frames import ApiSession


class RequestQueue:
    """Belongs to one connection; its tasks are those of the connection's group."""

    def __init__(
        self,
        group: asyncio.TaskGroup,
        front: ApiFront,
        session: ApiSession,
        connection: SimConnection,
    ) -> None:
        self._group = group
        self._front = front
        self._session = session
        self._connection = connection
        self._begun: set[asyncio.Task[None]] = set()
        self._queued: deque[bytes] = deque()

    def take(self, frame: bytes) -> None:
        """One frame was read."""
        is_free = len(self._begun) < IN_FLIGHT_MAX and not self._queued
        if is_free or self._front.is_cancel(frame):
            self._begin(frame)
        elif len(self._queued) < QUEUED_MAX:
            self._queued.append(frame)
        else:
            self._front.begin(self._group, self._session, self._connection, frame, is_refused=True)

    def close(self) -> None:
        """The connection is gone: what has not begun never will."""
        self._queued.clear()

    def _begin(self, frame: bytes) -> None:
        task = self._front.begin(self._group, self._session, self._connection, frame)
        self._begun.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._begun.discard(task)
        is_well = not task.cancelled() and task.exception() is None  # else the group is ending
        if is_well and self._queued and len(self._begun) < IN_FLIGHT_MAX:
            self._begin(self._queued.popleft())
