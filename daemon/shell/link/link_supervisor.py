"""Keeps one WebSocket link alive: connect, renew with overlap, back off with jitter.

Rules of this file:
1. `LinkUp` and `LinkDown` alternate; a renewal with overlap is neither.
2. A loss is told in the turn in which it is seen (`on_lost`), after what the session told itself.
3. A refused key is tried again only at the slowest pace; it needs a human.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

from daemon.errors import BudgetEmpty, KeyRefused, SeatrialError
from daemon.model.enums import Link
from daemon.model.inputs import Input, LinkDown, LinkUp
from daemon.shell.link.backoff import Backoff
from daemon.shell.link.link_config import LinkConfig
from daemon.shell.process.clock import Clock

_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000


class LinkSession(Protocol):
    """What a keeper needs of a session."""

    lost: bool
    due: bool
    wake: asyncio.Event
    """Set when `lost` or `due` becomes true."""
    opened_ns: int
    last_frame_ns: int

    async def run(self) -> str:
        """Return when the connection is lost, with why."""

    def close(self, reason: str) -> None:
        """End the connection."""


S = TypeVar("S", bound=LinkSession)


class LinkSupervisor(Generic[S]):
    """One link; `current` is the session to use, None while the link is down."""

    def __init__(
        self,
        *,
        link: Link,
        open_session: Callable[[], Awaitable[S]],
        clock: Clock,
        config: LinkConfig,
        deliver: Callable[[Input], None],
        backoff: Backoff,
    ) -> None:
        self.current: S | None = None
        self.opened = 0
        self.lost = 0
        self.failed = 0
        self.last_error = ""
        self._link = link
        self._open_session = open_session
        self._clock = clock
        self._config = config
        self._deliver = deliver
        self._backoff = backoff
        self._told_down = False

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Keep the link up until cancelled; sessions run as children of `group`."""
        while True:
            try:
                session = await self._open_session()
            except SeatrialError as error:
                await self._wait_after(error)
                continue
            if session.lost:
                self._note_failure("lost while it was opened")
                await asyncio.sleep(self._backoff.next_s())
                continue
            self._adopt(session, group)
            await self._until_lost_or_due(session)
            age_ms = (self._clock.now_ns() - session.opened_ns) // _NS_PER_MS
            if age_ms >= self._config.backoff_reset_ms:
                self._backoff.reset()
            await asyncio.sleep(self._backoff.next_s())

    def on_lost(self, session: S, reason: str) -> None:
        """The session is gone; told once. Losing one that was replaced already is no event."""
        if session is not self.current:
            return
        self.current = None
        self.lost += 1
        self.last_error = reason
        self._told_down = True
        self._deliver(LinkDown(self._link, reason))

    def close(self, reason: str) -> None:
        """End the current session for good; no input is delivered for it."""
        session, self.current = self.current, None
        if session is not None:
            session.close(reason)

    def facts(self, now_ns: int) -> dict[str, Any]:
        """What status and metrics show."""
        session = self.current
        return {
            "up": session is not None,
            "opened": self.opened,
            "lost": self.lost,
            "failed": self.failed,
            "reconnects": max(0, self.opened - 1),
            "last_error": self.last_error,
            "last_frame_age_ms": None
            if session is None
            else (now_ns - session.last_frame_ns) // _NS_PER_MS,
        }

    def _adopt(self, session: S, group: asyncio.TaskGroup) -> None:
        old, self.current = self.current, session
        self.opened += 1
        group.create_task(self._live(session), name=f"{self._link}-session-{self.opened}")
        if old is None:
            self._told_down = False
            self._deliver(LinkUp(self._link))
        else:
            group.create_task(self._retire(old), name=f"{self._link}-retire-{self.opened}")

    async def _live(self, session: S) -> None:
        self.on_lost(session, await session.run())

    async def _retire(self, old: S) -> None:
        await asyncio.sleep(self._config.overlap_ms / 1000)
        old.close("replaced by a new connection")

    async def _until_lost_or_due(self, session: S) -> None:
        try:
            async with asyncio.timeout(self._config.connection_age_max_ms / 1000):
                await session.wake.wait()
        except TimeoutError:
            session.due = True

    async def _wait_after(self, error: SeatrialError) -> None:
        self._note_failure(str(error))
        if isinstance(error, BudgetEmpty):
            wait_s = max(0.0, (error.until_ns - self._clock.now_ns()) / _NS_PER_S)
            await asyncio.sleep(wait_s + self._backoff.next_s())
        elif isinstance(error, KeyRefused):
            await asyncio.sleep(self._config.backoff_max_ms / 1000)
        else:
            await asyncio.sleep(self._backoff.next_s())

    def _note_failure(self, reason: str) -> None:
        self.failed += 1
        self.last_error = reason
        if self.current is None and not self._told_down:
            self._told_down = True
            self._deliver(LinkDown(self._link, reason))
