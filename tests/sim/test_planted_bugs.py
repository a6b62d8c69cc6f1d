"""The judge is judged: a bug planted on purpose must be caught within a few seeds."""

from collections.abc import Callable
from typing import Any

import pytest

from daemon.core import fold, lifecycle, reconcile
from daemon.core.amend_requests import Amends
from daemon.core.books import Books
from daemon.core.cancels import Cancels
from daemon.core.durable_state import DurableState
from daemon.core.execution import Execution
from daemon.core.lifecycle import Row, Trigger
from daemon.core.reconciliation_rounds import ReconciliationRounds
from daemon.core.turn_context import TurnContext
from daemon.model.copies import replace
from daemon.model.enums import OrderStatus, ReportSource
from daemon.model.reports import ExecutionReport
from riskcaps.state.risk_state import RiskState
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
    refuse_locally=0.25,
    lose_at_send=0.01,
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
    kept = DurableState.request_cancel

    def freeing(self: DurableState, order: Any, new: OrderStatus, now_ns: int) -> None:
        kept(self, order, new, now_ns)
        self.interceptor.risk.on_terminal(order.client_order_id, now_ns)

    patch.setattr(DurableState, "request_cancel", freeing)


def the_venues_history_is_not_read(patch: pytest.MonkeyPatch) -> None:
    kept = Execution.absorb

    def forgetful(self: Execution, order: Any, report: ExecutionReport) -> None:
        if report.source is not ReportSource.STREAM:
            report = replace(report, fills=())
        kept(self, order, report)

    patch.setattr(ReconciliationRounds, "_owner", lambda *_: None)
    patch.setattr(Execution, "absorb", forgetful)


def a_late_fill_is_dropped(patch: pytest.MonkeyPatch) -> None:
    kept = Books.has_fill

    def deaf(self: Books, fill: Any) -> bool:
        order = self.orders.get(fill.client_order_id)
        return kept(self, fill) or (order is not None and order.status.is_terminal)

    patch.setattr(Books, "has_fill", deaf)


def an_unknown_order_frees_the_caps(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(RiskState, "on_unknown", RiskState.on_terminal)


def recovery_forgets_cancels(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(fold.FOLDS, "cancel_requested", lambda *_: None)


def an_amend_on_its_way_is_believed(patch: pytest.MonkeyPatch) -> None:
    kept = TurnContext.amend_requested

    def hopeful(self: TurnContext, order: Any, amend: Any, why: str) -> None:
        kept(self, order, amend, why)
        self.amended(order, amend.qty, "hope")

    patch.setattr(TurnContext, "amend_requested", hopeful)


def smaller_orders_go_unnoticed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TurnContext, "amended", lambda *_: None)


def recovery_forgets_amends(patch: pytest.MonkeyPatch) -> None:
    patch.setitem(fold.FOLDS, "order_amended", lambda *_: None)


def a_replace_that_is_not_sent_ends_its_target(patch: pytest.MonkeyPatch) -> None:
    """Field finding 35, as it was: the books forget an order that rests at the venue."""
    row = Row(OrderStatus.CANCELED)
    patch.setitem(lifecycle.TABLE, (OrderStatus.PENDING_REPLACE, Trigger.REPLACE_REFUSED), row)


def the_audit_looks_one_way_only(patch: pytest.MonkeyPatch) -> None:
    """The same, with nobody to ask what is open there and ended here: the venue's ledger tells."""
    a_replace_that_is_not_sent_ends_its_target(patch)
    patch.setattr(reconcile, "_ended", lambda *_: ())


def a_refused_amend_is_believed(patch: pytest.MonkeyPatch) -> None:
    def hopeful(self: Amends, order: Any, why: str) -> None:
        del why
        wanted = self.under_way.pop(order.client_order_id, order.qty)
        if not order.status.is_terminal and wanted < order.qty:
            self._ctx.amended(order, wanted, "hope")

    patch.setattr(Amends, "not_sent", hopeful)


def a_cancel_that_is_not_sent_is_believed(patch: pytest.MonkeyPatch) -> None:
    kept = Cancels.not_sent

    def hopeful(self: Cancels, order: Any, why: str) -> None:
        if order.status is OrderStatus.PENDING_CANCEL:
            self._ctx.fire(order, Trigger.CANCEL, why)
        kept(self, order, why)

    patch.setattr(Cancels, "not_sent", hopeful)


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
        a_replace_that_is_not_sent_ends_its_target,
        the_audit_looks_one_way_only,
        a_refused_amend_is_believed,
        a_cancel_that_is_not_sent_is_believed,
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
    struck = 0
    for seed in SEEDS:
        run = SimRun(seed, menu=STORM).run()
        run.checker.recovery()
        struck += run.faults
    assert struck > 10 * len(SEEDS), "the storm blew, and nothing was found"
