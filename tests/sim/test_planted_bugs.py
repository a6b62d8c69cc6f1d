"""The judge is judged: a bug planted on purpose must be caught within a few seeds."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from daemon.core import fold, lifecycle
from daemon.core.books import Books
from daemon.core.desk import Desk
from daemon.core.execution import Execution
from daemon.core.ledger import Ledger
from daemon.core.lifecycle import Row, Trigger
from daemon.core.rounds import Rounds
from daemon.model.enums import OrderStatus, ReportSource
from daemon.model.reports import ExecutionReport
from riskcaps.interceptor import Interceptor
from tests.support import sim_runner
from tests.support.sim_chaos import FaultMenu
from tests.support.sim_runner import SimRun

SEEDS = range(9000, 9025)
STORM = FaultMenu(
    drop_request=0.15,
    drop_answer=0.2,
    late_request=0.3,
    drop_event=0.1,
    duplicate_event=0.3,
    reorder_event=0.3,
    disconnect=0.03,
)
Patch = Callable[[pytest.MonkeyPatch], None]


def a_timeout_is_a_no(patch: pytest.MonkeyPatch) -> None:
    row = Row(OrderStatus.REJECTED)
    patch.setitem(lifecycle.TABLE, (OrderStatus.SUBMITTED, Trigger.SILENCE), row)


def a_refused_cancel_means_gone(patch: pytest.MonkeyPatch) -> None:
    row = Row(OrderStatus.CANCELED)
    patch.setitem(lifecycle.TABLE, (OrderStatus.PENDING_CANCEL, Trigger.CANCEL_REFUSED), row)


def a_fill_told_twice_counts_twice(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Books, "has_fill", lambda *_: False)


def absence_is_believed_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sim_runner, "SETTLE_NS", 0)


def a_cancel_on_its_way_frees_the_caps(patch: pytest.MonkeyPatch) -> None:
    kept = Ledger.request_cancel

    def freeing(self: Ledger, order: Any, new: OrderStatus, now_ns: int) -> None:
        kept(self, order, new, now_ns)
        self.interceptor.on_terminal(order.client_order_id, now_ns)

    patch.setattr(Ledger, "request_cancel", freeing)


def the_venues_history_is_not_read(patch: pytest.MonkeyPatch) -> None:
    kept = Execution.absorb

    def forgetful(self: Execution, order: Any, report: ExecutionReport) -> None:
        if report.source is not ReportSource.STREAM:
            report = replace(report, fills=())
        kept(self, order, report)

    patch.setattr(Rounds, "_owner", lambda *_: None)
    patch.setattr(Execution, "absorb", forgetful)


def a_late_fill_is_dropped(patch: pytest.MonkeyPatch) -> None:
    kept = Books.has_fill

    def deaf(self: Books, fill: Any) -> bool:
        order = self.orders.get(fill.client_order_id)
        return kept(self, fill) or (order is not None and order.status.is_terminal)

    patch.setattr(Books, "has_fill", deaf)


def an_unknown_order_frees_the_caps(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Interceptor, "on_unknown", Interceptor.on_terminal)


def recovery_forgets_cancels(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(fold._FOLDS, "cancel_requested", lambda *_: None)


def an_amend_on_its_way_is_believed(patch: pytest.MonkeyPatch) -> None:
    kept = Desk.amend_requested

    def hopeful(self: Desk, order: Any, qty: Any, why: str) -> None:
        kept(self, order, qty, why)
        self.amended(order, qty, "hope")

    patch.setattr(Desk, "amend_requested", hopeful)


def smaller_orders_go_unnoticed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Desk, "amended", lambda *_: None)


def recovery_forgets_amends(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(fold._FOLDS, "order_amended", lambda *_: None)


@pytest.mark.parametrize(
    "bug",
    [
        a_timeout_is_a_no,
        a_refused_cancel_means_gone,
        a_fill_told_twice_counts_twice,
        absence_is_believed_at_once,
        a_cancel_on_its_way_frees_the_caps,
        the_venues_history_is_not_read,
        a_late_fill_is_dropped,
        an_unknown_order_frees_the_caps,
        recovery_forgets_cancels,
        an_amend_on_its_way_is_believed,
        smaller_orders_go_unnoticed,
        recovery_forgets_amends,
    ],
    ids=lambda bug: bug.__name__,
)
def test_a_planted_bug_is_caught(bug: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch)
    caught = ""
    for seed in SEEDS:
        try:
            SimRun(seed, menu=STORM).run().checker.recovery()
        except AssertionError as error:
            caught = str(error)
            break
    assert caught, f"{bug.__name__} went unnoticed in {len(SEEDS)} seeds"


def test_without_a_bug_the_same_seeds_are_clean() -> None:
    for seed in SEEDS:
        SimRun(seed, menu=STORM).run().checker.recovery()
