"""A process that did not run says so when it wakes, and compares before it goes on."""

import pytest

from daemon.model.amounts import NS_PER_MS
from daemon.model.effects import SendOrder
from daemon.model.enums import GateState, TradingState
from daemon.model.inputs import MarketData, SnapshotTaken, VenueReport
from tests.support.builders import report, snapshot, top, wish
from tests.support.screenplay import Stage, cancels, only, snapshots


@pytest.fixture
def stage() -> Stage:
    return Stage().ready().start()


def asleep(stage: Stage, ms: int) -> None:
    """Time passes, and nothing of ours runs."""
    stage.now_ns += ms * NS_PER_MS


def resting(stage: Stage) -> str:
    cid = stage.place(wish()).client_order_id
    stage.tell(VenueReport(report(cid)))
    return cid


def test_what_is_read_first_after_a_gap_places_nothing_before_books_are_compared(
    stage: Stage,
) -> None:
    resting(stage)
    asleep(stage, 3_000)
    assert stage.puppet is not None
    stage.puppet.wishes.append((wish(price="98.00"),))
    effects = stage.tell(MarketData(top(ts_ns=stage.now_ns)))
    assert only(SendOrder, effects) == []
    assert stage.facts_of("order_denied")[-1]["deny_reason"] == "symbol_blocked"
    assert snapshots(effects)[0].startswith("slept 2")
    assert stage.engine.gate_state is GateState.RECONCILING
    assert stage.engine.trading_state is TradingState.REDUCING
    held = {"USDT": "100000", "BTC": "100", "ETH": "100"}
    open_one = report(next(iter(stage.engine._ctx.books.open)))
    stage.tell(
        SnapshotTaken(
            snapshot(balances=held, open_orders=(open_one,), reason=snapshots(effects)[0])
        )
    )
    assert stage.engine.trading_state is TradingState.ACTIVE
    assert stage.incidents() == []


def test_orders_that_nobody_looked_after_for_long_are_an_incident(stage: Stage) -> None:
    cid = resting(stage)
    asleep(stage, 35_000)
    effects = stage.tell(MarketData(top(ts_ns=stage.now_ns)))
    assert stage.incidents() == ["process_stopped"]
    opened = stage.facts_of("incident_opened")[0]
    assert opened["context"]["orders"] == [cid]
    assert 34_000 < opened["context"]["slept_ms"] <= 35_000
    assert cancels(effects) == [cid]
    assert stage.engine.trading_state is TradingState.HALTED
    stage.after(1_000)
    assert stage.incidents() == ["process_stopped"], "told once"


def test_without_orders_a_long_gap_only_compares(stage: Stage) -> None:
    asleep(stage, 35_000)
    assert snapshots(stage.after(200))
    assert stage.incidents() == []


def test_without_a_session_nothing_follows() -> None:
    stage = Stage().ready()
    asleep(stage, 35_000)
    assert snapshots(stage.after(200)) == []
    assert stage.engine.gate_state is GateState.READY


def test_a_short_gap_is_weather(stage: Stage) -> None:
    resting(stage)
    asleep(stage, 1_500)
    assert snapshots(stage.after(200)) == []
    assert stage.engine.trading_state is TradingState.ACTIVE
