"""Keeping a link: up and down alternate, failures are told once, waits grow and are jittered."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from daemon.errors import BudgetEmpty, KeyRefused, NotConnected
from daemon.model.enums import Link
from daemon.model.inputs import Input, LinkDown, LinkUp
from daemon.shell.link import link_supervisor
from daemon.shell.link.backoff import Backoff
from daemon.shell.link.link_config import LinkConfig
from daemon.shell.link.link_supervisor import LinkSupervisor
from daemon.shell.process.clock import SystemClock


class FakeSession:
    """A session that lives until it is told otherwise."""

    def __init__(self) -> None:
        self.lost = False
        self.due = False
        self.wake = asyncio.Event()
        self.opened_ns = 0
        self.last_frame_ns = 0
        self.closed_because = ""
        self._gone = asyncio.Event()

    async def run(self) -> str:
        await self._gone.wait()
        return self.closed_because

    def close(self, reason: str) -> None:
        self.closed_because = self.closed_because or reason
        self.lost = True
        self.wake.set()
        self._gone.set()


class Desk:
    """A keeper, its sessions, its inputs and the waits it asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failures: list[Exception]) -> None:
        self.sessions: list[FakeSession] = []
        self.inputs: list[Input] = []
        self.waits: list[float] = []
        self._failures = failures
        self._changed = asyncio.Event()
        real_sleep = asyncio.sleep

        async def no_wait(delay: float) -> None:
            self.waits.append(delay)
            await real_sleep(0)

        monkeypatch.setattr(link_supervisor.asyncio, "sleep", no_wait)
        self.supervisor: LinkSupervisor[FakeSession] = LinkSupervisor(
            link=Link.ORDER,
            open_session=self._open,
            clock=SystemClock(),
            config=LinkConfig(symbols=("BTCUSDT",), backoff_reset_ms=10**12),
            deliver=self._take,
            backoff=Backoff(min_s=1, max_s=30, rng=random.Random(1)),
        )

    def _take(self, item: Input) -> None:
        self.inputs.append(item)
        self._changed.set()

    async def _open(self) -> FakeSession:
        if self._failures:
            raise self._failures.pop(0)
        session = FakeSession()
        self.sessions.append(session)
        return session

    async def until(self, ready: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not ready():
                self._changed.clear()
                await self._changed.wait()

    async def run(self, play: Callable[["Desk"], Awaitable[None]]) -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.supervisor.run(group))
            await play(self)
            task.cancel()
            for session in self.sessions:
                session.close("end")


async def test_up_and_down_alternate(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, [])

    async def play(desk: Desk) -> None:
        await desk.until(lambda: len(desk.inputs) == 1)
        desk.sessions[0].close("cut")
        await desk.until(lambda: len(desk.inputs) == 3)

    await desk.run(play)
    assert desk.inputs[:3] == [LinkUp(Link.ORDER), LinkDown(Link.ORDER, "cut"), LinkUp(Link.ORDER)]
    assert desk.supervisor.facts(0)["reconnects"] == 1


async def test_an_outage_is_told_once_and_waits_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, [NotConnected(f"try {n}") for n in range(8)])

    async def play(desk: Desk) -> None:
        await desk.until(lambda: LinkUp(Link.ORDER) in desk.inputs)

    await desk.run(play)
    assert desk.inputs[:2] == [LinkDown(Link.ORDER, "try 0"), LinkUp(Link.ORDER)]
    waits = desk.waits[:8]
    bounds = [(0.5, 1), (1, 2), (2, 4), (4, 8), (8, 16), (15, 30), (15, 30), (15, 30)]
    assert all(low <= wait <= high for wait, (low, high) in zip(waits, bounds, strict=True)), waits
    assert desk.supervisor.facts(0)["failed"] == 8


async def test_a_refused_key_is_tried_at_the_slowest_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, [KeyRefused(401, -2015, "Invalid API-key")])

    async def play(desk: Desk) -> None:
        await desk.until(lambda: LinkUp(Link.ORDER) in desk.inputs)

    await desk.run(play)
    assert desk.waits[0] == 30
    assert "another" in str(desk.inputs[0]) or "environment" in str(desk.inputs[0])


async def test_a_ban_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    desk = Desk(monkeypatch, [BudgetEmpty("banned", clock.now_ns() + 90_000_000_000)])

    async def play(desk: Desk) -> None:
        await desk.until(lambda: LinkUp(Link.ORDER) in desk.inputs)

    await desk.run(play)
    assert 89 < desk.waits[0] < 92


async def test_a_renewal_is_neither_down_nor_up(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, [])

    async def play(desk: Desk) -> None:
        await desk.until(lambda: len(desk.sessions) == 1 and bool(desk.inputs))
        first = desk.sessions[0]
        first.due = True
        first.wake.set()
        async with asyncio.timeout(60):
            await first.run()
        assert desk.supervisor.current is desk.sessions[1]

    await desk.run(play)
    assert desk.inputs[0] == LinkUp(Link.ORDER)
    assert [type(item) for item in desk.inputs].count(LinkUp) == 1
    assert "replaced" in desk.sessions[0].closed_because


async def test_the_loss_of_a_replaced_session_is_no_event(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, [])

    async def play(desk: Desk) -> None:
        await desk.until(lambda: bool(desk.inputs))
        desk.supervisor.on_lost(FakeSession(), "a stranger")
        assert len(desk.inputs) == 1

    await desk.run(play)


def test_backoff_is_capped_jittered_and_reset() -> None:
    backoff = Backoff(min_s=0.1, max_s=2.0, rng=random.Random(3))
    waits = [backoff.next_s() for _ in range(40)]
    assert all(0.05 <= wait <= 2.0 for wait in waits)
    assert min(waits[10:]) >= 1.0
    assert len({round(wait, 6) for wait in waits[10:]}) > 20, "no two clients march in step"
    backoff.reset()
    assert backoff.next_s() <= 0.1
