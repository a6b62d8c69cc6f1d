"""Every rule at its edge: the last value that passes and the first that does not."""

from decimal import Decimal
from typing import Any

import pytest

from daemon.model.amounts import NS_PER_MS, NS_PER_S
from daemon.model.enums import OrderStatus, OrderType, Side, TimeInForce, TradingState
from daemon.model.ids import ClientOrderId, StrategyId
from daemon.model.intents import ENGINE, OPERATOR, CancelIntent, ReplaceIntent
from daemon.model.market import TradeTick
from daemon.model.position import Balance
from riskcaps.gate.interceptor import Approved, CancelApproved, Denied, Interceptor, ReplaceApproved
from riskcaps.words.denials import DenyReason, reasons_table
from tests.unit.riskcaps.kit import (
    BTC,
    ETH,
    STRATEGY,
    T0,
    D,
    approve,
    caps_of,
    deny,
    fill,
    instrument,
    order,
    ready,
    symbol_caps,
    top,
    trade,
    wish,
)  # fmt: skip

SECOND = NS_PER_S


def gate_with(**changes: Any) -> Interceptor:
    return ready(caps_of(symbols={"BTCUSDT": symbol_caps(**changes)}))


def test_every_reason_has_its_line_and_every_line_its_clause() -> None:
    for reason in DenyReason:
        assert reason.text
        assert all(1 <= int(c) <= 40 for c in reason.clauses.split(", "))
        assert reason.value == reason.name.lower()
    assert reasons_table().count("\n") == len(DenyReason) + 2


NAN, INFINITE = Decimal("NaN"), Decimal("Infinity")
MALFORMED: list[dict[str, Any]] = [
    {"qty": D(0)}, {"qty": D(-1)}, {"qty": NAN}, {"qty": Decimal("sNaN")}, {"qty": INFINITE},
    {"qty": 1.0}, {"qty": 1}, {"qty": None}, {"qty": D("1E+400")}, {"qty": D("1E+999999")},
    {"price": D(0)}, {"price": D(-5)}, {"price": NAN}, {"price": INFINITE}, {"price": 100.0},
    {"price": None}, {"stop_price": D(100)},
    {"order_type": OrderType.MARKET, "price": D(100)},
    {"order_type": OrderType.STOP_LOSS_LIMIT},
    {"order_type": OrderType.STOP_LOSS_LIMIT, "stop_price": NAN},
]  # fmt: skip


@pytest.mark.parametrize("spoilt", MALFORMED, ids=str)
def test_what_is_no_amount_is_malformed(spoilt: dict[str, Any]) -> None:
    reason = deny(ready(), _raw(spoilt))
    assert reason in {"malformed_order", "filter_qty"}
    assert reason == "malformed_order" or "E+" in str(spoilt["qty"])


def _raw(changes: dict[str, Any]) -> Any:
    plain_wish = wish()
    values = {name: getattr(plain_wish, name) for name in plain_wish.__struct_fields__}
    return type(plain_wish)(**{**values, **changes})


Row = tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], str]
# what, caps of the symbol, a wish that passes, one that does not, the reason
EDGES: list[Row] = [
    ("qty", {"order_qty_base_max": "2"}, {"qty": "2"}, {"qty": "2.001"}, "order_qty"),
    (
        "notional at the ask, not at the lower limit", {"order_notional_quote_max": "200.02"},
        {"qty": "2", "price": "99.00"}, {"qty": "2", "price": "100.02"}, "order_notional",
    ),
    ("long", {"position_long_base_max": "1.5"}, {"qty": "1.5"}, {"qty": "1.501"}, "position_long"),
    (
        "short", {"position_short_base_max": "1.5"},
        {"side": "SELL", "qty": "1.5"}, {"side": "SELL", "qty": "1.501"}, "position_short",
    ),
    (
        "no shorts at all", {"position_short_base_max": "0"},
        {"side": "BUY"}, {"side": "SELL", "qty": "0.1"}, "position_short",
    ),
    (
        "exposure at the ask", {"exposure_quote_max": "100.01"},
        {"qty": "1", "price": "90.00"}, {"qty": "1.001", "price": "90.00"}, "exposure_symbol",
    ),
    (
        "collar above", {"collar_bps_max": 100},
        {"price": "101.00"}, {"price": "101.01"}, "price_collar",
    ),
    (
        "collar below", {"collar_bps_max": 100},
        {"price": "99.00"}, {"price": "98.99"}, "price_collar",
    ),
    (
        "market order within the collar at its worst price", {"collar_bps_max": 52},
        {"price": None}, {"price": None, "reduce_only": True}, "not_reducing",
    ),
    (
        "side", {"sides": ["SELL"]}, {"side": "SELL"}, {"side": "BUY"}, "side_not_allowed",
    ),
    (
        "type by the caps", {"order_types": ["LIMIT"]}, {},
        {"order_type": OrderType.LIMIT_MAKER}, "order_type_not_allowed",
    ),
    (
        "type by the venue and the caps", {}, {}, {"price": None, "order_type": OrderType.STOP_LOSS,
        "stop_price": D(101)}, "order_type_not_allowed",
    ),
    (
        "time in force", {}, {"time_in_force": TimeInForce.IOC},
        {"time_in_force": TimeInForce.FOK}, "time_in_force_not_allowed",
    ),
    (
        "no time in force at all", {}, {"order_type": OrderType.LIMIT_MAKER, "time_in_force": None},
        {"time_in_force": None}, "time_in_force_not_allowed",
    ),
    ("tick", {}, {"price": "99.99"}, {"price": "99.995"}, "filter_tick"),
    ("lot", {}, {"qty": "0.051"}, {"qty": "0.0515"}, "filter_lot"),
    ("least qty", {}, {"qty": "0.051"}, {"qty": "0.0005"}, "filter_qty"),
    ("least notional at the limit price", {}, {"qty": "0.050"}, {"qty": "0.049"},
     "filter_notional"),
    ("stop's tick", {"order_types": ["LIMIT", "STOP_LOSS_LIMIT"]},
     {"order_type": OrderType.STOP_LOSS_LIMIT, "stop_price": D("99.50")},
     {"order_type": OrderType.STOP_LOSS_LIMIT, "stop_price": D("99.505")}, "filter_tick"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("what", "caps", "good", "bad", "reason"), EDGES, ids=[r[0] for r in EDGES]
)
def test_the_edge_of_each_cap(
    what: str, caps: dict[str, Any], good: dict[str, Any], bad: dict[str, Any], reason: str
) -> None:
    approve(gate_with(**caps), wish(**good))
    assert deny(gate_with(**caps), wish(**bad)) == reason


FILTERS: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = [
    ({"price_max": D("100.50")}, {"price": "100.50"}, {"price": "100.51"}, "filter_price"),
    ({"price_min": D("99.50")}, {"price": "99.50"}, {"price": "99.49"}, "filter_price"),
    ({"price_max": D(0)}, {"price": "109.00"}, {"price": "109.005"}, "filter_tick"),
    ({"qty_max": D("1.5")}, {"qty": "1.5"}, {"qty": "1.501"}, "filter_qty"),
    ({"tick": D(0), "quote_precision": 2}, {"price": "99.99"}, {"price": "99.995"}, "filter_tick"),
    ({"lot": D(0), "base_precision": 2}, {"qty": "0.06"}, {"qty": "0.055"}, "filter_lot"),
    ({"notional_max": D(150)}, {"qty": "1.5"}, {"qty": "1.501"}, "filter_notional"),
    ({"market_qty_max": D(1)}, {"price": None}, {"price": None, "qty": "1.001"}, "filter_qty"),
    ({"market_qty_min": D(1)}, {"price": None}, {"price": None, "qty": "0.999"}, "filter_qty"),
    ({"market_lot": D("0.1")}, {"price": None, "qty": "0.3"}, {"price": None, "qty": "0.25"},
     "filter_lot"),
    ({"notional_min": D("99.99")}, {"price": None}, {"price": None, "qty": "0.999"},
     "filter_notional"),
    ({"notional_max": D(100), "notional_max_applies_to_market": True},
     {"price": None, "qty": "0.9"}, {"price": None}, "filter_notional"),
    ({"bid_multiplier_up": D("1.01")}, {"price": "101.00"}, {"price": "101.01"},
     "filter_percent_price"),
    ({"bid_multiplier_down": D("0.99")}, {"price": "99.00"}, {"price": "98.99"},
     "filter_percent_price"),
    ({"ask_multiplier_up": D("1.01")}, {"side": "SELL", "price": "101.00"},
     {"side": "SELL", "price": "101.01"}, "filter_percent_price"),
    ({"ask_multiplier_down": D("0.99")}, {"side": "SELL", "price": "99.00"},
     {"side": "SELL", "price": "98.99"}, "filter_percent_price"),
    ({"position_max": D(51)}, {"qty": "1"}, {"qty": "1.001"}, "filter_position"),
]  # fmt: skip


@pytest.mark.parametrize(("filters", "good", "bad", "reason"), FILTERS, ids=lambda v: str(v)[:40])
def test_the_edge_of_each_venue_filter(
    filters: dict[str, Any], good: dict[str, Any], bad: dict[str, Any], reason: str
) -> None:
    gate = ready()
    gate.risk.on_instruments([instrument(**filters)])
    approve(gate, wish(**good))
    gate = ready()
    gate.risk.on_instruments([instrument(**filters)])
    assert deny(gate, wish(**bad)) == reason


def test_filters_that_do_not_apply_to_market_orders_are_left_out_for_them() -> None:
    gate = ready()
    gate.risk.on_instruments(
        [instrument(notional_min=D(10_000), notional_min_applies_to_market=False,
                    notional_max=D("0.1"))]
    )  # fmt: skip
    assert approve(gate, wish(price=None)) in gate.risk.books.holds


def test_the_venue_bounds_the_open_orders_of_the_whole_account() -> None:
    both = {"BTCUSDT": symbol_caps(), "ETHUSDT": symbol_caps()}

    def gate_of(**filters: int) -> Interceptor:
        gate = ready(caps_of(symbols=both))
        gate.risk.on_instruments([instrument(**filters), instrument(name=ETH, **filters)])
        gate.risk.on_top(top("99.99", "100.01", name=ETH), T0)
        return gate

    gate = gate_of(exchange_orders_open_max=2)
    approve(gate, wish())
    approve(gate, wish(instrument_id=ETH, price="99.00"))
    assert deny(gate, wish(price="98.00")) == "filter_orders_open"
    stop = {"order_type": OrderType.STOP_LOSS_LIMIT, "stop_price": D(99), "qty": "0.1"}
    gate = gate_of(exchange_algo_orders_open_max=1)
    approve(gate, wish(**stop))
    assert deny(gate, wish(**stop, price="99.50")) == "filter_orders_open"
    approve(gate, wish(price="98.00"))
    gate = gate_of(exchange_iceberg_orders_open_max=1)
    approve(gate, wish())
    approve(gate, wish(price="98.00"))


def test_the_venue_bounds_one_order_by_its_assets() -> None:
    gate = ready()
    gate.risk.on_instruments([instrument(asset_base_max=D("0.5"))])
    approve(gate, wish(qty="0.5"))
    assert deny(gate, wish(qty="0.501")) == "filter_asset"
    gate.risk.on_instruments([instrument(asset_quote_max=D(50))])
    approve(gate, wish(qty="0.4", price="99.00"))
    assert deny(gate, wish(qty="0.501")) == "filter_asset"


def test_the_venue_bounds_open_orders_and_stops() -> None:
    gate = ready()
    gate.risk.on_instruments([instrument(orders_open_max=1)])
    approve(gate, wish())
    assert deny(gate, wish(price="99.00")) == "filter_orders_open"
    gate = ready()
    stop = {"order_type": OrderType.STOP_LOSS_LIMIT, "stop_price": D(99), "qty": "0.1"}
    approve(gate, wish(**stop))
    approve(gate, wish(**stop, price="99.50"))
    assert deny(gate, wish(**stop, price="99.40")) == "filter_orders_open"
    approve(gate, wish(qty="0.2"))


def test_max_position_needs_the_balance_of_the_base() -> None:
    gate = ready()
    gate.risk.on_instruments([instrument(position_max=D(100))])
    gate.risk.books.accounts["BTC"].known = False
    assert deny(gate, wish()) == "balance_unknown"


def test_trading_windows_end_at_their_minute() -> None:
    caps = {"trading_windows_utc": ["Mon 19:00-20:01"]}
    minute = 60 * SECOND
    gate = gate_with(**caps)
    approve(gate, wish())
    gate.risk.on_top(top("99.99", "100.01", T0 + minute), T0 + minute)
    assert deny(gate, wish(price="99.00"), T0 + minute) == "outside_trading_window"
    assert deny(gate_with(trading_windows_utc=["Tue-Sun 00:00-24:00"]), wish()) == (
        "outside_trading_window"
    )


def test_the_collar_may_refer_to_the_last_trade_and_needs_it_fresh() -> None:
    gate = gate_with(collar_reference="last", collar_bps_max=100)
    assert deny(gate, wish()) == "no_reference_price"
    gate.risk.on_trade(TradeTick(BTC, 1, Side.BUY, D("101"), D(1), 0, T0), T0)
    approve(gate, wish(price="102.01"))
    assert deny(gate, wish(price="99.98")) == "price_collar"
    late_ns = T0 + 5000 * NS_PER_MS + 1
    gate.risk.on_top(top("99.99", "100.01", late_ns), late_ns)
    assert deny(gate, wish(price="101.00"), late_ns) == "no_reference_price"


def test_a_market_order_is_held_at_its_worst_price() -> None:
    gate = ready()
    answer = gate.review(wish(price=None), T0)
    assert isinstance(answer, Approved)
    assert answer.decision["px"] == "100.51005"  # the ask and 50 bps
    assert answer.order.price is None
    assert answer.order.time_in_force is None
    sell = ready().review(wish("SELL", price=None), T0)
    assert sell.decision["px"] == "99.49005"  # the bid less 50 bps


def test_open_orders_of_the_symbol_and_in_total() -> None:
    gate = gate_with(orders_open_max=2)
    for price in ("99.00", "99.01"):
        approve(gate, wish(qty="0.1", price=price))
    assert deny(gate, wish(qty="0.1", price="99.02")) == "orders_open_symbol"
    symbols = {"BTCUSDT": symbol_caps(orders_open_max=9), "ETHUSDT": symbol_caps(orders_open_max=9)}
    gate = ready(caps_of(symbols=symbols, orders_open_max=2))
    gate.risk.on_instruments([instrument(ETH)])
    gate.risk.on_top(top("99.99", "100.01", name=ETH), T0)
    approve(gate, wish(qty="0.1"))
    approve(gate, wish(qty="0.1", instrument_id=ETH))
    assert deny(gate, wish(qty="0.1", price="99.00")) == "orders_open_total"


def test_symbols_traded_counts_what_may_be_held_and_lets_out_what_reduces() -> None:
    """Worst case: an open order counts as a position does, an unknown one too."""
    gate = two_symbols(symbols_traded_max=1)
    name = approve(gate, wish(qty="0.1", price="99.00"))
    other = {"qty": "1", "price": "50.00", "instrument_id": ETH}
    assert deny(gate, wish(**other)) == "symbols_traded"
    answer = gate.review(wish(**other), T0)
    assert isinstance(answer, Denied)
    assert answer.context == {"cap": "symbols_traded_max", "used": "1", "limit": "1"}
    approve(gate, wish(qty="0.2", price="99.00"))  # the symbol counts once
    gate.risk.on_unknown(name, T0)
    assert deny(gate, wish(**other)) == "symbols_traded"
    for held in list(gate.risk.books.holds):
        gate.risk.on_terminal(held, T0)
    approve(gate, wish(**other))
    assert deny(gate, wish(qty="0.3", price="99.00")) == "symbols_traded"


def test_a_position_left_over_the_cap_can_be_reduced_and_canceled() -> None:
    gate = two_symbols(symbols_traded_max=2)
    trade(gate, "BUY", "1", "100")
    gate.risk.on_fill(fill("elsewhere", "BUY", "1", "50", name=ETH), T0)
    gate.risk.set_capset(gate.risk.capset.tighten({"symbols_traded_max": 1}))
    approve(gate, wish("SELL", "1", "101.00"))
    approve(gate, wish("SELL", "1", "50.10", instrument_id=ETH))
    assert gate.risk.usage(T0)[3].cap == "symbols_traded_max"


def test_unset_symbols_traded_binds_nobody_and_leaves_the_hash_of_older_caps() -> None:
    gate = two_symbols()
    approve(gate, wish(qty="0.1", price="99.00"))
    approve(gate, wish(qty="1", price="50.00", instrument_id=ETH))
    plain = gate.risk.capset.to_plain()
    assert "symbols_traded_max" not in plain
    assert not any(one.cap == "symbols_traded_max" for one in gate.risk.usage(T0))
    assert deny(two_symbols(symbols_traded_max=0), wish(qty="0.1")) == "symbols_traded"


def two_symbols(**portfolio: Any) -> Interceptor:
    wide = symbol_caps(
        exposure_quote_max="5000", order_notional_quote_max="5000", order_qty_base_max="50",
        position_long_base_max="50", position_short_base_max="50",
    )  # fmt: skip
    gate = ready(caps_of(symbols={"BTCUSDT": wide, "ETHUSDT": wide}, **portfolio))
    gate.risk.on_instruments([instrument(ETH)])
    gate.risk.on_top(top("49.99", "50.01", name=ETH), T0)
    gate.risk.on_balances([Balance("ETH", D(50), D(0))], T0)
    return gate


def test_gross_exposure_sums_the_worse_side_of_every_symbol() -> None:
    gate = two_symbols(exposure_gross_numeraire_max="600.11")
    approve(gate, wish("BUY", "4", "90.00"))  # 4 * 100.01, the ask
    approve(gate, wish("SELL", "3", "110.00"))  # the other, lesser side
    approve(gate, wish("SELL", "3.200", "50.00", instrument_id=ETH))  # 3.2 * 50.01
    # 4 buys are now worth 110 each, the highest open price: 440 + 160.032
    assert deny(gate, wish("SELL", "0.101", "50.02", instrument_id=ETH)) == "exposure_gross"
    approve(gate, wish("BUY", "1", "49.00", instrument_id=ETH))  # raises no worst side


def test_net_exposure_takes_the_worst_signed_sum() -> None:
    gate = two_symbols(exposure_net_numeraire_max="150", exposure_gross_numeraire_max="5000")
    trade(gate, "BUY", "1", "100")
    trade_eth = fill("e", "SELL", "2", "50", name=ETH)
    gate.risk.on_fill(trade_eth, T0)
    # long: 1 * 100.01 - 2 * 49.99 = 0.03, so about 150 more may be bought
    approve(gate, wish("BUY", "1.4", "100.00"))
    assert deny(gate, wish("BUY", "0.2", "99.00")) == "exposure_net"
    # the same the other way round: two at 50.01 less one at 99.99
    approve(gate, wish("SELL", "2.9", "50.00", instrument_id=ETH))
    assert deny(gate, wish("SELL", "0.2", "50.01", instrument_id=ETH)) == "exposure_net"


def test_balances_count_holds_until_the_venue_has_spoken() -> None:
    gate = gate_with(order_notional_quote_max="5000", exposure_quote_max="5000")
    gate.risk.on_balances([Balance("USDT", D("310"), D(0)), Balance("BTC", D(1), D(0))], T0)
    first = approve(gate, wish("BUY", "2"))
    assert deny(gate, wish("BUY", "1.001", "100.00")) == "balance_insufficient"  # floor of 10
    approve(gate, wish("BUY", "1", "100.00"), T0 + 2 * NS_PER_MS)
    gate.risk.on_known(first, T0)
    assert deny(gate, wish("BUY", "0.1", "99.00")) == "balance_insufficient"
    gate.risk.on_balances([Balance("USDT", D("110"), D(200))], T0)
    assert deny(gate, wish("BUY", "0.1", "99.00")) == "balance_insufficient"
    gate.risk.on_terminal(first, T0)
    gate.risk.on_balances([Balance("USDT", D("310"), D(0))], T0)
    approve(gate, wish("BUY", "1", "99.00"))
    assert deny(gate, wish("SELL", "1.001", "101.00")) == "balance_insufficient"
    approve(gate, wish("SELL", "1", "101.00"))


RATES: list[tuple[str, int, str]] = [
    ("orders_per_second_max", SECOND, "orders_per_second"),
    ("orders_per_minute_max", 60 * SECOND, "orders_per_minute"),
    ("orders_per_hour_max", 3600 * SECOND, "orders_per_hour"),
    ("orders_per_day_max", 86_400 * SECOND, "orders_per_day"),
]


@pytest.mark.parametrize(("cap", "window_ns", "reason"), RATES)
def test_attempts_fill_a_rolling_window_and_leave_it_after_the_whole_of_it(
    cap: str, window_ns: int, reason: str
) -> None:
    gate = ready(caps_of(**{cap: 3, "clock_age_ms_max": 10**9}))
    for i in range(3):
        name = approve(gate, wish(qty="0.1", price=f"99.0{i}"))
        gate.risk.on_venue_reject(name, T0) if i == 0 else gate.risk.on_terminal(name, T0)

    def at(now_ns: int, price: str) -> str:
        gate.risk.on_top(top("99.99", "100.01", 0), now_ns)
        answer = gate.review(wish(qty="0.1", price=price), now_ns)
        return "" if isinstance(answer, Approved) else str(answer.reason)

    assert at(T0, "99.05") == reason
    assert at(T0 + window_ns, "99.06") == reason  # exactly as old as the window: still counts
    assert at(T0 - window_ns, "99.07") == reason  # the clock stepped back: nothing is refilled
    assert at(T0 + window_ns + 1, "99.08") == ""


def test_attempts_on_one_symbol_in_a_minute() -> None:
    gate = gate_with(orders_per_minute_max=2)
    approve(gate, wish(qty="0.1", price="99.00"))
    approve(gate, wish(qty="0.1", price="99.01"))
    assert deny(gate, wish(qty="0.1", price="99.02")) == "orders_per_minute_symbol"


@pytest.mark.parametrize("window", ["second", "minute"])
def test_new_orders_never_use_the_cancels_reserve(window: str) -> None:
    changes = {f"messages_per_{window}_max": 5, f"messages_per_{window}_cancel_reserve": 3}
    gate = ready(caps_of(**changes))
    approve(gate, wish(qty="0.1", price="99.00"))
    approve(gate, wish(qty="0.1", price="99.01"))
    assert deny(gate, wish(qty="0.1", price="99.02")) == f"messages_per_{window}"
    cancel = CancelIntent(strategy_id=STRATEGY, client_order_id=ClientOrderId("mine"))
    for _ in range(3):
        assert isinstance(gate.review_cancel(cancel, order(), T0), CancelApproved)
    last = gate.review_cancel(cancel, order(), T0)
    assert isinstance(last, Denied)
    assert last.reason == f"messages_per_{window}"


def test_cancels_that_left_without_review_fill_the_budget_too() -> None:
    gate = ready(caps_of(messages_per_second_max=5, messages_per_second_cancel_reserve=3))
    gate.risk.on_cancel_sent(None, T0)
    gate.risk.on_cancel_sent(None, T0)
    assert deny(gate, wish()) == "messages_per_second"


def test_the_venues_own_budget_and_the_age_of_its_sample() -> None:
    gate = ready()
    gate.risk.on_venue_budget({"ORDERS": 79, "WEIGHT": 0}, {"ORDERS": 100, "WEIGHT": 6000}, T0)
    approve(gate, wish())
    gate.risk.on_venue_budget({"ORDERS": 80}, {"ORDERS": 100}, T0)
    assert deny(gate, wish(price="99.00")) == "venue_budget"
    later_ns = T0 + 60 * SECOND + 1
    gate.risk.on_top(top("99.99", "100.01", later_ns), later_ns)
    approve(gate, wish(price="99.00"), later_ns)


def test_orders_to_executions_of_the_day() -> None:
    gate = ready(caps_of(order_to_trade_ratio_max="1.5", order_to_trade_grace_orders=2))
    for price in ("99.00", "99.01"):
        approve(gate, wish(qty="0.1", price=price))
    assert deny(gate, wish(qty="0.1", price="99.02")) == "order_to_trade_ratio"
    trade(gate, "BUY", "0.1", "100")
    trade(gate, "SELL", "0.1", "100")
    approve(gate, wish(qty="0.1", price="99.03"))
    assert deny(gate, wish(qty="0.1", price="99.04")) == "order_to_trade_ratio"


def test_turnover_of_the_day_counts_traded_open_and_this_order() -> None:
    gate = ready(caps_of(traded_notional_per_day_numeraire_max="350"))
    trade(gate, "BUY", "1", "100")
    approve(gate, wish("BUY", "1", "100.00"))
    assert deny(gate, wish("BUY", "1.5", "99.00")) == "traded_notional_per_day"
    approve(gate, wish("BUY", "1.499", "99.00"))
    gate = gate_with(traded_qty_per_day_base_max="3")
    trade(gate, "BUY", "1", "100")
    approve(gate, wish("SELL", "1", "101.00"))
    assert deny(gate, wish("BUY", "1.001")) == "traded_qty_per_day"
    approve(gate, wish("BUY", "1"))


def test_duplicates_within_their_window() -> None:
    gate = ready(caps_of(duplicate_window_ms=100))
    approve(gate, wish(qty="0.1"))
    assert deny(gate, wish(qty="0.10"), T0 + 100 * NS_PER_MS) == "duplicate_order"
    approve(gate, wish(qty="0.2"), T0 + 100 * NS_PER_MS)
    approve(gate, wish(qty="0.1", price="99.99"), T0 + 100 * NS_PER_MS)
    approve(gate, wish(qty="0.1"), T0 + 100 * NS_PER_MS + 1)


SELF_TRADES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"side": "SELL", "price": "100.50"}, {"side": "BUY", "price": "100.49"}, ""),
    ({"side": "SELL", "price": "100.50"}, {"side": "BUY", "price": "100.50"}, "self_trade"),
    ({"side": "SELL", "price": "100.50"}, {"side": "BUY", "price": None}, "self_trade"),
    ({"side": "BUY", "price": "99.50"}, {"side": "SELL", "price": "99.51"}, ""),
    ({"side": "BUY", "price": "99.50"}, {"side": "SELL", "price": "99.50"}, "self_trade"),
    ({"side": "BUY", "price": "99.50"}, {"side": "SELL", "price": None}, "self_trade"),
    ({"side": "BUY", "price": "99.50"}, {"side": "BUY", "price": "100.50"}, ""),
]


@pytest.mark.parametrize(("resting", "taking", "reason"), SELF_TRADES, ids=str)
def test_no_order_meets_our_own(
    resting: dict[str, Any], taking: dict[str, Any], reason: str
) -> None:
    gate = ready()
    name = approve(gate, wish(**resting))
    if reason:
        assert deny(gate, wish(**taking)) == reason
        gate.risk.on_terminal(name, T0)
    approve(gate, wish(**taking))


# ------------------------------------------------------------------ state of trading
def test_reducing_admits_only_what_shrinks_in_the_worst_case_and_never_flips() -> None:
    gate = ready()
    trade(gate, "BUY", "1", "100")
    gate.risk.set_trading_state(TradingState.REDUCING)
    assert deny(gate, wish("BUY", "0.1")) == "not_reducing"
    assert deny(gate, wish("SELL", "1.001")) == "not_reducing"
    approve(gate, wish("SELL", "0.6", "101.00"))
    assert deny(gate, wish("SELL", "0.401", "102.00")) == "not_reducing"
    approve(gate, wish("SELL", "0.4", "102.00"))
    assert deny(gate, wish("SELL", "0.05", "103.00")) == "not_reducing"


def test_a_flat_position_has_nothing_to_reduce() -> None:
    gate = ready()
    for side in ("BUY", "SELL"):
        assert deny(gate, wish(side, reduce_only=True)) == "not_reducing"


def test_an_oversized_reduce_is_cut_by_policy_to_the_lot_below() -> None:
    gate = ready(caps_of(reduce_oversized="cut"))
    trade(gate, "SELL", "1.0005", "100")
    gate.risk.set_trading_state(TradingState.REDUCING)
    answer = gate.review(wish("BUY", "2"), T0)
    assert isinstance(answer, Approved)
    assert answer.order.qty == D("1.000")
    assert answer.decision["qty"] == "2"
    assert answer.decision["qty_approved"] == "1.000"
    assert deny(gate, wish("BUY", "2", "99.00")) == "not_reducing"  # half a lot is left


def test_reduce_only_binds_in_active_too() -> None:
    gate = ready()
    trade(gate, "BUY", "1", "100")
    assert deny(gate, wish("SELL", "1.5", reduce_only=True)) == "not_reducing"
    approve(gate, wish("SELL", "1", reduce_only=True))


# ------------------------------------------------------------------ cancels and replaces
def test_cancels_pass_a_halt_a_kill_and_a_sick_journal() -> None:
    gate = ready()
    gate.risk.health.halt.close("kill")
    gate.risk.set_trading_state(TradingState.HALTED)
    gate.risk.on_journal_health(False)
    cancel = CancelIntent(strategy_id=STRATEGY, client_order_id=ClientOrderId("mine"), reason="r")
    answer = gate.review_cancel(cancel, order(), T0)
    assert isinstance(answer, CancelApproved)
    assert (answer.cancel.client_order_id, answer.cancel.reason) == ("mine", "r")


def test_strategies_cancels_have_a_rate_and_an_owner_but_people_are_never_starved() -> None:
    gate = ready(caps_of(cancels_per_second_max=1))
    mine = CancelIntent(strategy_id=STRATEGY, client_order_id=ClientOrderId("mine"))
    other = CancelIntent(strategy_id=StrategyId("b"), client_order_id=ClientOrderId("mine"))
    assert gate.review_cancel(other, order(), T0).reason == "not_owner"
    assert isinstance(gate.review_cancel(mine, order(), T0), CancelApproved)
    assert gate.review_cancel(mine, order(), T0).reason == "cancels_per_second"
    for human in (OPERATOR, ENGINE):
        wish_of = CancelIntent(strategy_id=human, client_order_id=ClientOrderId("mine"))
        assert isinstance(gate.review_cancel(wish_of, order(), T0), CancelApproved)
    done = order(status=OrderStatus.CANCELED)
    assert gate.review_cancel(mine, done, T0).reason == "order_not_open"


def test_a_replace_is_a_whole_placement_beside_the_old_order() -> None:
    gate = gate_with(position_long_base_max="3")
    name = approve(gate, wish("BUY", "1"))
    target = order(str(name))
    larger = ReplaceIntent(
        strategy_id=STRATEGY, client_order_id=name, qty=D("2.001"), price=D("99.00")
    )
    refused = gate.review_replace(larger, target, T0)
    assert isinstance(refused, Denied)
    assert refused.reason in {"order_qty", "position_long"}
    fits = ReplaceIntent(strategy_id=STRATEGY, client_order_id=name, qty=D(2), price=D("99.00"))
    answer = gate.review_replace(fits, target, T0)
    assert isinstance(answer, ReplaceApproved)
    assert answer.replace.target == name
    assert answer.replace.order.price == D("99.00")
    assert gate.risk.books.open_worst_case(BTC)[0] == 3  # both may still fill
    done = order(str(name), status=OrderStatus.FILLED)
    assert gate.review_replace(fits, done, T0).reason == "order_not_open"
    foreign = ReplaceIntent(
        strategy_id=StrategyId("b"), client_order_id=name, qty=D(1), price=D("99.00")
    )
    assert gate.review_replace(foreign, target, T0).reason == "not_owner"


def test_a_denial_takes_no_hold_and_counts_no_attempt() -> None:
    gate = ready()
    before = gate.state()
    deny(gate, wish(qty="100"))
    gate.risk.on_top(top("89.99", "90.01"), T0 + SECOND)
    gate.risk.on_balances([Balance("USDT", D(1), D(1))], T0 + SECOND)
    assert gate.state() == before
