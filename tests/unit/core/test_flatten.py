"""Flattening, judged by the simulated venue's ledger: sliced, verified, honest at its end."""

from decimal import Decimal
from typing import Any

import pytest

from daemon.model.enums import OrderType, Side, SymbolStatus, TradingState
from daemon.model.inputs import InstrumentsLoaded, KillLatched
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from tests.support.builders import OPERATOR_ACTOR, caps, command
from tests.support.screenplay import replies
from tests.support.venue_stage import OURS, VenueStage

D = Decimal
SYMBOLS = ("BTCUSDT", "ETHUSDT")
MID = {"BTCUSDT": 60_000, "ETHUSDT": 3_000}


def stage_of(
    symbols: tuple[str, ...] = ("BTCUSDT",), fee_ppm: int = 0, **changes: Any
) -> VenueStage:
    """People on both sides, a session on, orders of at most 0.02."""
    limits = {
        "order_qty_base_max": "0.02",
        "order_notional_quote_max": "2000",
        "conversions": {"BTC": ["BTCUSDT"], "ETH": ["ETHUSDT"]},
        **changes,
    }
    stage = VenueStage(symbols, capset=caps(symbols, **limits), flatten_allowed=True)
    stage.venue.accounts[OURS].taker_ppm = fee_ppm
    for symbol in symbols:
        crowd(stage, symbol)
    return stage.open()


def crowd(stage: VenueStage, symbol: str, qty: str = "50") -> None:
    mid = MID[symbol]
    stage.people(symbol, Side.BUY, f"{mid - 1}", qty)
    stage.people(symbol, Side.SELL, f"{mid + 1}", qty)


def bought(stage: VenueStage, symbol: str, *amounts: str, side: Side = Side.BUY) -> None:
    for qty in amounts:
        stage.take(symbol, side, qty)


def flatten(stage: VenueStage, **params: Any) -> None:
    stage.tell(command("flatten", "out", command_id="f1", **params))


def end(stage: VenueStage, seconds: int = 130) -> Any:
    """Let it come to its end; its reply."""
    for _ in range(seconds * 4):
        found = [
            one for _, effects in stage.turns for one in replies(effects) if one.command_id == "f1"
        ]
        if found:
            return found[0]
        stage.after(250)
    raise AssertionError("the flattening never ended")


def test_a_position_larger_than_one_order_may_be_is_sliced_and_the_ledger_is_as_before() -> None:
    stage = stage_of()
    bought(stage, "BTCUSDT", "0.02", "0.02", "0.0199", "0.00111")
    assert stage.held("BTC") == D("100.06101")
    flatten(stage)
    answer = end(stage)
    assert stage.held("BTC") == D("100")
    assert (answer.error_code, answer.result["flat"], answer.result["left"]) == ("", True, [])
    sold = [one for one in stage.sent() if one.side is Side.SELL]
    assert len(sold) >= 4
    assert all(one.qty <= D("0.02") and one.reduce_only for one in sold)
    assert stage.incidents() == []
    assert stage.engine.trading_state is TradingState.HALTED
    assert stage.facts_of("session_stop")[0]["reason"] == "flatten: out; flat"


def test_what_the_venue_was_not_asked_about_since_is_not_called_flat() -> None:
    stage = stage_of()
    bought(stage, "BTCUSDT", "0.02")
    stage._snapshot = lambda _asked: None  # type: ignore[method-assign]  # it never answers
    flatten(stage)
    answer = end(stage, seconds=200)
    assert stage.held("BTC") == D("100")
    assert (answer.error_code, answer.result["flat"]) == ("not_flat", False)
    assert answer.error_message.startswith("NOT verified")
    assert stage.incidents() == ["not_flat"]


def test_a_short_is_bought_back_as_the_quote_allows() -> None:
    stage = stage_of()
    bought(stage, "BTCUSDT", "0.02", "0.02", "0.015", side=Side.SELL)
    flatten(stage)
    assert end(stage).result["flat"] is True
    assert stage.held("BTC") == D("100")


@pytest.mark.parametrize(
    "limits",
    [
        {"orders_per_second_max": 2, "messages_per_second_max": 600},
        {"duplicate_window_ms": 900},
        {"order_notional_quote_max": "130"},
        {"order_types": ["LIMIT"]},
        {"market_slippage_bps": 900},
    ],
    ids=lambda one: next(iter(one)),
)
def test_it_keeps_within_every_cap_and_still_ends_flat(limits: dict[str, Any]) -> None:
    """Rates and duplicates are waited for; a value cap makes slices smaller; LIMIT IOC will do."""
    stage = stage_of()
    bought(stage, "BTCUSDT", "0.02", "0.011")
    stage.gate.risk.set_capset(
        caps(("BTCUSDT",), **{"order_qty_base_max": "0.008", "order_notional_quote_max": "2000",
                              **limits})
    )  # fmt: skip
    flatten(stage)
    answer = end(stage)
    assert stage.held("BTC") == D("100"), answer
    assert answer.result["flat"] is True
    assert stage.facts_of("order_denied") == [], "what caps would deny is not even asked"


def test_below_market_lot_size_a_limit_order_takes_the_rest() -> None:
    stage = stage_of()
    bought(stage, "BTCUSDT", "0.013")
    stage.instrument_changes["BTCUSDT"] = {"market_qty_min": D("0.01"), "market_lot": D("0.01")}
    stage.tell(InstrumentsLoaded(stage.instruments()))
    flatten(stage)
    assert end(stage).result["flat"] is True
    assert stage.held("BTC") == D("100")
    kinds = [one.order_type for one in stage.sent() if one.side is Side.SELL]
    assert OrderType.LIMIT in kinds


def test_dust_is_named_with_its_filter_and_is_no_incident() -> None:
    """A fee taken in base leaves less than a lot; MIN_NOTIONAL leaves a little more."""
    stage = stage_of(fee_ppm=1000)
    bought(stage, "BTCUSDT", "0.01001")
    flatten(stage)
    answer = end(stage)
    left = stage.held("BTC") - D("100")
    assert D(0) < left < D("0.00001")
    assert answer.error_code == ""
    assert answer.result["flat"] is False
    (dust,) = answer.result["left"]
    assert (dust["symbol"], dust["asset"], dust["dust"]) == ("BTCUSDT", "BTC", True)
    assert D(dust["qty"]) == left
    assert "LOT_SIZE" in dust["why"]
    assert stage.incidents() == []
    assert "flat but for dust" in stage.facts_of("session_stop")[0]["reason"]


def test_dust_below_the_notional_is_named_too() -> None:
    stage = stage_of()
    bought(stage, "BTCUSDT", "0.001")
    stage.instrument_changes["BTCUSDT"] = {"notional_min": D("100")}
    stage.tell(InstrumentsLoaded(stage.instruments()))
    flatten(stage)
    answer = end(stage)
    assert stage.held("BTC") == D("100.001")
    assert "NOTIONAL" in answer.result["left"][0]["why"]
    assert stage.incidents() == []


def test_no_slice_leaves_a_rest_that_it_could_have_taken_along() -> None:
    """0.02006 as 0.02 and 0.00006 would leave the latter below the notional."""
    stage = stage_of()
    bought(stage, "BTCUSDT", "0.00997", "0.01009")
    flatten(stage)
    assert end(stage).result["flat"] is True
    assert stage.held("BTC") == D("100")


def test_partial_fills_are_followed_until_nothing_is_left() -> None:
    stage = stage_of()
    bought(stage, "BTCUSDT", "0.02", "0.02")
    stage.people_leave("BTCUSDT")
    crowd(stage, "BTCUSDT", qty="0.004")
    flatten(stage)
    for _ in range(60):
        stage.after(500)
        stage.people_leave("BTCUSDT")
        crowd(stage, "BTCUSDT", qty="0.004")
        if stage.held("BTC") == D("100"):
            break
    assert end(stage).result["flat"] is True
    assert stage.held("BTC") == D("100")


def test_an_empty_book_ends_as_not_flat_with_an_incident() -> None:
    stage = stage_of()
    bought(stage, "BTCUSDT", "0.02")
    stage.people_leave("BTCUSDT")
    flatten(stage)
    answer = end(stage, seconds=200)
    assert stage.held("BTC") == D("100.02")
    assert answer.error_code == "not_flat"
    assert answer.error_message.startswith("NOT flat: BTCUSDT 0.02 BTC")
    assert stage.incidents() == ["not_flat"]
    assert stage.engine.trading_state is TradingState.HALTED
    assert "NOT flat" in stage.facts_of("session_stop")[0]["reason"]
    opened = stage.facts_of("incident_opened")[0]
    assert opened["session_id"], "the incident belongs to the session that it ended"
    assert opened["context"]["left"][0]["qty"] == "0.02"


def test_a_symbol_that_cannot_go_does_not_keep_the_others() -> None:
    stage = stage_of(SYMBOLS)
    bought(stage, "BTCUSDT", "0.02", "0.01")
    bought(stage, "ETHUSDT", "0.02", "0.02")
    stage.instrument_changes["BTCUSDT"] = {"status": SymbolStatus.BREAK}
    stage.tell(InstrumentsLoaded(stage.instruments()))
    flatten(stage)
    answer = end(stage)
    assert stage.held("ETH") == D("100")
    assert stage.held("BTC") == D("100.03")
    assert answer.error_code == "not_flat"
    assert "BREAK" in answer.result["left"][0]["why"]


def test_one_symbol_can_be_flattened_alone() -> None:
    stage = stage_of(SYMBOLS)
    bought(stage, "BTCUSDT", "0.02")
    bought(stage, "ETHUSDT", "0.02")
    flatten(stage, symbol="ETHUSDT")
    assert end(stage).result["flat"] is True
    assert (stage.held("ETH"), stage.held("BTC")) == (D("100"), D("100.02"))


def test_a_balance_that_is_not_there_is_said() -> None:
    """Somebody has withdrawn the coins: what is there is sold, the rest is named."""
    stage = stage_of()
    bought(stage, "BTCUSDT", "0.02", "0.02")
    stage.venue.accounts[OURS].wallet("BTC").free -= 10_003_000_000  # 100.03 BTC
    stage.tell_balances()
    flatten(stage)
    answer = end(stage, seconds=200)
    assert stage.held("BTC") == D("0")
    assert answer.error_code == "not_flat"
    assert D(answer.result["left"][0]["qty"]) == D("0.03")


def test_what_the_venue_refuses_is_named_with_its_words() -> None:
    stage = stage_of()
    bought(stage, "BTCUSDT", "0.02")

    def refuse(*_: Any, **__: Any) -> None:
        raise DialectError(-1013, "Filter failure: PERCENT_PRICE_BY_SIDE")

    stage.venue.place = refuse  # type: ignore[method-assign]
    flatten(stage)
    answer = end(stage, seconds=200)
    assert "PERCENT_PRICE_BY_SIDE" in answer.error_message
    assert len([one for one in stage.sent() if one.side is Side.SELL]) <= 6, "it is bounded"


def test_a_kill_ends_it_at_once_and_says_what_stayed() -> None:
    stage = stage_of(order_qty_base_max="0.01", duplicate_window_ms=900)
    bought(stage, "BTCUSDT", "0.01", "0.00999", "0.00998", "0.00997")
    flatten(stage)
    assert stage.engine.trading_state is TradingState.REDUCING
    sold = len(stage.sent())
    stage.tell(KillLatched(OPERATOR_ACTOR, "now", stage.now_ns))
    assert stage.engine.trading_state is TradingState.HALTED
    answer = end(stage)
    assert len(stage.sent()) == sold
    assert answer.error_code == "not_flat"
    assert "interrupted by kill" in answer.error_message


def test_it_works_from_reducing_and_its_own_losses_do_not_cut_it_short() -> None:
    stage = stage_of(loss_session_numeraire_max="1", loss_session_action="halt")
    bought(stage, "BTCUSDT", "0.02", "0.02", "0.01")
    stage.engine._session_control.incidents.reduce_only = "a cap said so"
    stage.after(300)
    assert stage.engine.trading_state is TradingState.REDUCING
    stage.people_leave("BTCUSDT")
    flatten(stage)
    stage.people("BTCUSDT", Side.BUY, "59800", "50")
    stage.people("BTCUSDT", Side.SELL, "59802", "50")
    answer = end(stage)
    assert stage.held("BTC") == D("100"), answer
    assert "cap_breach" in stage.incidents()


def test_the_action_of_a_loss_cap_flattens_in_slices() -> None:
    stage = stage_of(
        drawdown_numeraire_max="3", drawdown_action="halt_and_flatten", loss_confirm_ms=100
    )
    bought(stage, "BTCUSDT", "0.02", "0.02", "0.01")
    stage.people_leave("BTCUSDT")
    stage.people("BTCUSDT", Side.BUY, "59800", "50")
    stage.people("BTCUSDT", Side.SELL, "59802", "50")
    for _ in range(60):
        stage.after(250)
    assert stage.held("BTC") == D("100")
    assert stage.incidents() == ["drawdown"]
    assert stage.facts_of("trading_state")[-1]["new"] == "HALTED"
