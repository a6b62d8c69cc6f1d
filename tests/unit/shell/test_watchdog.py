"""The watchdog against a clock that we turn by hand: what it measures, tells, and forgives."""

import gc
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from daemon.model.halt import HaltFlag
from daemon.model.inputs import Input, KillLatched, LoopLagged
from daemon.model.records import EventType
from daemon.shell.health.watchdog import LatchClearer, NoDeadMansSwitch, Watchdog
from daemon.shell.stop.kill_latch import LatchStore

S = 1_000_000_000


class HandClock:
    def __init__(self) -> None:
        self.at_ns = 1_000 * S

    def now_ns(self) -> int:
        return self.at_ns

    def monotonic_ns(self) -> int:
        return self.at_ns


class Pump:
    def __init__(self) -> None:
        self.offered: list[Input] = []

    def offer_threadsafe(self, item: Input) -> None:
        self.offered.append(item)


class Switch:
    def __init__(self) -> None:
        self.beats = 0

    def describe(self) -> str:
        return "30 s at the venue"

    def beat(self) -> None:
        self.beats += 1


class World:
    """A watchdog, and hands to turn everything it looks at."""

    def __init__(self, directory: Path) -> None:
        self.clock, self.pump, self.halt, self.switch = HandClock(), Pump(), HaltFlag(), Switch()
        self.latch = LatchStore(directory)
        self.seq = 0
        self.watchdog = Watchdog(
            pump=self.pump,
            halt=self.halt,
            latch=self.latch,
            clock=self.clock,
            audit_period_s=30,
            switch=self.switch,
        )

    def quiet(self, **changes: Any) -> dict[str, Any]:
        self.seq += 1
        return {
            "gate_state": "READY",
            "session_id": "x-1-s1",
            "latched": False,
            "queue_age_s": 0.0,
            "journal_seq": self.seq,
            "journal_undurable_lines": 0,
            "journal_fault": "",
            "clock_offset_s": 0.01,
            "reconcile": {"last_age_ms": 1_000},
        } | changes

    def live(self, seconds: int, **changes: Any) -> tuple[str, ...]:
        """The main loop turns for so long, and publishes this; the last look's problems."""
        found: tuple[str, ...] = ()
        for _ in range(seconds * 5):
            self.clock.at_ns += S // 5
            self.watchdog.beat(self.quiet(**changes))
            found = self.watchdog.look().problems
        return found

    def hang(self, seconds: float) -> tuple[str, ...]:
        """The main loop stands still for so long."""
        found: tuple[str, ...] = ()
        for _ in range(int(seconds * 10)):
            self.clock.at_ns += S // 10
            found = self.watchdog.look().problems
        return found

    def lags(self) -> list[int]:
        return [item.lag_ns for item in self.pump.offered if isinstance(item, LoopLagged)]

    def kills(self) -> list[str]:
        return [item.reason for item in self.pump.offered if isinstance(item, KillLatched)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    usual = sys.getswitchinterval()
    yield World(tmp_path)
    sys.setswitchinterval(usual)
    gc.unfreeze()


def test_a_quiet_daemon_is_healthy_and_renews_the_switch(world: World) -> None:
    assert world.live(60) == ()
    assert world.watchdog.healthy
    assert world.switch.beats == 300
    assert (world.lags(), world.kills()) == ([], [])


def test_a_lag_is_told_once_and_at_each_doubling(world: World) -> None:
    world.live(1)
    world.hang(0.9)
    assert world.lags() == []
    world.hang(8)
    told = [lag / S for lag in world.lags()]
    assert len(told) == 4, told
    assert all(later >= 2 * earlier for earlier, later in pairwise(told))
    world.live(1)
    world.hang(1.3)
    assert len(world.lags()) == 5, "a new lag is told from the beginning"
    assert world.watchdog.lag_max_ns > 8 * S


def test_a_hanging_loop_is_unhealthy_and_renews_nothing(world: World) -> None:
    world.live(1)
    beats = world.switch.beats
    found = world.hang(3)
    assert "has not turned" in found[0]
    assert not world.watchdog.healthy
    assert world.switch.beats < beats + 25
    assert world.live(1) == ()
    assert world.watchdog.healthy


def test_a_watchdog_that_does_not_look_is_not_healthy(world: World) -> None:
    world.live(1)
    world.clock.at_ns += 5 * S
    assert not world.watchdog.healthy


@pytest.mark.parametrize(
    ("changes", "seconds", "word"),
    [
        ({"gate_state": "STALE"}, 120, "gate"),
        ({"journal_fault": "journal-000001.jsonl: No space left on device"}, 5, "journal"),
        ({"journal_seq": 7, "journal_undurable_lines": 2}, 5, "durable"),
        ({"reconcile": {"last_age_ms": 130_000}}, 30, "reconciliation"),
        ({"clock_offset_s": -1.5}, 120, "clock"),
        ({"queue_age_s": 3.0}, 2, "queue"),
    ],
)
def test_each_reason_must_stand_for_its_time(
    world: World, changes: dict[str, Any], seconds: int, word: str
) -> None:
    world.live(1)
    assert world.live(seconds - 1, **changes) == ()
    found = world.live(2, **changes)
    assert len(found) == 1
    assert word in found[0]
    assert not world.watchdog.healthy
    assert world.live(1) == ()
    assert world.live(seconds - 1, **changes) == (), "it counts anew"


def test_a_full_disk_is_told_but_no_reason_to_be_restarted(world: World) -> None:
    """As full after the restart: then nobody would be there to say so, or to take it back."""
    full = {"journal_fault": "journal-000001.jsonl: No space left on device"}
    world.live(1)
    found = world.live(3_600, journal_seq=9, journal_undurable_lines=5, **full)
    assert found == ("journal cannot be written: journal-000001.jsonl: No space left on device",)
    assert not world.watchdog.healthy
    assert world.watchdog.may_go_on
    world.live(10, queue_age_s=3.0, **full)
    assert not world.watchdog.may_go_on, "another problem beside it is mended by a restart"


def test_a_halted_daemon_may_wait_for_its_venue(world: World) -> None:
    assert world.live(600, gate_state="DOWN", session_id="") == ()


def test_a_hanging_loop_gives_up_the_interpreter_sooner(world: World) -> None:
    usual = sys.getswitchinterval()
    world.live(1)
    world.hang(0.6)
    assert sys.getswitchinterval() < usual / 10
    assert gc.get_freeze_count() > 0, "collections have nothing to walk"
    world.live(1)
    assert sys.getswitchinterval() == pytest.approx(usual)


def test_a_latch_from_elsewhere_closes_the_gate_at_once_and_is_told(world: World) -> None:
    world.live(1)
    world.latch.latch(by_uid=0, by_name="root", reason="from a second process", ts_ns=5)
    world.watchdog.look()
    assert world.halt.closed
    assert world.kills() == []
    world.live(1)
    assert world.kills() == ["from a second process"]
    world.live(2)
    assert len(world.kills()) == 1, "told once"


def test_a_latch_that_the_engine_knows_is_not_told_again(world: World) -> None:
    world.latch.latch(by_uid=0, by_name="root", reason="killed", ts_ns=5)
    world.live(3, latched=True)
    assert world.kills() == []


def test_re_arming_leaves_a_kill_that_nobody_had_seen(world: World) -> None:
    clearer = LatchClearer(world.latch)
    clearer.watch(world.watchdog)
    world.latch.latch(by_uid=0, by_name="root", reason="first", ts_ns=5)
    world.live(1, latched=True)
    world.latch.latch(by_uid=0, by_name="root", reason="second", ts_ns=6)
    clearer.on_record(EventType.RE_ARM, {}, 7)
    left = world.latch.read()
    assert left is not None
    assert left.reason == "second"
    world.live(1, latched=True)
    clearer.on_record(EventType.RE_ARM, {}, 8)
    assert world.latch.read() is None


def test_binance_spot_has_no_switch_and_the_status_says_so() -> None:
    assert "none at this venue" in NoDeadMansSwitch().describe()


def test_the_thread_looks_by_itself_and_ends(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.latch.latch(by_uid=0, by_name="root", reason="killed", ts_ns=5)
    world.watchdog.start()
    try:
        for _ in range(60_000):
            if world.halt.closed:
                break
            world.watchdog._thread.join(timeout=0.001)
    finally:
        world.watchdog.stop()
    assert world.halt.closed
    assert not world.watchdog._thread.is_alive()
