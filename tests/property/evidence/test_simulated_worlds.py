"""The accountant over seeded worlds: no false alarm where the engine is right, and every planted
bug found from the journal and the venue's books alone, without a look into the engine.
"""

import json
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from daemon.core import lifecycle
from daemon.core.books import Books
from daemon.core.durable_state import DurableState
from daemon.core.lifecycle import Row, Trigger
from daemon.core.turn_context import TurnContext
from daemon.model.enums import OrderStatus
from daemon.model.records import EventType
from evidence.report.report import Report, build_report
from riskcaps.gate import table
from riskcaps.gate.fast_path import FastPath
from riskcaps.state.risk_state import RiskState
from tests.support import sim_runner
from tests.support.journal_maker import encode, write_journal
from tests.support.sim_chaos import FaultMenu
from tests.support.sim_journal import books_of, records_of
from tests.support.sim_runner import SimRun

SEEDS = range(20)
STORM = FaultMenu(
    drop_request=0.15, drop_answer=0.2, late_request=0.3, drop_event=0.1, duplicate_event=0.3,
    reorder_event=0.3, disconnect=0.03,
)  # fmt: skip


def judged(run: SimRun) -> Report:
    with TemporaryDirectory() as name:
        home = Path(name)
        journal = write_journal(home / "journal", encode(records_of(run)))
        (home / "books.json").write_text(json.dumps(books_of(run)))
        return build_report([journal], ledger=home / "books.json")


def test_honest_worlds_raise_no_false_alarm():
    decisions = fills = 0
    for seed in SEEDS:
        report = judged(SimRun(seed).run())
        assert report.verdict == "OK", f"seed {seed}: {report.reasons}"
        plain = report.to_json()["journals"][0]
        decisions += plain["decisions"]["agreed"]
        fills += plain["orders"]["fills"]
    assert decisions > 20 * len(SEEDS)
    assert fills > 4 * len(SEEDS)


class Blind:
    """Takes the place of the simulator's own judge: here only the accountant looks."""

    def __init__(self, run: SimRun) -> None:
        del run

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


Patch = Callable[[pytest.MonkeyPatch], None]


def a_timeout_is_a_no(patch: pytest.MonkeyPatch) -> None:
    row = Row(OrderStatus.REJECTED)
    patch.setitem(lifecycle.TABLE, (OrderStatus.SUBMITTED, Trigger.SILENCE), row)


def a_fill_told_twice_counts_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Books, "has_fill", lambda *_: False)


def a_fill_is_not_written_down(patch: pytest.MonkeyPatch) -> None:
    kept = TurnContext.record

    def unwritten(self: TurnContext, event_type: EventType, fields: Any) -> None:
        if event_type is not EventType.FILL:
            kept(self, event_type, fields)

    patch.setattr(TurnContext, "record", unwritten)


def an_order_leaves_without_its_line(patch: pytest.MonkeyPatch) -> None:
    kept = TurnContext.approve

    def silent(self: TurnContext, order: Any, reason: str, decision: Any) -> Any:
        made = kept(self, order, reason, decision)
        if order.client_order_id[:20].endswith("3"):  # its counter; the chain's digest follows
            self.effects.pop()
        return made

    patch.setattr(TurnContext, "approve", silent)


def the_position_cap_is_not_asked(patch: pytest.MonkeyPatch) -> None:
    dropped = {rule.check for rule in table.RULES if 35 <= rule.number <= 38}
    assert dropped
    patch.setattr(table, "_CALLS", tuple(call for call in table._CALLS if call not in dropped))
    patch.setattr(FastPath, "admits", lambda *_: False)  # every order walks the table


def a_cancel_on_its_way_frees_the_caps(patch: pytest.MonkeyPatch) -> None:
    kept = DurableState.request_cancel

    def freeing(self: DurableState, order: Any, new: OrderStatus, now_ns: int) -> None:
        kept(self, order, new, now_ns)
        self.interceptor.risk.on_terminal(order.client_order_id, now_ns)

    patch.setattr(DurableState, "request_cancel", freeing)


def an_unknown_order_frees_the_caps(patch: pytest.MonkeyPatch) -> None:
    kept = RiskState.on_unknown

    def freeing(self: RiskState, client_order_id: Any, now_ns: int) -> Any:
        self.on_terminal(client_order_id, now_ns)
        return kept(self, client_order_id, now_ns)

    patch.setattr(RiskState, "on_unknown", freeing)


BUGS: list[tuple[Patch, str]] = [
    (a_timeout_is_a_no, "reject_absent"),
    (a_fill_told_twice_counts_twice, "fill_twice"),
    (a_fill_is_not_written_down, "fills missing from journal"),
    (an_order_leaves_without_its_line, "orders missing from journal"),
    (the_position_cap_is_not_asked, "decisions do not hold"),
    (a_cancel_on_its_way_frees_the_caps, "decisions do not hold"),
    (an_unknown_order_frees_the_caps, "decisions do not hold"),
]


@pytest.mark.parametrize(("bug", "reason"), BUGS, ids=[bug.__name__ for bug, _ in BUGS])
def test_a_planted_bug_is_found_from_the_files_alone(monkeypatch, bug, reason):
    monkeypatch.setattr(sim_runner, "Checker", Blind)
    bug(monkeypatch)
    reasons: list[str] = []
    for seed in range(7000, 7025):
        report = judged(SimRun(seed, menu=STORM).run())
        reasons = report.reasons
        if report.verdict == "NO_GO" and any(reason in one for one in reasons):
            return
    pytest.fail(f"25 worlds with this bug, and the accountant saw nothing of it: {reasons}")
