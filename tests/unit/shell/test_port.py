"""The daemon as the control thread sees it: what a kill does in which order, whatever fails."""

import asyncio
import concurrent.futures
import contextlib
import gc
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from daemon.model.effects import Reply
from daemon.model.halt import HaltFlag
from daemon.model.inputs import Actor, Command, Input, KillLatched
from daemon.model.records import EventType
from daemon.shell.checks.preflight_pass import StartPermit
from daemon.shell.control_port import REPLIES_WAITING_MAX, ControlPort
from daemon.shell.process.clock import SystemClock
from daemon.shell.stop.emergency_stop import KillReport, OnRound
from daemon.shell.stop.kill_latch import LatchStore
from daemon.shell.stop.late_orders import LateOrders

WHO = Actor(uid=7, pid=1, role="stopper", name="op")


class Pump:
    """Remembers; with `ended`, refuses as a closed loop does."""

    def __init__(self) -> None:
        self.offered: list[Input] = []
        self.notes: list[dict[str, Any]] = []
        self.ended = False

    def offer_threadsafe(self, item: Input) -> None:
        if self.ended:
            raise RuntimeError("Event loop is closed")
        self.offered.append(item)

    def note_threadsafe(self, event_type: EventType, fields: Any) -> None:
        if self.ended:
            raise RuntimeError("Event loop is closed")
        self.notes.append({"type": event_type, **fields})

    def steps(self) -> list[str]:
        return [note["step"] for note in self.notes if note["type"] is EventType.KILL]


class Emergency:
    """Answers each call with the next report, and notes how things stood then."""

    def __init__(self, halt: HaltFlag) -> None:
        self.halt = halt
        self.canceled = [3]
        self.verified = True
        self.stood: list[tuple[bool, bool, float]] = []
        self.asked = threading.Event()

    async def keep_warm(self, may: object) -> None:
        await asyncio.sleep(3600)

    async def cancel_and_verify(
        self, *, deadline_s: float, on_round: OnRound | None = None
    ) -> KillReport:
        if on_round is not None:
            with contextlib.suppress(BrokenPipeError):  # as the real one: the law of its listener
                on_round(0, 3)
        self.stood.append((self.halt.closed, gc.isenabled(), sys.getswitchinterval()))
        self.asked.set()
        count = self.canceled.pop(0) if self.canceled else 0
        return KillReport(
            started_ns=1,
            first_cancel_ns=2,
            last_cancel_ns=SystemClock().monotonic_ns() if count else None,
            verified_empty_ns=4 if self.verified else None,
            canceled=count,
            remaining=0 if self.verified else 2,
            rounds=2,
        )


class World:
    def __init__(self, directory: Path) -> None:
        self.pump, self.halt, self.clock = Pump(), HaltFlag(), SystemClock()
        self.latch = LatchStore(directory)
        self.emergency = Emergency(self.halt)
        self.late = LateOrders(200)
        self.main_loop = asyncio.new_event_loop()
        self.port = ControlPort(
            pump=self.pump,
            halt=self.halt,
            latch=self.latch,
            emergency=self.emergency,  # type: ignore[arg-type]  # a fake of it
            late=self.late,
            clock=self.clock,
            main_loop=self.main_loop,
            may_start=lambda _command, _now_ns: StartPermit(allowed=True, msg=""),
            bots=["ft"],
        )
        self.steps: list[Mapping[str, Any]] = []

    async def kill(self, reason: str) -> Mapping[str, Any]:
        received_ns = self.clock.monotonic_ns()
        stopping = self.port.kill(WHO, reason, received_ns, self.steps.append)
        assert self.halt.closed, "the gate is closed before anything is awaited"
        return await stopping


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.main_loop.close()


async def test_the_gate_is_closed_before_anything_else_and_the_latch_is_on_the_disk(
    world: World,
) -> None:
    usual = sys.getswitchinterval()
    result = await world.kill("enough")
    assert [stood[:2] for stood in world.emergency.stood] == [(True, False)]
    assert world.emergency.stood[0][2] < usual, "the interpreter is handed out more often"
    assert (sys.getswitchinterval(), gc.isenabled()) == (pytest.approx(usual), True)
    assert (result["verified"], result["canceled"], result["msg"]) == (True, 3, "")
    assert result["gate_ms"] <= result["latched_ms"]
    assert [step["step"] for step in world.steps] == ["gate_closed", "canceling"]
    assert world.steps[1] == {"step": "canceling", "canceled": 0, "open_orders": 3}
    latch = world.latch.read()
    assert latch is not None
    assert (latch.reason, latch.by_name) == ("enough", "op")
    assert [type(item) for item in world.pump.offered] == [KillLatched]
    assert world.pump.steps() == ["gate_closed", "latched", "verified_empty"]
    floats = [v for note in world.pump.notes for v in note.values() if isinstance(v, float)]
    assert floats == []


async def test_a_disk_that_refuses_the_latch_does_not_keep_orders_open(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("daemon.shell.stop.kill_latch.os.open", full)
    result = await world.kill("enough")
    assert result["canceled"] == 3
    assert result["verified"] is True
    assert result["latched"] is False, "a restart would not know of it"
    assert "No space left" in result["msg"]
    assert result["latched_ms"] is None
    assert world.pump.steps() == ["gate_closed", "verified_empty"]


async def test_a_disk_that_hangs_holds_no_kill_and_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The orders are canceled at once; the answer comes by the latch's deadline, without it."""
    disk = threading.Event()
    monkeypatch.setattr(LatchStore, "latch", lambda *_, **__: disk.wait())
    monkeypatch.setattr("daemon.shell.control_port.LATCH_DEADLINE_S", 0.05)
    try:
        result = await asyncio.wait_for(world.kill("enough"), 60)
    finally:
        disk.set()
    assert (result["verified"], result["canceled"]) == (True, 3)
    assert (result["latched"], result["latched_ms"]) == (False, None)
    assert "its disk hangs" in result["msg"]


async def test_whoever_is_told_cannot_end_the_kill(world: World) -> None:
    def dead(_: Mapping[str, Any]) -> None:
        raise BrokenPipeError

    result = await world.port.kill(WHO, "enough", world.clock.monotonic_ns(), dead)
    assert (result["verified"], result["canceled"]) == (True, 3)


async def test_the_reason_of_a_kill_that_joins_is_latched_too(world: World) -> None:
    await world.kill("first")
    world.port.kill_joined(WHO, "second")
    for _ in range(6_000):
        latch = world.latch.read()
        if latch is not None and len(latch.kills) == 2:
            break
        await asyncio.sleep(0.01)
    assert latch is not None
    assert [kill.reason for kill in latch.kills] == ["first", "second"]
    assert [item.reason for item in world.pump.offered if isinstance(item, KillLatched)] == [
        "first",
        "second",
    ]


async def test_a_main_loop_that_has_ended_does_not_keep_orders_open(world: World) -> None:
    world.pump.ended = True
    world.main_loop.close()
    result = await world.kill("during shutdown")
    assert (result["verified"], result["canceled"]) == (True, 3)
    assert world.latch.read() is not None


async def test_what_was_under_way_is_waited_for(world: World) -> None:
    world.late.on_record(
        EventType.ORDER_APPROVED, {"client_order_id": "late"}, world.clock.now_ns()
    )
    world.emergency.canceled = [3, 0, 1]
    result = await world.kill("enough")
    assert result["late_orders"] == 1
    assert len(world.emergency.stood) > 2, "it looked again"
    assert result["canceled"] == 4
    assert result["settled_ms"] - result["empty_ms"] > 400, "until the window was over"


async def test_a_venue_that_is_not_empty_is_not_called_empty(world: World) -> None:
    world.emergency.verified = False
    result = await world.kill("enough")
    assert (result["verified"], result["open_orders"]) == (False, 2)
    assert (result["empty_ms"], result["settled_ms"]) == (None, None)
    assert world.pump.steps()[-1] == "not_verified"


async def test_a_main_loop_that_turns_stands_aside_while_we_cancel(world: World) -> None:
    turned = threading.Event()
    turning = threading.Thread(target=world.main_loop.run_forever)
    turning.start()
    try:
        result = await world.kill("enough")
        world.main_loop.call_soon_threadsafe(turned.set)
        assert await asyncio.to_thread(turned.wait, 60), "it turns again"
    finally:
        world.main_loop.call_soon_threadsafe(world.main_loop.stop)
        await asyncio.to_thread(turning.join)
    assert result["verified"]


def test_drills_go_to_those_who_run_them(world: World) -> None:
    asked: list[str] = []

    def drills(command: Command) -> "concurrent.futures.Future[Reply]":
        asked.append(command.method)
        return concurrent.futures.Future()

    world.port.drills = drills
    world.port.command(Command(command_id="a", method="drill", actor=WHO))
    world.port.command(Command(command_id="b", method="stop", actor=WHO))
    assert asked == ["drill"]
    assert [item.method for item in world.pump.offered if isinstance(item, Command)] == ["stop"]


def test_replies_find_their_command_and_forgotten_ones_are_let_go(world: World) -> None:
    first = world.port.command(Command(command_id="0", method="stop", actor=WHO))
    second = world.port.command(Command(command_id="1", method="stop", actor=WHO))
    world.port.on_reply(Reply(command_id="1", result={"done": True}))
    assert second.result(timeout=1).result == {"done": True}
    world.port.on_reply(Reply(command_id="nobody asked"))
    for number in range(REPLIES_WAITING_MAX):
        world.port.command(Command(command_id=f"x{number}", method="stop", actor=WHO))
    assert first.cancelled()


@pytest.mark.parametrize(
    ("method", "code"),
    [("bot-resume", "bot_revoked"), ("bot-suspend", "bot_revoked"), ("bot-kill", "")],
)
def test_a_revoked_bot_is_not_said_to_trade_again(world: World, method: str, code: str) -> None:
    world.port.publish({"bots": {"ft": {"state": "revoked"}}})
    asked = Command(command_id="0", method=method, actor=WHO, params={"bot": "ft"}, reason="r")
    assert world.port.command(asked).result(timeout=60).error_code == code
    assert len(world.pump.offered) == (0 if code else 1)
    world.port.publish({"bots": {"ft": {"state": "suspended"}}})
    assert world.port.command(asked).result(timeout=60).error_code == ""
