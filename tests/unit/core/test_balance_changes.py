"""Money that moved without us: named, written down, and only what we trade or cap stops us."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from daemon.model.balance_changes import CHANGE_TEXT, BalanceChange
from daemon.model.enums import ReportSource, Side, VenueOrderStatus
from daemon.model.inputs import SnapshotTaken, VenueReport
from tests.support.builders import caps, command, fill, report, snapshot, wish
from tests.support.screenplay import Stage
from tests.support.venue_stage import OURS, VenueStage

HELD = {"USDT": "100000", "BTC": "100", "ETH": "100"}
V = VenueOrderStatus


def told(stage: Stage, held: Mapping[str, str], **what: Any) -> None:
    """The same balances in as many snapshots as are asked for, two at least."""
    stage.tell(command("reconcile"))
    stage.answer_all(balances=held, **what)


def classes(stage: Stage) -> dict[str, tuple[str, str]]:
    """What became of each asset, last: class and change."""
    found = {}
    for line in stage.facts_of("reconciled"):
        for one in line["differences"]:
            found[one["symbol"]] = (one["class"], one.get("change", ""))
    return found


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (HELD, {"DOGE": "5000"}, {"DOGE": "airdrop"}),
        ({**HELD, "DOGE": "0"}, {"DOGE": "5000"}, {"DOGE": "airdrop"}),
        ({**HELD, "DOGE": "7"}, {"DOGE": "5000"}, {"DOGE": "untraded_deposit"}),
        ({**HELD, "DOGE": "7"}, {"DOGE": "2"}, {"DOGE": "untraded_withdrawal"}),
        (
            {**HELD, "ADA": "1", "XLM": "2", "BNB": "1"},
            {"ADA": "0", "XLM": "0", "BNB": "1.01"},
            {"ADA": "dust_conversion", "XLM": "dust_conversion", "BNB": "dust_conversion"},
        ),
    ],
    ids=["appears", "was listed with zero", "more", "less", "dust conversion"],
)
def test_what_we_do_not_trade_is_a_fact_and_stops_nothing(
    before: Mapping[str, str], after: Mapping[str, str], expected: Mapping[str, str]
) -> None:
    stage = Stage().ready(**before).start()
    told(stage, {**before, **after})
    assert stage.incidents() == []
    assert stage.engine.trading_state.value == "ACTIVE"
    assert classes(stage) == {asset: ("external", change) for asset, change in expected.items()}
    lines = len(stage.facts_of("reconciled"))
    told(stage, {**before, **after})
    assert all(one["differences"] == [] for one in stage.facts_of("reconciled")[lines:])
    assert stage.facts_of("reconciled")[-1]["clean"] is True


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        ({"BTC": "101"}, ("BTC", "deposit")),
        ({"USDT": "99000"}, ("USDT", "withdrawal")),
        ({"ETH": "0"}, ("ETH", "withdrawal")),
    ],
)
def test_what_we_trade_or_cap_halts_with_its_name(
    after: Mapping[str, str], expected: tuple[str, str]
) -> None:
    stage = Stage().ready(**HELD).start()
    told(stage, {**HELD, **after})
    assert stage.incidents() == ["position_mismatch"]
    assert classes(stage)[expected[0]] == ("real", expected[1])
    assert expected[1] in stage.facts_of("incident_opened")[0]["msg"]


def test_a_traded_asset_that_was_never_listed_is_treated_like_one_that_was() -> None:
    """A venue may leave zero balances out; then it rises: a deposit, at boot and live alike."""
    without = {"USDT": "100000", "BTC": "100"}
    stage = Stage().ready(**without).start()
    told(stage, {**without, "ETH": "3"})
    assert stage.incidents() == ["position_mismatch"]


def test_while_we_were_down_it_is_the_same() -> None:
    for asset, expected in (("DOGE", []), ("ETH", ["position_mismatch"])):
        first = Stage().ready(USDT="100000", BTC="100")
        twin = Stage()
        for fact in first.facts:
            twin.engine.apply_fact(fact)
        twin.engine.finish_recovery(first.now_ns)
        twin.now_ns = first.now_ns
        twin.ready_links()
        twin.answer_all(balances={"USDT": "100000", "BTC": "100", asset: "9"})
        assert twin.incidents() == expected
        assert twin.engine.gate_state.value == "READY"


def test_a_recovered_engine_has_taken_the_same_basis_over() -> None:
    stage = Stage().ready(**HELD).start()
    told(stage, {**HELD, "DOGE": "5"})
    twin = Stage()
    for fact in stage.facts:
        twin.engine.apply_fact(fact)
    assert twin.engine._ctx.ledger.basis == stage.engine._ctx.ledger.basis


def test_an_old_journal_without_accepted_totals_still_folds() -> None:
    stage = Stage().ready(**HELD)
    old = [{k: v for k, v in fact.items() if k != "accepted"} for fact in stage.facts]
    twin = Stage()
    for fact in old:
        twin.engine.apply_fact(fact)
    assert twin.engine._ctx.ledger.basis == stage.engine._ctx.ledger.basis


def test_every_change_has_its_row() -> None:
    assert set(CHANGE_TEXT) == set(BalanceChange)


# ---------------------------------------------------------------- fills that are owed
@pytest.mark.parametrize("fee_asset", ["USDT", "BTC", "BNB"])
def test_a_fill_that_is_announced_and_not_yet_shown_is_no_mismatch(fee_asset: str) -> None:
    """The order says FILLED, the account has moved, the trade comes 1.1 s later (field report)."""
    held = {**HELD, "BNB": "10"}
    stage = Stage().ready(**held).start()
    cid = stage.place(wish(price="100.00")).client_order_id
    stage.tell(VenueReport(report(cid)))
    moved = {"USDT": "99990", "BTC": "100.1", "ETH": "100", "BNB": "10"}
    paid = {"USDT": "99989.99", "BTC": "100.0999", "BNB": "9.999"}
    moved[fee_asset] = paid[fee_asset]
    done = report(cid, V.FILLED, cum="0.1", source=ReportSource.QUERY)
    for reason in ("operator", "confirm", "confirm", "confirm"):
        if reason == "operator":
            stage.tell(command("reconcile"))
        stage.asked.clear()
        stage.tell(SnapshotTaken(snapshot(reason=reason, balances=moved, statuses=(done,))))
        assert classes(stage)["USDT"] == ("in_flight", "owed_fill")
        stage.after(400)
    fees = {"USDT": "0.01", "BTC": "0.0001", "BNB": "0.001"}
    one = fill(cid, 3, "0.1", price="100.00", fee=fees[fee_asset], fee_asset=fee_asset)
    stage.tell(VenueReport(report(cid, V.FILLED, cum="0.1", fills=(one,))))
    stage.answer_all(balances=moved)
    assert stage.incidents() == []
    assert stage.facts_of("reconciled")[-1]["clean"] is True
    assert stage.engine.trading_state.value == "ACTIVE"


def test_a_fill_that_stays_owed_beyond_its_window_stops_us() -> None:
    stage = Stage().ready(**HELD).start()
    cid = stage.place(wish(price="100.00")).client_order_id
    stage.tell(VenueReport(report(cid)))
    done = report(cid, V.FILLED, cum="0.1", source=ReportSource.QUERY)
    moved = {"USDT": "99990", "BTC": "100.1", "ETH": "100"}
    stage.tell(command("reconcile"))
    for _ in range(8):
        stage.answer_all(balances=moved, statuses=(done,))
        stage.quote("100.00", "100.10")
    assert "position_mismatch" in stage.incidents()


def test_at_the_venue_a_lagging_history_brings_no_incident() -> None:
    stage = VenueStage(("BTCUSDT",), capset=caps(("BTCUSDT",)), unknown_settle_ns=20_000_000_000)
    stage.people("BTCUSDT", Side.BUY, "59999", "5")
    stage.people("BTCUSDT", Side.SELL, "60001", "5")
    stage.open()
    stage.lag_trades = True
    real, stage.stream = stage.stream, lambda: None  # type: ignore[method-assign]
    stage.take("BTCUSDT", Side.BUY, "0.01")  # no word of it by the stream
    for _ in range(6):
        stage.tell(command("reconcile"))
        stage.after(700)
    assert stage.incidents() == []
    stage.lag_trades = False
    stage.stream = real  # type: ignore[method-assign]
    for _ in range(6):
        stage.tell(command("reconcile"))
        stage.after(700)
    assert stage.incidents() == []
    assert Decimal(stage.position()) == stage.held("BTC") - 100
    assert stage.venue.accounts[OURS].wallet("BTC").free > 0
