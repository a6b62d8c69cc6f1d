"""One symbol that can no longer be traded stops itself only, and never silently."""

from decimal import Decimal
from typing import Any

import pytest

from daemon.model.effects import RefreshInstruments, SendOrder
from daemon.model.enums import GateState, Side, SymbolStatus, TradingState
from daemon.model.inputs import InstrumentsLoaded
from tests.support.builders import BTC, ETH, caps, command, wish
from tests.support.screenplay import cancels, only, replies
from tests.support.venue_stage import VenueStage

SYMBOLS = ("BTCUSDT", "ETHUSDT")
GONE = {"ETHUSDT": "the venue does not list it"}


@pytest.fixture
def stage() -> VenueStage:
    made = VenueStage(SYMBOLS, capset=caps(SYMBOLS), cancel_attempts_max=2)
    for symbol, mid in (("BTCUSDT", 60_000), ("ETHUSDT", 3_000)):
        made.people(symbol, Side.BUY, f"{mid - 1}", "50")
        made.people(symbol, Side.SELL, f"{mid + 1}", "50")
    return made.open()


def gone(stage: VenueStage) -> None:
    btc = stage.instruments()[0]
    stage.tell(InstrumentsLoaded((btc,), GONE))


def closed(stage: VenueStage, status: SymbolStatus) -> None:
    stage.instrument_changes["ETHUSDT"] = {"status": status}
    stage.tell(InstrumentsLoaded(stage.instruments()))


def status(stage: VenueStage) -> dict[str, Any]:
    return stage.engine.status(stage.now_ns)


def resting(stage: VenueStage) -> str:
    assert stage.puppet is not None
    stage.puppet.wishes.append((wish(Side.BUY, "0.01", "2900.00", iid=ETH),))
    stage._top("ETHUSDT")
    return next(reversed(stage.engine._ctx.books.orders), "")


def asked_again(stage: VenueStage, before: int) -> list[str]:
    turns = stage.turns[before:]
    return [one.instrument_id for _, effects in turns for one in only(RefreshInstruments, effects)]


def still_trades(stage: VenueStage) -> bool:
    assert stage.puppet is not None
    stage.puppet.wishes.append((wish(Side.BUY, "0.01", "59000.00", iid=BTC),))
    before = len(stage.turns)
    stage._top("BTCUSDT")
    return any(only(SendOrder, effects) for _, effects in stage.turns[before:])


@pytest.mark.parametrize("how", [gone, *[
    lambda stage, s=s: closed(stage, s)
    for s in (SymbolStatus.BREAK, SymbolStatus.HALT, SymbolStatus.NOT_ALLOWED,
              SymbolStatus.CANCEL_ONLY, SymbolStatus.END_OF_DAY)
]])  # fmt: skip
def test_the_others_trade_on_and_status_names_it(stage: VenueStage, how: Any) -> None:
    how(stage)
    assert stage.engine.gate_state is GateState.READY
    assert stage.engine.trading_state is TradingState.ACTIVE
    assert list(status(stage)["symbols_blocked"]) == ["ETHUSDT"]
    assert stage.incidents() == [], "nothing of ours was on it"
    assert still_trades(stage)
    resting(stage)
    assert stage.facts_of("order_denied")[-1]["deny_reason"] == "symbol_not_trading"


def test_an_order_of_ours_on_it_is_cancelled_with_an_incident_of_that_symbol(
    stage: VenueStage,
) -> None:
    cid = resting(stage)
    before = len(stage.turns)
    closed(stage, SymbolStatus.BREAK)
    gone_orders = [c for _, effects in stage.turns[before:] for c in cancels(effects)]
    assert gone_orders == [cid]
    (opened,) = stage.facts_of("incident_opened")
    assert (opened["trigger"], opened["symbol"]) == ("symbol_not_tradable", "ETHUSDT")
    assert stage.engine.trading_state is TradingState.ACTIVE
    assert stage.engine.session_id
    assert still_trades(stage)


def test_a_position_on_it_is_an_incident_and_a_return_opens_it_again(stage: VenueStage) -> None:
    stage.take("ETHUSDT", Side.BUY, "0.01")
    gone(stage)
    assert stage.incidents() == ["symbol_not_tradable"]
    assert "a position of 0.00999 ETH" in stage.facts_of("incident_opened")[0]["msg"]
    gone(stage)
    assert len(stage.incidents()) == 1, "told once"
    stage.tell(InstrumentsLoaded(stage.instruments()))
    assert status(stage)["symbols_blocked"] == {}
    resting(stage)
    assert stage.facts_of("order_denied") == []


def test_a_cancel_that_the_halted_symbol_refuses_halts_nobody_else(stage: VenueStage) -> None:
    resting(stage)
    stage._cancel = lambda _cancel: None  # type: ignore[method-assign]  # it never answers
    closed(stage, SymbolStatus.HALT)
    for _ in range(200):
        stage.after(250)
    assert "cancel_stuck" in stage.incidents()
    assert stage.engine.trading_state is TradingState.ACTIVE
    assert still_trades(stage)


def test_filters_that_change_are_used_at_once(stage: VenueStage) -> None:
    stage.instrument_changes["ETHUSDT"] = {"qty_min": Decimal("0.5")}
    stage.tell(InstrumentsLoaded(stage.instruments()))
    before = len(stage.turns)
    resting(stage)
    assert stage.facts_of("order_denied")[-1]["deny_reason"] == "filter_qty"
    assert asked_again(stage, before) == [ETH], "only the list tells that it was loosened"
    before = len(stage.turns)
    assert still_trades(stage)
    assert asked_again(stage, before) == []


def test_a_symbol_that_was_never_listed_is_named_and_a_session_starts(
    stage: VenueStage,
) -> None:
    fresh = VenueStage(SYMBOLS, capset=caps(SYMBOLS))
    fresh.instruments = lambda: stage.instruments()[:1]  # type: ignore[method-assign]
    fresh.ready_links()
    fresh.tell(InstrumentsLoaded(fresh.instruments(), GONE))
    assert fresh.engine.gate_state is GateState.READY
    assert status(fresh)["symbols_blocked"] == GONE
    assert replies(fresh.tell(command("start", "go")))[0].error_code == ""
    fresh.after(0)
    assert fresh.puppet is not None
    fresh.puppet.wishes.append((wish(Side.BUY, "0.01", "2900.00", iid=ETH),))
    fresh.people("BTCUSDT", Side.BUY, "59999", "1")
    fresh.people("BTCUSDT", Side.SELL, "60001", "1")
    assert fresh.facts_of("order_denied")[-1]["deny_reason"] == "instrument_unknown"
    assert fresh.incidents() == [], "a wish for what is not listed is denied, and no error"


def test_a_restart_remembers_that_it_was_told(stage: VenueStage) -> None:
    stage.take("ETHUSDT", Side.BUY, "0.01")
    gone(stage)
    twin = VenueStage(SYMBOLS, capset=caps(SYMBOLS))
    for fact in stage.facts:
        twin.engine.apply_fact(fact)
    twin.engine.finish_recovery(stage.now_ns)
    twin.now_ns = stage.now_ns
    twin.tell(InstrumentsLoaded(stage.instruments()[:1], GONE))
    assert twin.incidents() == []
    assert status(twin)["symbols_blocked"] == GONE
