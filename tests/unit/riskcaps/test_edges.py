"""Edges that mutants found unwatched: each of these could once have changed a verdict."""

import pytest

from daemon.model.amounts import NS_PER_MS, NS_PER_S
from daemon.model.checks import InvariantViolation
from daemon.model.enums import OrderType, Side, TradingState
from daemon.model.ids import InstrumentId
from daemon.model.market import TradeTick
from daemon.model.position import Balance
from riskcaps.gate.interceptor import Approved, Interceptor
from tests.unit.riskcaps.kit import (
    BTC,
    ETH,
    T0,
    D,
    approve,
    bare_gate,
    caps_of,
    deny,
    fill,
    instrument,
    ready,
    symbol_caps,
    top,
    trade,
    wish,
)  # fmt: skip

BTCETH = InstrumentId(BTC.replace("USDT", "ETH"))
STOPS = {"order_types": ["LIMIT", "STOP_LOSS", "STOP_LOSS_LIMIT"], "collar_bps_max": 5000}
WIDE = {"loss_session_numeraire_max": "9000", "loss_day_numeraire_max": "9000",
        "drawdown_numeraire_max": "9000"}  # fmt: skip


def gate_with(**changes: object) -> Interceptor:
    return ready(caps_of(symbols={"BTCUSDT": symbol_caps(**changes)}))


def stop_loss(side: str, stop: str, qty: str = "1") -> object:
    return wish(side, qty, None, order_type=OrderType.STOP_LOSS, stop_price=D(stop))


def test_a_stop_without_limit_is_valued_at_the_worse_of_trigger_and_touch() -> None:
    for side, stop, px in (
        ("BUY", "110.00", "110.55"), ("BUY", "90.00", "100.51005"),
        ("SELL", "90.00", "89.55"), ("SELL", "110.00", "99.49005"),
    ):  # fmt: skip
        answer = gate_with(**STOPS).review(stop_loss(side, stop), T0)  # type: ignore[arg-type]
        assert answer.decision["px"] == px or D(answer.decision["px"]) == D(px)
        assert isinstance(answer, Approved)


def test_a_trigger_must_pass_the_venues_filters_too() -> None:
    assert deny(gate_with(**STOPS), stop_loss("SELL", "90.005")) == "filter_tick"  # type: ignore[arg-type]
    gate = gate_with(**STOPS)
    gate.risk.on_instruments([instrument(price_max=D(105))])
    assert deny(gate, stop_loss("BUY", "110.00")) == "filter_price"  # type: ignore[arg-type]
    for bad in ("Infinity", "-1", "0"):
        assert deny(gate, stop_loss("SELL", bad)) == "malformed_order"  # type: ignore[arg-type]
    low = wish("SELL", "1", "99.00", order_type=OrderType.STOP_LOSS_LIMIT, stop_price=D("0.50"))
    approve(gate, low)


def test_stops_that_end_free_their_place() -> None:
    gate = gate_with(**STOPS)
    names = [approve(gate, stop_loss("SELL", f"9{i}.00", "0.1")) for i in range(2)]  # type: ignore[arg-type]
    assert deny(gate, stop_loss("SELL", "95.00", "0.1")) == "filter_orders_open"  # type: ignore[arg-type]
    for name in names:
        gate.risk.on_terminal(name, T0)
    assert gate.risk.books.book(BTC).open_count == gate.risk.books.book(BTC).stops_open == 0
    approve(gate, stop_loss("SELL", "95.00", "0.1"))  # type: ignore[arg-type]


def test_the_least_quantity_passes() -> None:
    gate = ready()
    gate.risk.on_instruments([instrument(qty_min=D("0.5"))])
    assert approve(gate, wish(qty="0.5")) in gate.risk.books.holds


def test_max_position_counts_locked_and_open_buys() -> None:
    gate = ready()
    gate.risk.on_instruments([instrument(position_max=D(10))])
    gate.risk.on_balances([Balance("BTC", D(6), D(2))], T0)
    approve(gate, wish(qty="1.5", price="99.00"))
    assert deny(gate, wish(qty="0.501", price="98.00")) == "filter_position"
    approve(gate, wish(qty="0.5", price="98.00"))


def test_open_orders_far_away_raise_the_value_of_the_side() -> None:
    gate = gate_with(exposure_quote_max="230")
    approve(gate, wish("SELL", "0.5", "109.00"))
    approve(gate, wish("BUY", "2", "99.00"))  # valued at 109: 218 fits
    gate = gate_with(exposure_quote_max="215")
    approve(gate, wish("SELL", "0.5", "109.00"))
    assert deny(gate, wish("BUY", "2", "99.00")) == "exposure_symbol"


def converted() -> Interceptor:
    """BTCETH beside BTCUSDT: 1 ETH is 100 to 101 USDT."""
    symbols = {"BTCUSDT": symbol_caps(), "BTCETH": symbol_caps()}
    gate = ready(caps_of(symbols=symbols, exposure_gross_numeraire_max="303", **WIDE))
    gate.risk.on_instruments([instrument(BTCETH, base="BTC", quote="ETH", notional_min=D(0)),
                         instrument(ETH)])  # fmt: skip
    gate.risk.on_balances([Balance("ETH", D(50), D(0))], T0)
    gate.risk.on_top(top("0.98", "1.00", name=BTCETH), T0)
    gate.risk.on_top(top("100", "101", name=ETH), T0)
    return gate


def test_gross_exposure_of_a_converted_quote_is_at_the_high_rate() -> None:
    approve(converted(), wish("BUY", "2", "1.00", instrument_id=BTCETH))
    gate = converted()
    approve(gate, wish("SELL", "1", "1.00", instrument_id=BTCETH))
    approve(gate, wish("SELL", "2", "1.00", instrument_id=BTCETH))  # exactly 303
    gate = converted()
    approve(gate, wish("SELL", "1.5", "1.00", instrument_id=BTCETH))
    approve(gate, wish("SELL", "1.5", "1.00", instrument_id=BTCETH), T0 + 2 * NS_PER_MS)
    later_ns = T0 + 4 * NS_PER_MS
    gross = deny(gate, wish("SELL", "0.001", "1.00", instrument_id=BTCETH), later_ns)
    assert gross == "exposure_gross"


def test_a_converted_quote_needs_a_fresh_rate_of_its_own() -> None:
    gate = converted()
    late_ns = T0 + 10 * NS_PER_S
    gate.risk.on_top(top("0.98", "1.00", late_ns, name=BTCETH), late_ns)
    approve(gate, wish("BUY", "1", "0.99", instrument_id=BTCETH), late_ns)
    gate.risk.on_top(top("0.98", "1.00", late_ns + 1, name=BTCETH), late_ns + 1)
    order = wish("BUY", "1", "0.98", instrument_id=BTCETH)
    assert deny(gate, order, late_ns + 1) == "valuation_stale"


def test_an_order_that_only_evens_the_sides_raises_no_gross() -> None:
    wide = symbol_caps(exposure_quote_max="900", position_long_base_max="9")
    gate = ready(caps_of(symbols={"BTCUSDT": wide}, exposure_gross_numeraire_max="210"))
    approve(gate, wish("SELL", "2", "101.00"))
    gate.risk.on_top(top("108.99", "109.01"), T0)  # the market has made the open sell too large
    approve(gate, wish("BUY", "1", "100.00"))
    approve(gate, wish("BUY", "1", "99.50"))  # both sides are 2 now
    assert deny(gate, wish("BUY", "0.1", "99.00")) == "exposure_gross"


def test_another_symbols_worse_side_counts_whichever_it_is() -> None:
    symbols = {"BTCUSDT": symbol_caps(), "ETHUSDT": symbol_caps()}
    gate = ready(caps_of(symbols=symbols, exposure_gross_numeraire_max="250"))
    gate.risk.on_instruments([instrument(ETH)])
    gate.risk.on_balances([Balance("ETH", D(50), D(0))], T0)
    gate.risk.on_top(top("49.99", "50.00", name=ETH), T0)
    approve(gate, wish("SELL", "2", "50.00", instrument_id=ETH))  # short 100
    assert deny(gate, wish("BUY", "1.5", "100.01")) == "exposure_gross"
    approve(gate, wish("BUY", "1.499", "100.01"))


@pytest.mark.parametrize(("net", "qty", "passes"), [("100.01", "1", True), ("0.6", "0.006", False)])
def test_net_exposure_exactly_at_its_cap_passes_and_below_one_counts(
    net: str, qty: str, *, passes: bool
) -> None:
    gate = ready(caps_of(exposure_net_numeraire_max=net))
    gate.risk.on_instruments([instrument(notional_min=D(0))])
    answer = gate.review(wish("BUY", qty, "100.00"), T0)
    assert isinstance(answer, Approved) == passes
    if not passes:
        assert answer.reason == "exposure_net"  # type: ignore[union-attr]


def test_an_acknowledged_order_that_became_unknown_is_restored_as_the_venues_to_lock() -> None:
    gate = ready()
    name = approve(gate, wish("BUY", "1", "99.00"))
    gate.risk.on_known(name, T0)
    gate.risk.on_unknown(name, T0)
    twin = bare_gate()
    twin.restore(gate.state())
    assert twin.risk.books.accounts["USDT"].inflight == 0
    assert twin.risk.books.holds[name].phase == "unknown"


def test_a_duplicate_is_measured_from_the_last_of_its_kind() -> None:
    gate = ready(caps_of(duplicate_window_ms=10))
    approve(gate, wish(qty="0.1"), T0)
    approve(gate, wish(qty="0.1"), T0 + 11 * NS_PER_MS)
    approve(gate, wish(qty="0.2"), T0 + 12 * NS_PER_MS)
    assert deny(gate, wish(qty="0.1"), T0 + 21 * NS_PER_MS) == "duplicate_order"


def test_a_trading_window_begins_with_its_first_minute() -> None:
    approve(gate_with(trading_windows_utc=["Mon 20:00-20:01"]), wish())
    assert deny(gate_with(trading_windows_utc=["Mon 20:01-20:02"]), wish()) == (
        "outside_trading_window"
    )


def test_the_reference_is_recorded_and_may_be_as_old_as_the_book() -> None:
    gate = gate_with(collar_reference="last")
    gate.risk.on_trade(TradeTick(BTC, 1, Side.BUY, D("0.50"), D(1), 0, T0), T0)
    gate.risk.on_trade(TradeTick(BTC, 2, Side.BUY, D("100.50"), D(1), 0, T0), T0)
    late_ns = T0 + 5000 * NS_PER_MS
    answer = gate.review(wish(), late_ns)
    assert isinstance(answer, Approved)
    assert answer.decision["market"]["reference_px"] == "100.50"
    assert answer.decision["market"]["reference_ns"] == T0
    gate.risk.on_trade(TradeTick(BTC, 3, Side.BUY, D(0), D(1), 0, T0), late_ns)
    assert deny(gate, wish(price="99.00"), late_ns) == "no_reference_price"


def test_other_caps_change_the_reference_that_is_recorded_before_the_market_moves() -> None:
    gate = gate_with(collar_reference="mid")
    gate.risk.on_trade(TradeTick(BTC, 1, Side.BUY, D("100.50"), D(1), 0, T0), T0)
    before = gate.review(wish(), T0)
    assert isinstance(before, Approved)
    assert before.decision["market"]["reference_px"] is None
    gate.risk.set_capset(gate_with(collar_reference="last").risk.capset)
    after = gate.review(wish(price="99.00"), T0)
    assert isinstance(after, Approved)
    assert after.decision["market"]["reference_px"] == "100.50"


def test_a_small_position_can_be_cut_to_and_what_is_cut_counts_as_reducing() -> None:
    changes = {**WIDE, "reduce_oversized": "cut", "drawdown_numeraire_max": "5"}
    gate = ready(caps_of(**changes))
    trade(gate, "BUY", "0.5", "110")
    gate.risk.set_trading_state(TradingState.REDUCING)
    answer = gate.review(wish("SELL", "0.6", "101.00"), T0)  # the drawdown cap is reached
    assert isinstance(answer, Approved)
    assert answer.order.qty == D("0.5")


def test_cancels_of_the_last_minute_are_not_of_the_last_second() -> None:
    changes = {"messages_per_second_max": 3, "messages_per_second_cancel_reserve": 1}
    gate = ready(caps_of(**changes))
    for _ in range(3):
        gate.risk.on_cancel_sent(None, T0)
    assert approve(gate, wish(), T0 + 2 * NS_PER_S) in gate.risk.books.holds
    assert approve(gate, wish(price="99.00"), T0 + 2 * NS_PER_S) in gate.risk.books.holds


def test_a_budget_sample_counts_to_the_end_of_its_minute() -> None:
    gate = ready()
    gate.risk.on_venue_budget({"ORDERS": 99}, {"ORDERS": 100}, T0)
    late_ns = T0 + 60 * NS_PER_S
    gate.risk.on_top(top("99.99", "100.01", late_ns), late_ns)
    assert deny(gate, wish(), late_ns) == "venue_budget"


def test_positions_below_one_reduce_and_end_like_others() -> None:
    gate = ready()
    trade(gate, "BUY", "0.5", "100")
    trade(gate, "SELL", "0.25", "102")
    assert gate.risk.books.positions()[BTC].realised_pnl == D("0.5")
    trade(gate, "SELL", "0.25", "104")
    assert gate.risk.books.positions()[BTC].realised_pnl == D("1.5")
    trade(gate, "SELL", "0.5", "104")
    trade(gate, "BUY", "0.2", "103")
    assert gate.risk.books.positions()[BTC].realised_pnl == D("1.7")


def test_a_streak_that_has_tripped_is_not_cleared_by_a_winning_order() -> None:
    gate = ready(caps_of(loss_streak_max=1))
    trade(gate, "BUY", "2", "100")
    winner = approve(gate, wish("SELL", "1", "102.00"))
    loser = approve(gate, wish("SELL", "1", "101.00"))
    gate.risk.on_fill(fill(loser, "SELL", "1", "99"), T0)
    gate.risk.on_fill(fill(winner, "SELL", "1", "102"), T0)
    assert deny(gate, wish()) == "loss_streak"


def test_after_a_human_has_looked_a_loss_is_confirmed_anew() -> None:
    changes = {**WIDE, "drawdown_numeraire_max": "5", "loss_confirm_ms": 1000}
    gate = ready(caps_of(**changes))
    trade(gate, "BUY", "1", "110")
    assert [n for n in gate.risk.on_top(top("99", "100", T0 + NS_PER_S), T0 + NS_PER_S)
            if n.kind == "breach"]  # fmt: skip
    gate.risk.re_enable("ada", T0 + NS_PER_S)
    for later_ns, due in ((T0 + 2 * NS_PER_S, False), (T0 + 3 * NS_PER_S, True)):
        notices = gate.risk.on_top(top("99", "100", later_ns), later_ns)
        assert any(n.kind == "breach" for n in notices) == due


def test_a_fast_path_that_parted_from_the_table_stops_the_daemon_at_the_next_audit() -> None:
    """Crash-only: of 256 orders that the fast path passes, one is put to the table too."""
    gate = ready()
    approve(gate, wish("BUY", "0.1", "99.00"))
    bounds = gate._fast_path._buys[BTC]
    bounds.qty_high = bounds.order_value_max = bounds.position = bounds.alone = D(10**9)
    approve(gate, wish("BUY", "2.001", "99.00"))  # the bug
    gate.risk.ids.counter = 255
    approve(gate, wish("BUY", "2.002", "99.00"))
    assert gate.risk.ids.counter == 256
    held = list(gate.risk.books.holds)
    with pytest.raises(InvariantViolation, match="order_qty"):
        gate.review(wish("BUY", "2.003", "99.00"), T0)
    assert list(gate.risk.books.holds) == held  # nothing was minted
