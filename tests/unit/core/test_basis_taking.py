"""Balances taken over while a trade of ours is on its way: it counts once, and no loss hides.

What is told while a trade is owed stands in `test_reconcile.py`.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from daemon.model.amounts import ZERO
from daemon.model.enums import ReportSource, VenueOrderStatus
from daemon.model.inputs import SnapshotTaken, VenueReport
from daemon.model.reports import Fill
from tests.support.builders import command, fill, report, snapshot, wish
from tests.support.screenplay import Stage

V = VenueOrderStatus
HELD = {"USDT": "100000", "BTC": "100", "ETH": "100"}
DEPOSITED = {**HELD, "BTC": "101"}
"""What an operator looked at; an order of 0.1 BTC for 10 USDT is open meanwhile."""
TRADED = {**HELD, "BTC": "101.1", "USDT": "99990"}


class Scene:
    """A mismatch is found and explained; the round that takes the balances over is asked for."""

    def __init__(self) -> None:
        self.stage = Stage().ready(**HELD).start()
        self.cid = self.stage.place(wish(price="100.00")).client_order_id
        self.stage.tell(VenueReport(report(self.cid)))
        self.status, self.booked = V.NEW, tuple[Fill, ...]()
        self.rounds(DEPOSITED)
        assert self.stage.incidents() == ["position_mismatch"]
        self.stage.asked.clear()
        name = self.stage.facts_of("incident_opened")[0]["incident_id"]
        self.stage.tell(command("incident-resolve", "a deposit", incident_id=name))

    def shown(self, balances: Mapping[str, str]) -> dict[str, Any]:
        """A snapshot: the order as its list shows it, and the trades that are told by then."""
        cum = "0.1" if self.status is V.FILLED else "0"
        row = report(self.cid, self.status, cum=cum, source=ReportSource.QUERY)
        kind = "statuses" if self.status is V.FILLED else "open_orders"
        return {"balances": balances, kind: (row,), "fills": self.booked}

    def answer(self, balances: Mapping[str, str]) -> None:
        """One round."""
        reason = self.stage.asked.popleft()
        self.stage.tell(SnapshotTaken(snapshot(reason=reason, **self.shown(balances))))

    def rounds(self, balances: Mapping[str, str]) -> None:
        self.stage.tell(command("reconcile"))
        self.stage.answer_all(**self.shown(balances))

    def trade(self) -> None:
        """The stream tells of it."""
        one = fill(self.cid, 3, "0.1", price="100.00")
        self.stage.tell(VenueReport(report(self.cid, V.FILLED, cum="0.1", fills=(one,))))
        self.status, self.booked = V.FILLED, (one,)

    def assert_exact(self, balances: Mapping[str, str]) -> None:
        """No second incident, and basis and flows make what the venue has; a twin agrees."""
        self.rounds(balances)
        assert self.stage.incidents() == ["position_mismatch"]
        last = self.stage.facts_of("reconciled")[-1]
        assert (last["clean"], last["differences"]) == (True, [])
        ledger = self.stage.engine._ctx.ledger
        flows = ledger.books.flows
        ours = {asset: ledger.basis[asset] + flows.get(asset, ZERO) for asset in balances}
        assert ours == {asset: Decimal(amount) for asset, amount in balances.items()}
        twin = Stage()
        for fact in self.stage.facts:
            twin.engine.apply_fact(fact)
        assert twin.engine._ctx.ledger.basis == ledger.basis


def test_a_trade_between_the_orders_and_the_account_of_a_snapshot_counts_once() -> None:
    """The list shows the order open, the account holds its trade; the next round shows it."""
    scene = Scene()
    scene.answer(TRADED)
    scene.status = V.FILLED
    scene.rounds(TRADED)
    assert not any(one["basis_set"] for one in scene.stage.facts_of("reconciled")[1:])
    scene.trade()
    scene.assert_exact(TRADED)


def test_a_trade_that_is_booked_before_the_round_is_over_counts_once() -> None:
    """Of the snapshot its account is the oldest part by the time that it is digested."""
    scene = Scene()
    scene.trade()
    scene.answer(DEPOSITED)
    scene.rounds(TRADED)
    scene.assert_exact(TRADED)


def test_an_order_that_stays_open_keeps_no_balances_from_being_taken_over() -> None:
    scene = Scene()
    scene.rounds(DEPOSITED)
    assert [one["basis_set"] for one in scene.stage.facts_of("reconciled")].count(True) == 2
    scene.assert_exact(DEPOSITED)


def test_balances_that_never_stand_still_are_taken_over_after_some_rounds() -> None:
    scene = Scene()
    before = len(scene.stage.facts_of("reconciled"))
    for number in range(20):
        scene.stage.tell(command("reconcile"))
        scene.answer({**DEPOSITED, "ETH": str(100 + number)})
        if scene.stage.facts_of("reconciled")[-1]["basis_set"]:
            break
    assert len(scene.stage.facts_of("reconciled")) - before == 6


@pytest.mark.parametrize(
    "later",
    [
        {**TRADED, "BTC": "101"},
        {**TRADED, "BTC": "101.05"},
        {**TRADED, "USDT": "99980"},
        {**TRADED, "USDT": "99989.99"},
        {**TRADED, "ETH": "99"},
        DEPOSITED,
    ],
    ids=["its base", "half its base", "its cost twice", "a cent", "another", "no trade"],
)
@pytest.mark.parametrize("order", ["trade", "account"])
def test_a_loss_after_the_balances_were_taken_over_halts(
    later: Mapping[str, str], order: str
) -> None:
    scene = Scene()
    if order == "account":
        scene.answer(TRADED)
    scene.trade()
    scene.rounds(TRADED)
    scene.rounds(later)
    assert scene.stage.incidents() == ["position_mismatch"] * 2
