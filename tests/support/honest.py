"""Seeded honest sessions of every kind, each of which the accountant must agree with.

`python -m tests.support.honest --sessions 3000` (`make honest`) judges so many and names every seed
that it does not agree with; the tests judge a fixed, small part. The judge of honesty is not the
engine: every world is checked by the venue's own books while it runs (tests/support/checkers.py).
"""

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evidence.judge.decision_recheck import recheck
from evidence.judge.disagreement import tell
from evidence.report.report import build_report
from tests.support.builders import caps, command
from tests.support.gate_world import GateWorld
from tests.support.journal_maker import encode, write_journal
from tests.support.sim_bots import run_world
from tests.support.sim_chaos import FaultMenu
from tests.support.sim_journal import books_of, records_of
from tests.support.sim_runner import MS, SimRun
from tests.support.sim_words import SYMBOL
from tests.support.wide_world import WideWorld

STORM = FaultMenu(
    drop_request=0.15, drop_answer=0.2, late_request=0.3, drop_event=0.1, duplicate_event=0.3,
    reorder_event=0.3, drop_query=0.1, fail_snapshot=0.1, refuse_locally=0.1, disconnect=0.03,
    operator=0.02,
)  # fmt: skip
RESTARTS = FaultMenu(
    drop_answer=0.1, late_request=0.1, drop_event=0.1, crash=0.08, disconnect=0.02, operator=0.05
)
TIGHT: dict[str, list[Any]] = {
    "order_notional_quote_max": ["600", "20000"],
    "exposure_quote_max": ["1500", "80000"],
    "exposure_gross_numeraire_max": ["1400", "100000"],
    "exposure_net_numeraire_max": ["1200", "100000"],
    "orders_open_max": [2, 30],
    "orders_per_second_max": [3, 1000],
    "orders_per_minute_max": [12, 10000],
    "orders_per_hour_max": [15, 100000],
    "traded_qty_per_day_base_max": ["0.05", "100000"],
    "traded_notional_per_day_numeraire_max": ["2500", "100000000"],
    "order_to_trade_grace_orders": [4, 100000],
    "order_to_trade_ratio_max": ["2.5", "100000"],
    "collar_bps_max": [2, 500],
    "market_data_age_ms_max": [150, 60000],
    "loss_session_numeraire_max": ["2", "50000"],
    "drawdown_numeraire_max": ["1", "50000"],
    "loss_streak_max": [2, 10000],
    "executions_without_human_max": [4, 100000],
    "duplicate_window_ms": [1, 900],
    "reduce_oversized": ["cut", "deny"],
    "collar_reference": ["mid", "last"],
}
"""Caps that a world of three seconds meets, beside values that it does not."""
LOWERED = {
    "orders_per_hour_max": (40, 20, 10), "orders_per_minute_max": (30, 15),
    "exposure_gross_numeraire_max": ("2500", "900"),
    f"symbols.{SYMBOL}.order_notional_quote_max": ("900", "500"),
    f"symbols.{SYMBOL}.orders_open_max": (5, 2),
}  # fmt: skip
"""What an operator tightens, step by step."""


class TightRun(SimRun):
    """A world with tight caps, whose operator tightens more and resolves what stopped it."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(f"{seed}/tight")
        changed = {key: rng.choice(TIGHT[key]) for key in rng.sample(sorted(TIGHT), 7)}
        position = {"position_long_base_max": "0.05", "position_short_base_max": "0.05"}
        capset = caps((SYMBOL,), **{**position, "conversions": {"BTC": [SYMBOL]}, **changed})
        self.operator_rng = rng
        super().__init__(seed, capset=capset)
        self.later(200 * MS, self._tend)

    def _tend(self) -> None:
        """The operator looks in a few times a second."""
        rng = self.operator_rng
        if self.session_wanted:
            for incident in list(self.engine._ctx.ledger.unresolved):
                note = {"root_cause": "seen", "remediation": "none"}
                name = incident.incident_id
                self.tell(command("incident-resolve", "seen", incident_id=name, **note))
            if rng.random() < 0.15:
                key = rng.choice(sorted(LOWERED))
                value = rng.choice(LOWERED[key])
                self.tell(command("caps-tighten", "calmer", changes={key: value}))
        self.later(rng.randrange(200, 500) * MS, self._tend)


NEVER_BEGUN = "complete: no session in it: nothing was tried"
"""All that is to be said of a world whose operator killed it before its first session."""


# ---------------------------------------------------------------------- judging
@dataclass(slots=True)
class Judged:
    """What the accountant said of one session."""

    verdict: str
    reasons: list[str]
    decisions: int


def judged_world(run: SimRun) -> Judged:
    """The whole report of a world, with the venue's books beside it."""
    records = json.loads(json.dumps(records_of(run), default=str))
    with TemporaryDirectory() as name:
        home = Path(name)
        journal = write_journal(home / "journal", encode(records))
        (home / "books.json").write_text(json.dumps(books_of(run), default=str))
        report = build_report([journal], ledger=home / "books.json")
    agreed = int(report.journals[0].account.results()["decisions"]["agreed"])
    verdict = "OK" if report.reasons == [NEVER_BEGUN] else report.verdict
    return Judged(verdict, report.reasons, agreed)


def judged_gate(world: GateWorld) -> Judged:
    """The decisions of a world around the gate alone: nothing of it ever met a venue."""
    with TemporaryDirectory() as name:
        result = recheck([write_journal(Path(name), world.maker.lines())])
    verdict = "OK" if result["is_agreed"] else "DISAGREES"
    reasons = [] if result["is_agreed"] else tell(result).splitlines()
    return Judged(verdict, reasons, result["agreed"])


KINDS: dict[str, Callable[[int], Judged]] = {
    "mixed": lambda seed: judged_world(SimRun(seed).run()),
    "storm": lambda seed: judged_world(SimRun(seed, menu=STORM).run()),
    "restarts": lambda seed: judged_world(SimRun(seed, menu=RESTARTS).run()),
    "tight": lambda seed: judged_world(TightRun(seed).run()),
    "bots": lambda seed: judged_world(run_world(seed)),
    "bots-storm": lambda seed: judged_world(run_world(seed, menu=STORM)),
    "gate": lambda seed: judged_gate(GateWorld(seed).run(120)),
    "cross-pairs": lambda seed: judged_gate(WideWorld(seed).run(150)),
}
"""What a session is: the whole engine under faults, or the gate alone on four symbols."""


def sessions(first: int, count: int) -> Iterator[tuple[str, int]]:
    """Kinds in turn, each with seeds of its own."""
    names = sorted(KINDS)
    for number in range(count):
        yield names[number % len(names)], first + number // len(names)


def main() -> int:
    """Judge many; exit code 1 when the accountant disagrees with one."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.honest", description=__doc__)
    parser.add_argument("--sessions", type=int, default=3000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--kind", choices=sorted(KINDS), help="this kind alone")
    args = parser.parse_args()
    wanted = sessions(args.first, args.sessions)
    if args.kind:
        wanted = ((args.kind, args.first + number) for number in range(args.sessions))
    agreed: Counter[str] = Counter()
    decisions = disagreed = 0
    for kind, seed in wanted:
        found = KINDS[kind](seed)
        decisions += found.decisions
        if found.verdict == "OK":
            agreed[kind] += 1
        else:
            disagreed += 1
            print(f"{kind} seed {seed}: {found.verdict}: {'; '.join(found.reasons)}")
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(agreed.items()))
    print(f"{sum(agreed.values())} sessions agree ({told}), {decisions} decisions decided again")
    return 1 if disagreed else 0


if __name__ == "__main__":
    sys.exit(main())
