"""A thinned journal says the same: seeded worlds written twice, with every tick and without those
that had no consequence. Facts, recovery, decisions and verdicts are compared; the venue's books and
the engine that never stopped are the judges.
"""

import json
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
from evidence.report.report import build_report
from tests.support.journal_maker import encode, write_journal
from tests.support.sim_journal import books_of, records_of
from tests.support.sim_runner import SimRun

SEEDS = range(20)
TICKS = (MarketData, PublicTrade, BudgetSampled, TimerFired)


class AllTurns(list[tuple[Turn, tuple[Effect, ...]]]):
    """The turns of every boot: a crash does not clear them."""

    def clear(self) -> None:
        """Keep them."""


def written(run: SimRun, *, thinned: bool) -> list[dict[str, Any]]:
    """The run's lines as its pump would have written them."""
    first, *facts, last = records_of(run)
    envelope = {k: first[k] for k in ("schema", "run_id", "mode", "exchange")}
    flags = {"level": "info", "is_error": False, "is_anomaly": False}
    out = [{**first, "ticks": "thinned" if thinned else "all"}]
    left = iter(facts)
    for turn, effects in run.turns:
        if not (thinned and had_no_consequence(turn.input, effects)):
            told = {"event_type": "input", **flags, "input": to_tagged(turn.input)}
            out.append({"ts_ns": turn.ts_ns, **envelope, "session_id": "", **told})
        out += [next(left) for one in effects if isinstance(one, Record)]
    out.append(last)
    assert next(left, None) is None
    return out


def told_by(directory: Path) -> list[dict[str, Any]]:
    """The facts of a journal without what numbers and chains them."""
    return [
        {key: value for key, value in fact.items() if key not in {"seq", "prev", "ticks"}}
        for fact in recover(directory).facts
    ]


def test_thinned_and_whole_journals_say_the_same() -> None:
    lines = {False: 0, True: 0}
    decisions = 0
    for seed in SEEDS:
        run = SimRun(seed)
        run.turns = AllTurns(run.turns)
        run.run()
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
                figures = {key: plain[key] for key in ("orders", "decisions", "verdicts")}
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
            assert found[0][1] == "OK", seed
            decisions += found[0][3]["agreed"]
    assert decisions > 20 * len(SEEDS)
    assert lines[True] < lines[False] * 0.8


def test_only_a_tick_is_ever_left_out_and_only_for_want_of_a_consequence() -> None:
    left_out = kept_ticks = 0
    for seed in SEEDS:
        run = SimRun(seed)
        run.turns = AllTurns(run.turns)
        run.run()
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
