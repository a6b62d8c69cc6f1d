"""Verdicts at edges that mutants crossed unseen: money, rates, valuation, recovery, cancels."""

import json

import pytest

from daemon.model.amounts import NS_PER_MS, NS_PER_S
from daemon.model.checks import InvariantViolation
from daemon.model.enums import OrderType, Side, SymbolStatus
from daemon.model.ids import ClientOrderIdFactory, InstrumentId, instrument_id, run_id
from daemon.model.intents import CancelIntent, PlaceIntent
from daemon.model.market import TradeTick
from daemon.model.position import Balance
from riskcaps.gate.fast_path import AUDIT_EVERY, FastPath
from riskcaps.gate.interceptor import CancelApproved, Interceptor
from tests.unit.riskcaps.kit import (
    BTC,
    ETH,
    STRATEGY,
    T0,
    XRPETH,
    D,
    approve,
    bare_gate,
    caps_of,
    deny,
    fill,
    instrument,
    order,
    ready,
    symbol_caps,
    tell,
    top,
    trade,
    wish,
)

BNB = instrument_id("BNBUSDT", "sim")
STEP_NS = 2 * NS_PER_MS


def two_symbols(**changes: object) -> Interceptor:
    """BTC and ETH in USDT, ETH at 10, no bands in the way of a plain order."""
    data = caps_of(symbols={"BTCUSDT": symbol_caps(), "ETHUSDT": symbol_caps()}, **changes)
    gate = tell(bare_gate(data))
    gate.risk.on_instruments([instrument(), instrument(ETH)])
    gate.risk.on_top(top("9.99", "10.01", T0, ETH), T0)
    return gate


@pytest.mark.parametrize("asset", ["BTC", "USDT"])
def test_what_is_free_may_be_spent_to_the_last_step(asset: str) -> None:
    """A market order always goes through the table."""
    intent = wish("SELL" if asset == "BTC" else "BUY", "1", None)
    need = D(1) if asset == "BTC" else D("100.51005") + 10  # 100.01 and 50 bps, and the floor
    for short, passes in ((D(0), True), (D("0.00000001"), False)):
        gate = ready()
        gate.risk.on_balances([Balance("BTC", D(50), D(0)), Balance("USDT", D(5000), D(0))], T0)
        gate.risk.on_balances([Balance(asset, need - short, D(0))], T0)
        if passes:
            approve(gate, intent)
        else:
            assert deny(gate, intent) == "balance_insufficient"


def test_a_reference_below_one_is_a_price_like_any_other() -> None:
    data = caps_of(symbols={"BTCUSDT": symbol_caps(collar_reference="last")})
    gate = ready(data)
    gate.risk.on_top(top("0.49", "0.51"), T0)
    gate.risk.on_trade(TradeTick(BTC, 1, Side.BUY, D("0.5"), D(1), 0, T0), T0)
    gate.risk.on_instruments([instrument(notional_min=D(0))])
    assert approve(gate, wish("BUY", "1", None)) in gate.risk.books.holds


def test_reducing_needs_no_other_valuation_and_no_equity() -> None:
    gate = two_symbols()
    trade(gate, "BUY", "2", "100")
    gate.risk.on_fill(fill("x", "BUY", "3", "10", name=ETH), T0)
    late = T0 + 11 * NS_PER_S  # ETH's price is older than `valuation_age_ms_max`
    gate.risk.on_top(top("99.99", "100.01", late), late)
    assert deny(gate, wish("BUY", "0.1", "99.00"), late) == "valuation_stale"
    assert deny(gate, wish("SELL", "3", "100.00"), late) != "approved"
    approve(gate, wish("SELL", "2", "100.00"), late)


def test_a_missing_rate_is_named_before_the_balance() -> None:
    data = caps_of(symbols={"BTCUSDT": symbol_caps(), "XRPETH": symbol_caps()})
    gate = tell(bare_gate(data))
    gate.risk.on_instruments([instrument(), instrument(XRPETH)])
    gate.risk.on_top(top("99.99", "100.01", T0, XRPETH), T0)
    assert deny(gate, wish(instrument_id=XRPETH)) == "rate_missing"


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_a_side_that_only_matches_the_other_raises_no_gross(side: str) -> None:
    """At a gross above its cap (the price moved), what does not raise the worst side may pass."""
    gate = ready(caps_of(exposure_gross_numeraire_max="155"))
    other, price = ("SELL", "139.98") if side == "BUY" else ("BUY", "140.02")
    approve(gate, wish(other, "1.5", "100.00"))
    gate.risk.on_top(top("139.99", "140.01"), T0)
    assert deny(gate, wish(side, "1.501", price)) == "exposure_gross"
    if side == "BUY":
        assert deny(gate, wish(side, "1.5", price)) == "self_trade"  # a later rule
    else:
        approve(gate, wish(side, "1.5", price))


@pytest.mark.parametrize(("side", "sign"), [("BUY", 1), ("SELL", -1)])
def test_net_exposure_adds_up_over_symbols_on_its_side(side: str, sign: int) -> None:
    gate = two_symbols(exposure_net_numeraire_max="150", exposure_gross_numeraire_max="5000")
    gate.risk.on_fill(fill("x", side, "5", "10", name=ETH), T0)  # about 50 on the same side
    assert sign * gate.risk.books.book(ETH).position == 5
    assert deny(gate, wish(side, "1", "100.00")) == "exposure_net"
    approve(gate, wish(side, "0.9", "100.00"), T0 + STEP_NS)


@pytest.mark.parametrize(("side", "other"), [("BUY", "SELL"), ("SELL", "BUY")])
def test_net_exposure_of_the_other_side_takes_off(side: str, other: str) -> None:
    gate = two_symbols(exposure_net_numeraire_max="150", exposure_gross_numeraire_max="5000")
    gate.risk.on_fill(fill("x", other, "5", "10", name=ETH), T0)
    approve(gate, wish(side, "1.9", "100.00"))
    assert deny(gate, wish(side, "0.2", "100.00"), T0 + STEP_NS) == "exposure_net"


def test_what_was_held_before_a_restart_weighs_after_it() -> None:
    """A position in one symbol counts against the gross cap of an order in another."""
    before = two_symbols(exposure_gross_numeraire_max="150")
    before.risk.on_fill(fill("x", "BUY", "5", "10", name=ETH), T0)
    gate = two_symbols(exposure_gross_numeraire_max="150")
    gate.restore(json.loads(json.dumps(before.state())))
    tell(gate)
    gate.risk.on_instruments([instrument(), instrument(ETH)])
    gate.risk.on_top(top("9.99", "10.01", T0, ETH), T0)
    assert deny(gate, wish("BUY", "1.02", "100.00"), T0) == "exposure_gross"  # 102 and 50
    approve(gate, wish("BUY", "0.9", "100.00"), T0)


def test_a_restart_of_another_run_does_not_take_its_counter() -> None:
    before = ready()
    for number in range(3):
        approve(before, wish("BUY", "0.1", "99.00"), T0 + number * STEP_NS)
    state = json.loads(json.dumps(before.state()))
    same, other = ready(), ready()
    same.risk.ids = ClientOrderIdFactory(before.risk.ids.run)
    other.risk.ids = ClientOrderIdFactory(run_id("gate00", 2))
    for gate in (same, other):
        gate.restore(state)
    assert (same.risk.ids.counter, other.risk.ids.counter) == (3, 0)


def test_a_stop_that_is_recovered_counts_among_the_stops() -> None:
    stops = {"order_types": ["LIMIT", "STOP_LOSS", "STOP_LOSS_LIMIT"], "collar_bps_max": 5000}
    data = caps_of(symbols={"BTCUSDT": symbol_caps(**stops)})
    before = ready(data)
    stop = wish("SELL", "0.1", None, order_type=OrderType.STOP_LOSS, stop_price=D("90.00"))
    answer = before.review(stop, T0)
    line = {
        "client_order_id": answer.order.client_order_id,  # type: ignore[union-attr]
        "instrument_id": BTC, "strategy_id": STRATEGY, "side": "SELL", "order_type": "STOP_LOSS",
        "qty": "0.1", "price": None, "stop_price": "90.00", "time_in_force": None,
        "decision": answer.decision,
    }  # fmt: skip
    gate = ready(data)
    gate.restore_approved(json.loads(json.dumps(line)), T0)
    assert gate.risk.books.book(BTC).stops_open == 1
    again = wish("SELL", "0.1", None, order_type=OrderType.STOP_LOSS, stop_price=D("90.00"))
    assert deny(gate, again, T0) == "duplicate_order"


def cancel(number: int) -> CancelIntent:
    return CancelIntent(strategy_id=STRATEGY, client_order_id=order(f"o{number}").client_order_id)


def test_cancels_of_an_earlier_second_do_not_count_in_this_one() -> None:
    gate = ready()
    for number in range(20):
        assert isinstance(gate.review_cancel(cancel(number), order(f"o{number}"), T0),
                          CancelApproved)  # fmt: skip
    last = gate.review_cancel(cancel(20), order("o20"), T0 + NS_PER_S)
    assert str(getattr(last, "reason", "")) == "cancels_per_second"
    assert last.context == {"cancels": "20"}  # type: ignore[union-attr]
    later = gate.review_cancel(cancel(20), order("o20"), T0 + NS_PER_S + 1)
    assert isinstance(later, CancelApproved)


def test_a_fee_in_a_third_asset_is_owed_at_its_dearest_and_unknown_without_a_rate() -> None:
    symbols = {"BTCUSDT": symbol_caps(), "BNBUSDT": symbol_caps()}
    gate = tell(bare_gate(caps_of(symbols=symbols)))
    gate.risk.on_instruments([instrument(), instrument(BNB)])
    gate.risk.on_fill(fill("x", "BUY", "1", "100", fee="0.5", fee_asset="BNB"), T0)
    assert gate.risk.ledger.equity is None
    assert deny(gate, wish("BUY", "0.1", "99.00"), T0) == "equity_unknown"
    approve(gate, wish("SELL", "0.1", "101.00"), T0)
    gate.risk.on_top(top("9", "11", T0, BNB), T0)
    assert gate.risk.ledger.equity == D("-0.01") - D("5.5")
    approve(gate, wish("BUY", "0.1", "99.00"), T0 + STEP_NS)
    gate.risk.on_top(top("79", "81", T0, BNB), T0)
    assert deny(gate, wish("BUY", "0.1", "99.00"), T0 + 2 * STEP_NS) == "loss_session"


def test_equity_has_parts_that_add_up_each_at_the_worse_rate() -> None:
    symbols = {"BTCUSDT": symbol_caps(), "XRPETH": symbol_caps(), "ETHUSDT": symbol_caps()}
    wide = {f"{cap}_numeraire_max": "90000" for cap in ("loss_session", "loss_day", "drawdown")}
    gate = tell(bare_gate(caps_of(symbols=symbols, **wide)))
    gate.risk.on_instruments([instrument(), instrument(XRPETH), instrument(ETH)])
    gate.risk.on_top(top("9", "11", T0, ETH), T0)
    gate.risk.on_top(top("2", "3", T0, XRPETH), T0)
    for side, price in (("BUY", "2"), ("SELL", "4")):
        gate.risk.on_fill(fill("x", side, "1", price, fee="0.5", fee_asset="ETH", name=XRPETH), T0)
    view = gate.risk.valuation.view()
    assert (view.realised, view.fees) == (D(2) * 9, D(1) * 11)
    assert view.equity == view.realised + view.unrealised - view.fees  # type: ignore[operator]
    for side, price in (("BUY", "4"), ("SELL", "2")):
        gate.risk.on_fill(fill("x", side, "2", price, name=XRPETH), T0)
    view = gate.risk.valuation.view()
    assert view.realised == D(-2) * 11
    assert view.drawdown == view.peak - view.equity > 0  # type: ignore[operator]
    gate.risk.on_top(top("11", "9", T0, ETH), T0)
    view = gate.risk.valuation.view()
    assert (view.realised, view.fees, view.unrealised) == (None, None, None)


def test_an_order_of_more_digits_than_can_be_computed_with_is_malformed() -> None:
    gate = ready()
    gate.risk.on_instruments([instrument(price_max=D(0))])
    assert deny(gate, wish("BUY", "1", "1E+26")) == "filter_percent_price"
    gate.risk.on_instruments([instrument(price_max=D(0), tick=D("1E-60"))])
    assert deny(gate, wish("BUY", "1", "1E+26")) == "malformed_order"
    gate.risk.on_instruments(
        [instrument(price_max=D(0), tick=D("1E-60"), status=SymbolStatus.HALT)]
    )
    assert deny(gate, wish("BUY", "1", "1E+26")) == "symbol_not_trading"


def test_a_breach_of_a_cap_that_is_no_loss_latches_nothing() -> None:
    gate = ready()
    gate.risk.ledger.latch("position_long_base_max")
    approve(gate, wish("BUY", "0.1", "99.00"))
    gate.risk.ledger.latch("loss_day_numeraire_max")
    assert deny(gate, wish("BUY", "0.2", "99.00")) == "loss_day"


@pytest.mark.parametrize(
    "wrong", [wish("BUY", "200", "99.00"), wish("BUY", "0.2", "300.00"), wish("SELL", "1", None)]
)
def test_what_the_fast_path_passes_is_put_before_the_table_now_and_then(
    monkeypatch: pytest.MonkeyPatch, wrong: PlaceIntent
) -> None:
    """A fast path that passes an order that the table denies is caught, and nothing is minted."""
    gate = ready()
    approve(gate, wish("BUY", "0.1", "99.00"))
    monkeypatch.setattr(FastPath, "admits", lambda *_: True)
    gate.risk.ids.counter = AUDIT_EVERY * 3
    with pytest.raises(InvariantViolation, match="the fast path passed what the table does not"):
        gate.review(wrong, T0)
    assert gate.risk.ids.counter == AUDIT_EVERY * 3
    approve(gate, wish("BUY", "0.2", "99.00"))


def test_a_quantity_that_the_table_would_cut_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = ready(reduce_oversized="cut")
    trade(gate, "BUY", "1", "100")
    monkeypatch.setattr(FastPath, "admits", lambda *_: True)
    gate.risk.ids.counter = AUDIT_EVERY * 3
    with pytest.raises(InvariantViolation, match="the fast path passed what the table does not"):
        gate.review(wish("SELL", "1.5", "101.00", reduce_only=True), T0)


def test_time_that_began_at_zero_is_a_time() -> None:
    epoch: InstrumentId = BTC
    gate = bare_gate(caps_of(symbols={"BTCUSDT": symbol_caps(trading_windows_utc=["00:00-24:00"])}))
    tell(gate, 0)
    approve(gate, wish(instrument_id=epoch), 0)
    assert deny(gate, wish(instrument_id=epoch), 0) == "duplicate_order"


@pytest.mark.parametrize("price", ["100.00", None], ids=["plain", "market"])
def test_orders_per_execution_are_denied_beyond_grace_and_ratio_and_not_before(
    price: str | None,
) -> None:
    gate = ready(caps_of(order_to_trade_grace_orders=3, order_to_trade_ratio_max="2.5"))
    at_ns = iter(range(T0, T0 + 10 * NS_PER_S, STEP_NS))
    for _ in range(3):
        approve(gate, wish("BUY", "0.1", price), next(at_ns))
    assert deny(gate, wish("BUY", "0.1", price), next(at_ns)) == "order_to_trade_ratio"
    for _ in range(2):
        trade(gate, "BUY", "0.1", "100", next(at_ns))
    for _ in range(2):  # the fourth and the fifth: 2.5 for each of two executions
        approve(gate, wish("BUY", "0.1", price), next(at_ns))
    assert deny(gate, wish("BUY", "0.1", price), next(at_ns)) == "order_to_trade_ratio"


def test_a_turnover_that_cannot_be_valued_denies_a_reducing_order_too() -> None:
    gate = tell(bare_gate(caps_of(symbols={"BTCUSDT": symbol_caps(), "XRPETH": symbol_caps()})))
    gate.risk.on_instruments([instrument(), instrument(XRPETH)])
    trade(gate, "BUY", "1", "100")
    approve(gate, wish("SELL", "0.1", "100.00"))
    gate.risk.on_fill(fill("x", "BUY", "1", "2", name=XRPETH), T0)
    assert deny(gate, wish("SELL", "0.2", "100.00"), T0 + STEP_NS) == "rate_missing"


def test_assets_that_a_symbol_does_not_spell_are_learnt_from_the_venue() -> None:
    gate = bare_gate(caps_of(conversions={"XBT": ["BTCUSDT"]}))
    gate.risk.on_instruments([instrument(BTC, base="XBT")])
    gate.risk.on_top(top("99", "101", T0), T0)
    assert gate.risk.books.rates.rate("XBT") == (D(99), D(101), T0)


def test_cancels_of_an_earlier_second_are_no_messages_of_this_one() -> None:
    gate = ready(caps_of(messages_per_second_max=6, messages_per_second_cancel_reserve=1))
    for now_ns in (T0, T0 + NS_PER_S + 1):
        for number in range(6):
            answer = gate.review_cancel(cancel(number), order(f"o{number}"), now_ns)
            assert isinstance(answer, CancelApproved)
        answer = gate.review_cancel(cancel(7), order("o7"), now_ns)
        assert str(getattr(answer, "reason", "")) == "messages_per_second"


def test_types_that_are_taken_away_while_it_runs_are_denied() -> None:
    gate = ready()
    approve(gate, wish("BUY", "0.1", "99.00"))
    gate.risk.set_capset(gate.risk.capset.tighten({"symbols.BTCUSDT.order_types": ["LIMIT_MAKER"]}))
    assert deny(gate, wish("BUY", "0.2", "99.00")) == "order_type_not_allowed"
    assert deny(gate, wish("BUY", "0.2", None)) == "order_type_not_allowed"


@pytest.mark.parametrize(
    ("side", "only", "inside", "outside"),
    [
        ("BUY", {"bid_multiplier_up": D("1.05")}, "105.00", "105.01"),
        ("BUY", {"bid_multiplier_down": D("0.95")}, "95.00", "94.99"),
        ("SELL", {"ask_multiplier_up": D("1.05")}, "105.00", "105.01"),
        ("SELL", {"ask_multiplier_down": D("0.95")}, "95.00", "94.99"),
    ],
)
def test_one_multiplier_alone_is_a_bound(
    side: str, only: dict[str, object], inside: str, outside: str
) -> None:
    none = {f"{s}_multiplier_{d}": D(0) for s in ("bid", "ask") for d in ("up", "down")}
    gate = ready()
    gate.risk.on_instruments([instrument(**{**none, **only})])
    approve(gate, wish(side, "0.1", inside))
    assert deny(gate, wish(side, "0.2", outside)) == "filter_percent_price"


def test_a_venue_without_a_lot_takes_every_step_of_its_precision() -> None:
    gate = ready()
    gate.risk.on_instruments([instrument(lot=D(0), base_precision=3, tick=D(0), quote_precision=2)])
    approve(gate, wish("BUY", "0.101", "99.01"))
    approve(gate, wish("BUY", "0.101", None))
    assert deny(gate, wish("BUY", "0.1015", "99.01")) == "filter_lot"
    assert deny(gate, wish("BUY", "0.102", "99.015")) == "filter_tick"


@pytest.mark.parametrize(("side", "asset", "free"), [("SELL", "BTC", "1"), ("BUY", "USDT", "110")])
def test_what_the_venue_has_locked_is_not_held_a_second_time(
    side: str, asset: str, free: str
) -> None:
    gate = ready()
    gate.risk.adopt(order("found", side, "1", "100"), T0)
    gate.risk.on_balances([Balance(asset, D(free), D(0))], T0)
    approve(gate, wish(side, "1", "100.00"))
    assert deny(gate, wish(side, "0.1", "100.00"), T0 + STEP_NS) == "balance_insufficient"


def test_a_loss_cap_below_one_latches_like_any_other() -> None:
    gate = ready(caps_of(loss_session_numeraire_max="0.5", loss_session_action="halt"))
    trade(gate, "BUY", "1", "100")
    gate.risk.on_top(top("99.00", "99.02"), T0)
    assert deny(gate, wish("BUY", "0.1", "98.00")) == "loss_session"
    gate.risk.on_top(top("99.99", "100.01"), T0)
    assert deny(gate, wish("BUY", "0.1", "98.00")) == "loss_session"
