"""`kill -9` at every write point of the journal, and what a restart makes of it.

    .venv/bin/python -m tests.support.kill_sweep --points all

For each point a child process lives the seed's world over the real pump and journal and takes
SIGKILL there. Beside it a shadow lives the same life in memory and only raises: it keeps the venue
as the dead daemon left it, and the two journals must be the same to the byte. Then the killed
directory is recovered as the daemon's boot recovers, judged, and the run goes on to its end, where
the venue's own ledger is the judge.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from daemon.core.canonical import canonical
from daemon.core.engine import Engine
from daemon.model.amounts import NS_PER_S
from daemon.shell.journal.journal_writer import segments
from daemon.shell.journal.replay import recover
from daemon.venues.binance_spot.serving.units import decimal_of_e8
from riskcaps.gate.interceptor import Interceptor
from tests.support.builders import BTC, T0
from tests.support.checkers import _where
from tests.support.kill_world import KillWorld, Point, Step, virtual
from tests.support.sim_runner import MS, SYMBOL

LIFE_NS = 2500 * MS
AFTERLIFE_NS = 1200 * MS
HOUR_NS = 3600 * NS_PER_S
CLEAN_EXIT, CHILD_FAILED = 0, 3


@dataclass(kw_only=True)
class Twin:
    """The same seed, uninterrupted."""

    seed: int
    steps: list[Step]
    lines: list[bytes]
    live_states: dict[int, str]
    """Hash of the live engine's state by the seq of the last line of each turn."""
    tally: Counter[str]


@dataclass(kw_only=True)
class Figures:
    """What a sweep has seen."""

    points: int = 0
    equal: int = 0
    live: int = 0
    """Of these: compared with the live twin itself (the others died inside a turn's lines)."""
    kinds: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kinds.items()))
        return (
            f"{self.points} points, {self.equal} equal states ({self.live} against the live twin; "
            f"{kinds}; {self.sent} orders had left)"
        )


# ---------------------------------------------------------------------- the points
def twin_of(seed: int, scratch: Path) -> Twin:
    """Live the seed once without a death, to its rest; it must itself be in order."""
    world = KillWorld(seed)
    world.is_recording = True
    with virtual(world):
        assert world.live(scratch / "twin" / "journal", T0 + LIFE_NS)
        steps = list(world.steps)
        come_to_rest(world, scratch / "twin" / "journal")
    lines = lines_of(scratch / "twin" / "journal")
    tally = Counter(str(json.loads(line)["event_type"]) for line in lines)
    return Twin(seed=seed, steps=steps, lines=lines, live_states=world.live_states, tally=tally)


def points_of(steps: Sequence[Step], rng: random.Random) -> list[Point]:
    """Before and after each step; writes also torn: inside, and at each line's end inside."""
    points = []
    for number, step in enumerate(steps):
        if step.kind != "send":  # before a send is after the write
            points.append(Point(number, "before"))
        points.append(Point(number, "after"))
        if step.kind == "write":
            cuts = {rng.randrange(1, len(step.data))}
            cuts |= {n + 1 for n, byte in enumerate(step.data[:-1]) if byte == ord("\n")}
            points += [Point(number, "torn", cut) for cut in sorted(cuts)]
    return points


def sample(steps: Sequence[Step], points: list[Point], count: int, seed: int) -> list[Point]:
    """So many points, of each kind of death some."""
    rng = random.Random(seed)
    kinds: dict[str, list[Point]] = {}
    for point in points:
        kinds.setdefault(kind_of(steps, point), []).append(point)
    for one in kinds.values():
        rng.shuffle(one)
    chosen: list[Point] = []
    while len(chosen) < min(count, len(points)):
        for one in kinds.values():
            if one and len(chosen) < count:
                chosen.append(one.pop())
    return chosen


def kind_of(steps: Sequence[Step], point: Point) -> str:
    step = steps[point.step]
    if point.how != "torn":
        return f"{point.how} {step.kind}"
    whole = step.data[point.torn_bytes - 1] == ord("\n")
    return "torn between lines" if whole else "torn inside a line"


# ---------------------------------------------------------------------- one point
def kill_at(
    twin: Twin,
    point: Point,
    scratch: Path,
    *,
    wall_step_ns: int = 0,
    again: Point | None = None,
) -> bool:
    """Kill there, recover, judge, live on; True when the live twin had a state to compare with.

    `wall_step_ns`: what the wall clock was set by before the restart. `again`: a second death, in
    the life after.
    """
    rng = random.Random(f"{twin.seed}/{point}")
    world = KillWorld(twin.seed)
    real = scratch / "real"
    journal = real / "journal"
    with virtual(world):
        killed(world, real, scratch / "shadow", T0 + LIFE_NS, point)
        found = lines_of(journal)
        torn = tail_of(journal)
        recovered = recover(journal)
        assert recovered.torn_bytes == len(torn), "the torn tail was not cut as it was found"
        assert found == twin.lines[: len(found)], "the journal is not the twin's up to its end"
        live = judge(world, real, twin.live_states)
        world.wall_step_ns = wall_step_ns
        world.run_until(world.now_ns + rng.randrange(0, 400) * MS)  # the venue goes on
        if again is not None:
            world.is_recording = True
            world.live_states = {}
            if killed(world, real, scratch / "again", world.now_ns + AFTERLIFE_NS, again):
                judge(world, real, world.live_states)
                world.run_until(world.now_ns + rng.randrange(0, 400) * MS)
            else:
                world.die()  # the second life was too short for its trap: it dies at its end
            world.is_recording = False
        assert world.live(journal, max(T0 + LIFE_NS, world.now_ns) + AFTERLIFE_NS)
        come_to_rest(world, journal)
    return live


def killed(world: KillWorld, real: Path, shadow: Path, end_ns: int, point: Point) -> bool:
    """One life in a child that dies at the point, and the same in the shadow, here.

    Returns False when the life ended before its trap (both then).
    """
    (real / "journal").mkdir(parents=True, exist_ok=True)
    shutil.copytree(real, shadow)
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _live_in_child(world, real, end_ns, point)
    sprung = not world.live(shadow / "journal", end_ns, trap=point)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        assert os.WEXITSTATUS(status) == CLEAN_EXIT, (real / "failed").read_text()
        assert not sprung, f"{point}: the shadow was killed and the child was not"
    else:
        assert sprung, f"{point}: the child was killed and the shadow was not"
        assert os.WTERMSIG(status) == signal.SIGKILL
    theirs, ours = files_of(real), files_of(shadow)
    assert theirs == ours, f"{point}: child and shadow left other bytes"
    return sprung


def _live_in_child(world: KillWorld, real: Path, end_ns: int, point: Point) -> None:
    code = CHILD_FAILED
    try:
        world.live(real / "journal", end_ns, trap=point, mortal=True)
        code = CLEAN_EXIT
    except BaseException:  # noqa: BLE001 - whatever it is, the parent reads it and fails
        (real / "failed").write_text(traceback.format_exc())
    finally:
        os._exit(code)


def judge(world: KillWorld, real: Path, live_states: dict[int, str]) -> bool:
    """What was recovered: equal to the twin, and to the whole history; nothing left unwritten."""
    recovered = recover(real / "journal")
    engine, gate, _ = world.recovered_engine(recovered, recovered.ts_ns)
    records = [json.loads(line) for line in lines_of(real / "journal")]
    wanted = live_states.get(recovered.seq)
    if wanted is not None:
        assert engine.state_hash() == wanted, f"not the live state after line {recovered.seq}"
    again, _ = folded(world, records, recovered.ts_ns)
    assert_equal(again, engine)
    approved = [one["client_order_id"] for one in records if one["event_type"] == "order_approved"]
    left = (real / "sent").read_text().split() if (real / "sent").exists() else []
    unwritten = set(left) - set(approved)
    assert not unwritten, f"bytes left without a line on disk: {unwritten}"
    attempts = day_count(gate, recovered.ts_ns)
    assert attempts == len(approved) >= len(left), (attempts, len(approved), len(left))
    return wanted is not None


def come_to_rest(world: KillWorld, journal: Path) -> None:
    """No more faults, stop, and the venue's ledger says whether the books are right."""

    def read() -> list[dict[str, Any]]:
        return [json.loads(line) for line in lines_of(journal)]

    world.checker.at_rest = lambda: None  # type: ignore[method-assign]  # asked below, with facts
    world.quiesce()
    del world.checker.at_rest
    world.journal.flush()
    records = read()
    world.facts = [one for one in records if one["event_type"] != "input"]
    opened = [one["trigger"] for one in records if one["event_type"] == "incident_opened"]
    world.checker.incidents = opened
    world.checker.at_rest()
    again, _ = folded(world, records, world.clock.now_ns())
    assert_equal(again, world.engine)
    approved = sum(one["event_type"] == "order_approved" for one in records)
    now_ns = world.clock.now_ns()
    assert day_count(world.gate, now_ns) == approved, "attempts of the day and approved lines"
    traded = sum(
        (decimal_of_e8(row.qty) for row in world.venue.my_trades("main", SYMBOL)), Decimal(0)
    )
    counted = world.gate.risk.books.book(BTC).traded.total(now_ns)
    assert counted == traded, f"traded today {counted}, by the venue's ledger {traded}"


def folded(
    world: KillWorld, records: Iterable[dict[str, Any]], now_ns: int
) -> tuple[Engine, Interceptor]:
    """An engine from the whole history, line by line, that never saw a checkpoint."""
    engine, gate, _ = world.new_engine(world.run_number)
    for record in records:
        if record["event_type"] not in {"input", "checkpoint"}:
            engine.apply_fact(record)
    engine.finish_recovery(now_ns)
    return engine, gate


def assert_equal(wanted: Engine, found: Engine) -> None:
    """The durable states, the interceptor's with them."""
    if wanted.state_hash() == found.state_hash():
        return
    where = _where(canonical(wanted.state()), canonical(found.state()))
    raise AssertionError(f"states differ in {where}")


def day_count(gate: Interceptor, now_ns: int) -> int:
    """Attempts of the rolling day."""
    return gate.risk.windows.orders.counts(now_ns)[-1]


def lines_of(journal: Path) -> list[bytes]:
    """Whole lines, oldest first; a torn tail is left out."""
    body = b"".join(path.read_bytes() for path in segments(journal))
    return body[: body.rfind(b"\n") + 1].splitlines()


def tail_of(journal: Path) -> bytes:
    """What stands after the last whole line."""
    body = b"".join(path.read_bytes() for path in segments(journal)[-1:])
    return body[body.rfind(b"\n") + 1 :]


def files_of(directory: Path) -> dict[str, bytes]:
    """Every file and its bytes."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


# ---------------------------------------------------------------------- the sweep
def sweep(twin: Twin, points: Iterable[Point], figures: Figures, *, doubles: bool = False) -> None:
    """Kill at each; a failure is noted with what reproduces it."""
    rng = random.Random(twin.seed)
    for point in points:
        again = None
        if doubles:
            again = Point(rng.randrange(0, 25), rng.choice(("before", "after")))
        figures.points += 1
        figures.kinds[kind_of(twin.steps, point)] += 1
        with tempfile.TemporaryDirectory(prefix="kill-") as scratch:
            try:
                figures.live += kill_at(twin, point, Path(scratch), again=again)
                figures.equal += 1
                figures.sent += len((Path(scratch) / "shadow" / "sent").read_text().split())
            except Exception as error:  # noqa: BLE001 - whatever it is, the point is not equal
                what = f"{type(error).__name__}: {error}"
                figures.failures.append(f"seed {twin.seed}, {point}, again {again}: {what}")


def main(arguments: Sequence[str] | None = None) -> int:
    """The long form. Exit code 1 when a point is not equal."""
    parser = argparse.ArgumentParser(prog="kill_sweep", description=__doc__)
    parser.add_argument("--points", default="60", help="how many for each seed, or all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--doubles", action="store_true", help="kill each restarted life as well")
    chosen = parser.parse_args(arguments)
    figures, began = Figures(), time.monotonic()
    for seed in chosen.seeds:
        with tempfile.TemporaryDirectory(prefix="kill-") as scratch:
            twin = twin_of(seed, Path(scratch))
        points = points_of(twin.steps, random.Random(seed))
        if chosen.points != "all":
            points = sample(twin.steps, points, int(chosen.points), seed)
        print(f"seed {seed}: {len(points)} points; {dict(twin.tally)}", flush=True)
        sweep(twin, points, figures, doubles=chosen.doubles)
    for failure in figures.failures:
        print(failure)
    print(f"{figures} in {time.monotonic() - began:.1f} s")
    return 1 if figures.failures else 0


if __name__ == "__main__":
    sys.exit(main())
