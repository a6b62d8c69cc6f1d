"""A thinned journal says the same: seeded worlds written twice, with every tick and without those
that had no consequence. Facts, recovery, decisions and verdicts are compared; the venue's books and
the engine that never stopped are the judges.
"""

import json
import re
from collections import deque
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from daemon.core.ticks import HOUSEKEEPING, had_no_consequence
from daemon.model.effects import ArmTimer, Effect, Record, SendOrder
from daemon.model.inputs import BudgetSampled, MarketData, PublicTrade, TimerFired, Turn
from daemon.model.plain_values import to_tagged
from daemon.model.records import EventType
from daemon.shell.journal.replay import recover
from evidence.judge.decision_recheck import recheck
from evidence.read.told_inputs import TOLD
from evidence.report.report import build_report
from tests.support.journal_maker import encode, write_journal
from tests.support.sim_journal import books_of, line_of, records_of
from tests.support.sim_runner import SimRun

SEEDS = range(20)
TICKS = (MarketData, PublicTrade, BudgetSampled, TimerFired)


class AllTurns(list[tuple[Turn, tuple[Effect, ...]]]):
    """The turns of every boot, and where each began: a crash does not clear them."""

    def __init__(self) -> None:
        super().__init__()
        self.boots = [0]

    def clear(self) -> None:
        """Keep them."""
        self.boots.append(len(self))


def turns_kept(seed: int) -> SimRun:
    """A world, run to its end, with the turns of all its boots."""
    run = SimRun(seed)
    kept = AllTurns()
    kept.extend(run.turns)
    run.turns = kept
    return run.run()


def written(run: SimRun, *, thinned: bool) -> list[dict[str, Any]]:
    """The run's lines as its pump would have written them."""
    assert isinstance(run.turns, AllTurns)
    left = deque(records_of(run))
    out: list[dict[str, Any]] = []

    def noted(until_ns: int) -> None:
        """The shell's own lines, which come with no turn, and the inputs that the world notes."""
        shells = {"command", "kill", "input"}
        while left[0]["event_type"] in shells and left[0]["ts_ns"] <= until_ns:
            out.append(left.popleft())

    def take() -> dict[str, Any]:
        noted(run.now_ns)
        return left.popleft()

    for number, (turn, effects) in enumerate(run.turns):
        noted(turn.ts_ns)
        for _ in range(run.turns.boots.count(number)):
            begun = {**take(), "ticks": "thinned" if thinned else "all"}
            out += [begun, {**take(), "from_seq": len(out)}]
        is_noted = type(turn.input).__name__ in TOLD
        if not is_noted and not (thinned and had_no_consequence(turn.input, effects)):
            told = {"input": to_tagged(turn.input)}
            out.append(line_of(begun["run_id"], "input", turn.ts_ns, "", **told))
        out += [take() for one in effects if isinstance(one, Record)]
    out.append(take())
    assert not left
    return out


def told_by(directory: Path) -> list[dict[str, Any]]:
    """The facts of a journal without what numbers and chains them."""
    own = {"seq", "prev", "ticks", "from_seq"}
    return [
        {key: value for key, value in fact.items() if key not in own}
        for fact in recover(directory).facts
    ]


def without_places(figures: dict[str, Any]) -> str:
    """What a report says, without the numbers of lines: a thinned journal has fewer."""
    return re.sub(r"\bseq \d+", "seq", json.dumps(figures))


def test_thinned_and_whole_journals_say_the_same() -> None:
    lines = {False: 0, True: 0}
    decisions = 0
    for seed in SEEDS:
        run = turns_kept(seed)
        with TemporaryDirectory() as name:
            home = Path(name)
            (home / "books.json").write_text(json.dumps(books_of(run), default=str))
            found = []
            for thinned in (False, True):
                records = json.loads(json.dumps(written(run, thinned=thinned), default=str))
                lines[thinned] += len(records)
                directory = write_journal(home / f"thinned-{thinned}", encode(records))
                report = build_report([directory], ledger=home / "books.json")
                plain = report.to_json()["journals"][0]
                figures = without_places({k: plain[k] for k in ("orders", "decisions", "verdicts")})
                rechecked = recheck([directory])
                rechecked["journals"] = None
                found.append((told_by(directory), report.verdict, figures, rechecked))
                twin, gate, _ = run.new_engine(run.run_number)
                for fact in recover(directory).facts:
                    twin.apply_fact(fact)
                twin.finish_recovery(run.now_ns)
                for one in (run.gate, gate):
                    one.risk.usage(run.now_ns)
                assert twin.state_hash() == run.engine.state_hash(), seed
            assert found[0] == found[1], seed
            assert found[0][1] == "OK", (seed, report.reasons)
            decisions += found[0][3]["agreed"]
    assert decisions > 20 * len(SEEDS)
    assert lines[True] < lines[False] * 0.8


def test_only_a_tick_is_ever_left_out_and_only_for_want_of_a_consequence() -> None:
    left_out = kept_ticks = 0
    for seed in SEEDS:
        run = turns_kept(seed)
        for turn, effects in run.turns:
            if had_no_consequence(turn.input, effects):
                left_out += 1
                assert isinstance(turn.input, TICKS)
                for one in effects:
                    is_clockwork = isinstance(one, ArmTimer) and one.timer_id == HOUSEKEEPING
                    is_beat = isinstance(one, Record) and one.event_type is EventType.HEARTBEAT
                    assert is_clockwork or is_beat
            elif isinstance(turn.input, MarketData):
                kept_ticks += 1
                assert any(isinstance(one, Record | SendOrder | ArmTimer) for one in effects)
    assert left_out > 1_000
    assert kept_ticks > 0
