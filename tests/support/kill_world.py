"""A simulated world whose daemon is the real pump over a real journal, and can be killed anywhere.

`SimRun` steps the engine by itself; here every input goes through `Pump.offer`, and every line
through `Journal.flush` into a directory. A life is one boot of the daemon: it begins as
`daemon.app` begins (`recover`, `restore`, `apply_fact`, `finish_recovery`, the boot's own lines)
and ends at a trap: a step of the journal or of the venue port at which the process dies.

Time is the heap's: the real `SystemClock` reads it through a stand-in for the `time` module.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast
from unittest import mock

from daemon.core.engine import Engine
from daemon.model.amounts import NS_PER_S
from daemon.model.copies import replace
from daemon.model.effects import Effect, SendOrder, SendReplace
from daemon.model.enums import Link
from daemon.model.ids import run_id
from daemon.model.inputs import (
    ClockSampled,
    Input,
    InstrumentsLoaded,
    LinkUp,
    MarketData,
)
from daemon.model.records import EventType
from daemon.shell import pump as loop_module
from daemon.shell.journal.journal_writer import Journal
from daemon.shell.journal.replay import Recovered, recover
from daemon.shell.journal.tick_ring import TickRing
from daemon.shell.process import clock as clock_module
from daemon.shell.process.clock import SystemClock
from daemon.shell.pump import Pump
from riskcaps.gate.interceptor import Interceptor
from tests.support.builders import INSTANCE, T0, caps, command
from tests.support.sim_chaos import FaultMenu
from tests.support.sim_runner import MS, SYMBOL, SimRun, loaded_instrument

SEGMENT_BYTES = 48 * 1024
CHECKPOINT_LINES = 120
CHECKPOINT_FACTS = 40
"""Small, so that a short run has rotations and checkpoints among its write points."""
MENU = FaultMenu(
    drop_request=0.02,
    drop_answer=0.03,
    late_request=0.02,
    drop_event=0.03,
    duplicate_event=0.1,
    reorder_event=0.1,
    drop_query=0.1,
    fail_snapshot=0.1,
    disconnect=0.02,
    operator=0.02,
)
CAPS = caps(
    (SYMBOL,),
    position_long_base_max="0.05",
    position_short_base_max="0.05",
    duplicate_window_ms=60,
    orders_per_second_max=12,
    executions_without_human_max=8,
    venue_reject_streak_max=4,
    loss_streak_max=3,
    loss_session_numeraire_max="3",
    drawdown_numeraire_max="6",
    conversions={"BTC": [SYMBOL]},
)


@dataclass(frozen=True, slots=True)
class Point:
    """Where the process dies: the n-th step (from 0), and how."""

    step: int
    how: str
    """before; torn (of a write only `torn_bytes` arrive); after."""
    torn_bytes: int = 0

    def __str__(self) -> str:
        torn = f" {self.torn_bytes} bytes into" if self.how == "torn" else ""
        return f"{self.how}{torn} step {self.step}"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that can be the last one: write, fdatasync, fsync of the anchor, send."""

    kind: str
    data: bytes = b""


class Killed(BaseException):
    """What the shadow raises where the child of the same life takes SIGKILL."""


class HeapLoop:
    """The part of an event loop that a pump needs, on the world's heap."""

    def __init__(self, world: "KillWorld") -> None:
        self._world = world
        self.is_dead = False

    def call_soon(self, callback: Callable[..., None], *args: Any) -> "HeapHandle":
        return self.call_later(0, callback, *args)

    def call_later(self, delay: float, callback: Callable[..., None], *args: Any) -> "HeapHandle":
        handle = HeapHandle()

        def due() -> None:
            if not self.is_dead and not handle.is_cancelled:
                callback(*args)

        self._world.later(round(delay * NS_PER_S), due)
        return handle


class HeapHandle:
    """What `call_later` gives back."""

    is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class VirtualTime:
    """The `time` module that `daemon.shell.process.clock` sees: the world's now, a wall beside."""

    strftime = staticmethod(time.strftime)
    gmtime = staticmethod(time.gmtime)

    def __init__(self, world: "KillWorld") -> None:
        self._world = world

    def time_ns(self) -> int:
        return self._world.now_ns + self._world.wall_step_ns

    def monotonic_ns(self) -> int:
        return self._world.now_ns

    def clock_gettime_ns(self, _clock: int) -> int:
        return self._world.now_ns


class TurnPump(Pump):
    """The pump; after each turn the venue's own books are looked at."""

    world: "KillWorld"

    def _turn(self, queued_ns: int, item: Input) -> None:
        super()._turn(queued_ns, item)
        self.world.turn_ended()


class KillWorld(SimRun):
    """One seed. `live` until the end or a death; after a death `live` again."""

    is_thinned: ClassVar[bool] = False
    """Whether its pumps leave out ticks without a consequence."""

    def __init__(self, seed: int) -> None:
        self.pump: TurnPump | None = None
        self.journal: Journal
        self.clock: SystemClock
        self.wall_step_ns = 0
        self.steps: list[Step] = []
        self.sent: list[str] = []
        """Client order ids whose bytes left, of all lives."""
        self.live_states: dict[int, str] = {}
        """Hash of the live engine by the seq of the last line of its turn (when recording)."""
        self.is_recording = False
        self._trap: Point | None = None
        self._is_mortal = False
        self._is_peopled = False
        self._sent_fd = -1
        self._loop: HeapLoop | None = None
        super().__init__(seed, menu=MENU, capset=CAPS)
        self.later(300 * MS, self._human)

    # ------------------------------------------------------------------ lives
    def begin(self, directory: Path, *, trap: Point | None = None, mortal: bool = False) -> None:
        """Boot on a state directory; `mortal`: at the trap this process takes SIGKILL."""
        self.run_number += 1
        self._trap, self._is_mortal = trap, mortal
        self.steps = []
        self.up = dict.fromkeys(Link, False)
        directory.mkdir(parents=True, exist_ok=True)
        self._sent_fd = os.open(
            directory.parent / "sent", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640
        )
        recovered = recover(directory)
        self.clock = SystemClock(floor_ns=recovered.ts_ns)
        self.journal = Journal(
            directory,
            run_id=run_id(INSTANCE, self.run_number),
            mode="sim",
            exchange="sim",
            seq=recovered.seq,
            head=recovered.head,
            segment_bytes_max=SEGMENT_BYTES,
        )
        self.engine, self.gate, self.halt = self.recovered_engine(recovered, self.clock.now_ns())
        self._write_boot_lines(recovered)
        self._loop = HeapLoop(self)
        # The pump asks for the running loop once, when it is made.
        asyncio._set_running_loop(cast("asyncio.AbstractEventLoop", self._loop))
        try:
            pump = TurnPump(
                engine=self.engine,
                journal=self.journal,
                clock=self.clock,
                halt=self.halt,
                checkpoint_seq=recovered.checkpoint_seq,
                facts_since=len(recovered.facts),
                thin_to=TickRing(directory.parent, 0) if self.is_thinned else None,
                on_reply=lambda _: None,
                on_exit=lambda _: None,
                on_fatal=_raise,
            )
        finally:
            asyncio._set_running_loop(None)
        pump.world = self
        pump.attach(self)
        self.pump = pump
        self.tell(ClockSampled(self.now_ns - self.clock.now_ns(), MS))
        self._connect()
        if not self._is_peopled:
            self._is_peopled = True
            self._crowd()
            self._weather()

    def recovered_engine(
        self, recovered: Recovered, now_ns: int
    ) -> tuple[Engine, Interceptor, Any]:
        """What `daemon.app` makes of a journal."""
        made, gate, halt = self.new_engine(self.run_number)
        if recovered.checkpoint is not None:
            made.restore(recovered.checkpoint)
        for record in recovered.facts:
            made.apply_fact(record)
        made.finish_recovery(now_ns)
        return made, gate, halt

    def live(
        self, directory: Path, end_ns: int, *, trap: Point | None = None, mortal: bool = False
    ) -> bool:
        """Boot and live until `end_ns`; False when the trap was sprung before."""
        try:
            self.begin(directory, trap=trap, mortal=mortal)
            self.run_until(end_ns)
        except Killed:
            self.die()
            return False
        return True

    def die(self) -> None:
        """Memory, timers, sockets are gone; nothing of ours is flushed. The venue lives on."""
        if self._loop is not None:
            self._loop.is_dead = True
        self.pump, self._trap = None, None
        self.wire.pending.clear()
        self.up = dict.fromkeys(Link, False)
        for descriptor in (self.journal._fd, self.journal._lock_fd, self._sent_fd):
            os.close(descriptor)

    def _write_boot_lines(self, recovered: Recovered) -> None:
        lines: list[tuple[EventType, dict[str, Any]]] = [
            (EventType.RUN_START, {"instance": INSTANCE, "run_number": self.run_number}),
            (EventType.RECOVERY, {"records": len(recovered.facts)}),
        ]
        for event_type, fields in lines:
            self.journal.append(event_type, fields, ts_ns=self.clock.now_ns(), session_id="")
            self.live_states[self.journal.seq] = self.engine.state_hash()
        self.journal.flush()

    # ------------------------------------------------------------------ traps
    def step(self, kind: str, act: Callable[[], int], data: bytes = b"") -> int:
        """One step that may be the last."""
        number = len(self.steps)
        self.steps.append(Step(kind, data))
        point = self._trap
        if point is None or point.step != number:
            return act()
        if point.how == "torn":
            _WRITE(self.journal._fd, data[: point.torn_bytes])
        elif point.how == "after":
            act()
        if self._is_mortal:
            os.kill(os.getpid(), signal.SIGKILL)
        raise Killed

    def flushing(self) -> None:
        """A flush begins: the engine's state belongs to the last line of it."""
        if self.is_recording and self.journal.seq not in self.live_states:
            self.live_states[self.journal.seq] = self.engine.state_hash()

    def turn_ended(self) -> None:
        """Held to the caps by the venue's own books, in this life as in those before."""
        self.flushing()
        self.checker._exposure()

    # ------------------------------------------------------------------ the pump's venue
    def perform(self, effect: Effect) -> None:
        """The venue link: bytes leave now, and a file that outlives us says which."""
        asked = self._request
        self._perform(effect)
        if isinstance(effect, SendOrder | SendReplace) and self._request > asked:
            order = effect.order if isinstance(effect, SendOrder) else effect.replace.order
            cid = order.client_order_id
            self.sent.append(cid)
            self.step("send", lambda: _WRITE(self._sent_fd, f"{cid}\n".encode()))

    def tell(self, item: Input) -> None:
        """Into the pump's queue; a dead daemon hears nothing."""
        if self.pump is None:
            return
        if isinstance(item, MarketData):
            item = MarketData(replace(item.top, ts_recv_ns=self.clock.now_ns()))
        self.pump.offer(item)

    def _connect(self) -> None:
        """Links come up for the life that asked, and for no other."""
        life = self.run_number

        def up() -> None:
            if life != self.run_number or self.pump is None:
                return
            self.tell(InstrumentsLoaded((loaded_instrument(),)))
            for link in (Link.REST, Link.MARKET, Link.ORDER):
                self.up[link] = True
                self.tell(LinkUp(link))

        self.later(self.latency(), up)

    def _boot(self) -> None:
        """`SimRun` boots when it is made; here `begin` does."""
        self.engine, self.gate, self.halt = self.new_engine(1)

    # ------------------------------------------------------------------ people
    def _human(self) -> None:
        """Someone who clears what a run latches, so that there is trading to be killed in."""
        self.later(400 * MS, self._human)
        for incident in self.engine._ctx.ledger.unresolved:
            why = {"incident_id": incident.incident_id}
            self.tell(command("incident-resolve", "looked at", **why))
        self.tell(command("re-arm", "sim"))
        self.tell(command("re-enable", "sim"))
        at_ms = (self.now_ns - T0) // MS
        if at_ms in (700, 1500):
            changes = {"orders_per_second_max": 11 if at_ms == 700 else 10}
            self.tell(command("caps-tighten", "less", changes=changes))


@contextmanager
def virtual(world: KillWorld) -> Iterator[None]:
    """The world's time, small journals, and every step of the journal seen by the world."""

    def wrote(descriptor: int, data: bytes) -> int:
        if descriptor != world.journal._fd:
            return _WRITE(descriptor, data)
        world.flushing()
        return world.step("write", lambda: _WRITE(descriptor, data), data)

    def synced(kind: str) -> Callable[[int], int]:
        # SIGKILL takes nothing from the kernel's cache, so a real sync would only cost time here.
        return lambda _: world.step(kind, lambda: 0)

    with (
        mock.patch.object(clock_module, "time", VirtualTime(world)),
        mock.patch.object(loop_module, "CHECKPOINT_LINES", CHECKPOINT_LINES),
        mock.patch.object(loop_module, "CHECKPOINT_FACTS", CHECKPOINT_FACTS),
        mock.patch.object(os, "write", wrote),
        mock.patch.object(os, "fdatasync", synced("fdatasync")),
        mock.patch.object(os, "fsync", synced("fsync")),
    ):
        yield


_WRITE = os.write


def _raise(error: BaseException) -> None:
    raise error
