"""`kill -9` at the journal's write points: a sample of the sweep, and what must make it fail.

The whole of it: `.venv/bin/python -m tests.support.kill_sweep --points all`.
"""

import json
import random
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from daemon.core import fold
from daemon.core.canonical import canonical
from daemon.model.amounts import NS_PER_S
from daemon.model.ids import stem_of
from daemon.model.plain_values import to_plain
from daemon.model.records import EventType
from daemon.shell.pump import Pump
from riskcaps.gate.interceptor import Interceptor
from riskcaps.state import durable
from riskcaps.state.windows import DAY_NS
from tests.support.builders import BTC, T0, engine
from tests.support.kill_sweep import (
    HOUR_NS,
    LIFE_NS,
    Figures,
    Twin,
    kill_at,
    killed,
    kind_of,
    lines_of,
    points_of,
    sample,
    sweep,
    twin_of,
)
from tests.support.kill_world import KillWorld, Point, virtual
from tests.support.sim_runner import MS, loaded_instrument

SEED = 7
POINTS = 60
DEATHS = {
    "before write", "torn inside a line", "torn between lines", "after write", "after send",
    "before fdatasync", "after fdatasync", "before fsync", "after fsync",
}  # fmt: skip


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory) -> Twin:
    return twin_of(SEED, tmp_path_factory.mktemp("twin"))


def points(twin: Twin, *kinds: str) -> list[Point]:
    chosen = points_of(twin.steps, random.Random(SEED))
    return [one for one in chosen if not kinds or kind_of(twin.steps, one) in kinds]


def late(twin: Twin, kind: str, share: float = 0.7) -> Point:
    """A point of this kind at this share of the life, when much has happened."""
    found = points(twin, kind)
    return found[int(share * (len(found) - 1))]


@pytest.mark.slow
def test_a_killed_daemon_recovers_to_its_twin_at_every_write_point(twin: Twin) -> None:
    # A life in which little happens proves little.
    assert {"order_approved", "order_denied", "fill", "order_state", "cancel_requested", "timeout",
            "equity", "cap_alert", "caps_changed", "incident_opened", "incident_resolved",
            "session_stop", "checkpoint", "reconciled"} <= set(twin.tally)  # fmt: skip
    figures = Figures()
    sweep(twin, sample(twin.steps, points(twin), POINTS, SEED), figures)
    print(figures)
    assert figures.failures == []
    assert (figures.points, figures.equal) == (POINTS, POINTS)
    assert set(figures.kinds) == DEATHS
    assert figures.live > POINTS / 2


@pytest.mark.slow
def test_a_second_death_in_the_boot_or_soon_after_it_changes_nothing(twin: Twin) -> None:
    figures = Figures()
    sweep(twin, sample(twin.steps, points(twin), 9, SEED + 1), figures, doubles=True)
    assert figures.failures == []
    assert figures.equal == 9


@pytest.mark.slow
def test_a_thinned_run_recovers_to_its_twin_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, twin: Twin
) -> None:
    monkeypatch.setattr(KillWorld, "is_thinned", True)
    thinned = twin_of(SEED, tmp_path)
    facts = [kind for kind in twin.tally if kind not in {"input", "heartbeat"}]
    assert {kind: thinned.tally[kind] for kind in facts} == {
        kind: twin.tally[kind] for kind in facts
    }
    assert thinned.tally["input"] < twin.tally["input"] * 0.8
    figures = Figures()
    sweep(thinned, sample(thinned.steps, points(thinned), 24, SEED), figures)
    assert figures.failures == []
    assert figures.equal == 24


@pytest.mark.parametrize("how", ["before", "torn", "after"])
def test_a_death_in_the_writing_of_the_boots_own_lines(
    twin: Twin, tmp_path: Path, how: str
) -> None:
    again = Point(0, how, torn_bytes=150 if how == "torn" else 0)
    assert kill_at(twin, late(twin, "after write"), tmp_path, again=again)


# ---------------------------------------------------------------------- the wall clock
def windows(gate: Interceptor, now_ns: int) -> dict[str, Any]:
    """Every rolling counter, as a decision at that time would ask for it."""
    seconds, minutes, hours, days = gate.risk.windows.orders.counts(now_ns)
    return {
        "orders_second": seconds, "orders_minute": minutes, "orders_hour": hours,
        "orders_day": days, "cancels_second": gate.risk.windows.cancels.counts(now_ns)[0],
        "messages": gate.risk.windows.messages(now_ns),
        "symbol_minute": gate.risk.books.book(BTC).minute.count(now_ns),
        "traded_day": gate.risk.books.book(BTC).traded.total(now_ns),
    }  # fmt: skip


@pytest.mark.parametrize("step_ns", [-HOUR_NS, -1, 0])
def test_a_wall_clock_set_back_refills_no_window(twin: Twin, tmp_path: Path, step_ns: int) -> None:
    world = KillWorld(SEED)
    real = tmp_path / "real"
    with virtual(world):
        assert killed(world, real, tmp_path / "shadow", T0 + LIFE_NS, late(twin, "after send"))
        before = windows(world.gate, world.clock.now_ns())
        world.wall_step_ns = step_ns
        world.begin(real / "journal")
        assert windows(world.gate, world.clock.now_ns()) == before
        assert before["orders_hour"] == before["orders_day"] > 0
        world.run_until(world.now_ns + 300 * MS)
        stamps = [json.loads(line)["ts_ns"] for line in lines_of(real / "journal")]
        assert stamps == sorted(stamps), "the journal's time runs backward"
        world.die()


def test_a_run_goes_on_and_comes_right_after_the_wall_clock_was_set_back(
    twin: Twin, tmp_path: Path
) -> None:
    assert kill_at(twin, late(twin, "after send"), tmp_path, wall_step_ns=-HOUR_NS)


def test_a_wall_clock_set_forward_is_believed_and_no_order_passes(
    twin: Twin, tmp_path: Path
) -> None:
    """An hour of downtime and a clock set forward by an hour look alike to a new process.

    The day's counters hold either way. The shorter windows age by the hour, but nothing can use
    that: measured against the venue the clock is an hour wrong, and no session starts.
    """
    world = KillWorld(SEED)
    real = tmp_path / "real"
    with virtual(world):
        assert killed(world, real, tmp_path / "shadow", T0 + LIFE_NS, late(twin, "after send"))
        before = windows(world.gate, world.clock.now_ns())
        state = canonical(world.gate.state())
        world.wall_step_ns = HOUR_NS + NS_PER_S
        world.begin(real / "journal")
        assert canonical(world.gate.state()) == state
        after = windows(world.gate, world.clock.now_ns())
        for kept in ("orders_day", "traded_day"):
            assert after[kept] == before[kept]
        assert after["orders_hour"] == 0
        world.run_until(world.now_ns + 3 * NS_PER_S)
        assert world.gate.risk.clock_problem().startswith("clock_drift")
        world.die()
    now = [json.loads(line) for line in lines_of(real / "journal")]
    start = max(n for n, one in enumerate(now) if one["event_type"] == "run_start")
    begun = {"session_start", "order_approved"}
    assert not [one for one in now[start:] if one["event_type"] in begun], "start refuses"


# ---------------------------------------------------------------------- the sweep can fail
def assert_caught(twin: Twin, saying: str, *kinds: str) -> None:
    """With a bug planted, the sweep must find unequal points, and say why."""
    figures = Figures()
    early = points(twin, *kinds)[:40]  # before the first checkpoint mends what recovery forgets
    sweep(twin, sample(twin.steps, early, 8, SEED), figures)
    assert figures.equal < figures.points
    assert any(saying in failure for failure in figures.failures), figures.failures


def test_caught_orders_that_leave_before_their_line_is_written(tmp_path: Path) -> None:
    def later(pump: Pump, _flush: object) -> bool:
        if pump._journal.pending_lines > 20:
            pump._journal.flush()
        return True

    with mock.patch.object(Pump, "_flush_or_fault", later):
        assert_caught(twin_of(SEED, tmp_path), "bytes left without a line on disk", "after send")


def test_caught_a_recovery_that_forgets_an_attempt(twin: Twin) -> None:
    def forgetful(keeper: Any, fields: dict[str, Any], ts_ns: int) -> None:
        if not stem_of(fields["client_order_id"]).endswith("00003"):
            durable_restore(keeper, fields, ts_ns)

    durable_restore = durable.restore_approved
    with mock.patch.object(durable, "restore_approved", forgetful):
        assert_caught(twin, "not the live state", "after write", "after send")


def test_caught_a_recovery_that_skips_a_kind_of_line(twin: Twin) -> None:
    with mock.patch.dict(fold.FOLDS):
        del fold.FOLDS[EventType.CANCEL_REQUESTED]
        assert_caught(twin, ".interceptor.cancels", "after write", "torn inside a line")


# ---------------------------------------------------------------------- what the sweep has found
def test_new_filters_in_the_journal_leave_the_days_baseline_as_it_was() -> None:
    """INSTRUMENTS after EQUITY with no fact between: the fold marks at a time long gone."""
    recovering, gate, _ = engine()
    day, ts_ns = T0 // DAY_NS, T0
    baseline = {"day": day, "day_open": "5", "session_open": "5", "peak": "5"}
    filters = {"instruments": [to_plain(loaded_instrument())]}
    recovering.apply_fact({"event_type": "equity", "seq": 1, "ts_ns": ts_ns, **baseline})
    recovering.apply_fact({"event_type": "instruments", "seq": 2, "ts_ns": ts_ns, **filters})
    assert gate.state()["equity"] == {**baseline, "latched": []}
