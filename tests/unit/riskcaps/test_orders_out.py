"""What leaves the gate carries what was asked, and a denial says why in words and numbers."""

from daemon.model.amounts import NS_PER_S
from daemon.model.enums import OrderStatus, OrderType, Side, TimeInForce
from daemon.model.ids import NO_DIGEST, ClientOrderId, StrategyId, VenueOrderId, chain_digest
from daemon.model.intents import CancelIntent, ReplaceIntent
from daemon.model.orders import CancelOrder, NewOrder
from riskcaps.gate.interceptor import Approved, CancelApproved, Denied, ReplaceApproved
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


def test_a_minted_order_is_the_wish_with_a_name_and_a_time() -> None:
    gate = ready()
    trade(gate, "BUY", "2", "100")
    stop = wish(
        "SELL", "0.5", "99.00", order_type=OrderType.STOP_LOSS_LIMIT, stop_price=D("99.50"),
        time_in_force=TimeInForce.IOC, reduce_only=True, strategy_id=StrategyId("a"),
    )  # fmt: skip
    answer = gate.review(stop, T0 + 7)
    assert isinstance(answer, Approved)
    assert answer.order == NewOrder(
        client_order_id=ClientOrderId("stgate00o00100000001" + NO_DIGEST),
        strategy_id=StrategyId("a"),
        instrument_id=BTC,
        side=Side.SELL,
        order_type=OrderType.STOP_LOSS_LIMIT,
        qty=D("0.5"),
        price=D("99.00"),
        time_in_force=TimeInForce.IOC,
        stop_price=D("99.50"),
        reduce_only=True,
        ts_ns=T0 + 7,
    )
    maker = gate.review(wish("SELL", "0.1", "102.00", order_type=OrderType.LIMIT_MAKER), T0)
    assert isinstance(maker, Approved)
    assert (maker.order.time_in_force, maker.order.stop_price) == (None, None)
    assert maker.order.client_order_id == "stgate00o00100000002" + NO_DIGEST


def test_an_approved_cancel_and_replace_carry_the_venues_id() -> None:
    gate = ready()
    name = approve(gate, wish("BUY", "1", "99.00"))
    gate.risk.ids.head = "5f" * 32
    digest = chain_digest("5f" * 32)
    target = order(str(name), venue_order_id=VenueOrderId("77"), strategy_id=STRATEGY)
    cancel = CancelIntent(strategy_id=STRATEGY, client_order_id=name, reason="stale quote")
    answer = gate.review_cancel(cancel, target, T0 + 3)
    assert isinstance(answer, CancelApproved)
    assert answer.cancel == CancelOrder(
        client_order_id=name,
        instrument_id=BTC,
        venue_order_id=VenueOrderId("77"),
        reason="stale quote",
        ts_ns=T0 + 3,
        request_id="stgate00c00100000001" + digest,
    )
    move = ReplaceIntent(
        strategy_id=STRATEGY, client_order_id=name, qty=D("0.7"), price=D("98.00"), reason="move"
    )
    replaced = gate.review_replace(move, target, T0 + 4)
    assert isinstance(replaced, ReplaceApproved)
    out = replaced.replace
    assert (out.target, out.target_venue_order_id, out.ts_ns) == (name, "77", T0 + 4)
    assert out.request_id == "stgate00r00100000001" + digest
    assert out.order.client_order_id == "stgate00o00100000002" + digest
    assert (out.order.strategy_id, out.order.side, out.order.order_type) == (
        STRATEGY, Side.BUY, OrderType.LIMIT,
    )  # fmt: skip
    assert (out.order.qty, out.order.price, out.order.time_in_force) == (
        D("0.7"), D("98.00"), TimeInForce.GTC,
    )  # fmt: skip
    assert replaced.decision["verdict"] == "approved"


def test_a_replaced_stop_keeps_its_trigger() -> None:
    gate = ready()
    target = order("s", "SELL", order_type=OrderType.STOP_LOSS_LIMIT, stop_price=D("99.50"))
    move = ReplaceIntent(
        strategy_id=STRATEGY, client_order_id=ClientOrderId("s"), qty=D(1), price=D("99.00")
    )
    replaced = gate.review_replace(move, target, T0)
    assert isinstance(replaced, ReplaceApproved)
    assert replaced.replace.order.stop_price == D("99.50")


def test_a_denied_cancel_or_replace_says_what_was_asked_and_why() -> None:
    gate = ready(caps_of(cancels_per_second_max=1))
    cancel = CancelIntent(strategy_id=STRATEGY, client_order_id=ClientOrderId("mine"))
    gate.review_cancel(cancel, order(), T0)
    refused = gate.review_cancel(cancel, order(), T0)
    assert isinstance(refused, Denied)
    assert refused.intent == cancel
    assert (refused.context, refused.decision) == (
        {"cancels": "1"}, {"verdict": "cancels_per_second"},
    )  # fmt: skip
    move = ReplaceIntent(
        strategy_id=STRATEGY, client_order_id=ClientOrderId("mine"), qty=D(9), price=D("99.00")
    )
    for target, reason in (
        (order(status=OrderStatus.EXPIRED), "order_not_open"),
        (order(strategy_id=StrategyId("b")), "not_owner"),
        (order(), "order_qty"),
    ):
        answer = gate.review_replace(move, target, T0)
        assert isinstance(answer, Denied)
        assert answer.intent == move
        assert answer.decision["verdict"] == reason == answer.reason
        assert (answer.context != {}) == (reason == "order_qty")


def test_a_denial_names_cap_use_and_limit() -> None:
    gate = ready(caps_of(orders_per_hour_max=1))
    answers = {
        "order_qty": gate.review(wish(qty="2.5"), T0).context,
        "price_collar": gate.review(wish(price="111.00"), T0).context,
        "position_long": None,
    }
    assert answers["order_qty"] == {"cap": "order_qty_base_max", "used": "2.5", "limit": "2"}
    assert answers["price_collar"] == {
        "cap": "collar_bps_max", "price": "111.00", "reference": "100.00", "limit": "1000",
    }  # fmt: skip
    trade(gate, "BUY", "4", "100")
    long = gate.review(wish(qty="1.5"), T0).context
    assert long == {"cap": "position_long_base_max", "used": "5.5", "limit": "5"}
    approve(gate, wish(qty="0.5"))
    hour = gate.review(wish(qty="0.4"), T0).context
    assert hour == {"cap": "orders_per_hour_max", "used": "1", "limit": "1"}
    gate.risk.health.halt.close("operator: kill")
    assert gate.review(wish(), T0).context == {"why": "operator: kill"}


def test_every_denial_of_a_valuation_is_typed_and_names_what_is_missing() -> None:
    symbols = {"BTCUSDT": symbol_caps(), "BTCETH": symbol_caps()}
    gate = ready(caps_of(symbols=symbols, valuation_age_ms_max=2000))
    btceth = BTC.replace("USDT", "ETH")
    gate.risk.on_instruments([instrument(btceth, base="BTC", quote="ETH"), instrument(ETH)])  # type: ignore[arg-type]
    gate.risk.on_top(top("0.99", "1.01", name=btceth), T0)  # type: ignore[arg-type]
    gate.risk.on_top(top("100", "101", name=ETH), T0)
    gate.risk.on_fill(fill("x", "BUY", "1", "1", name=btceth), T0)  # type: ignore[arg-type]
    approve(gate, wish(qty="0.1"))
    now_ns = T0 + 2 * NS_PER_S

    def ask(now_ns: int, price: str) -> str:
        answer = gate.review(wish(qty="0.1", price=price), now_ns)
        return "" if isinstance(answer, Approved) else str(answer.reason)

    assert ask(now_ns, "99.00") == ""
    gate.risk.on_top(top("100", "101", now_ns, name=ETH), now_ns)
    assert ask(now_ns + 1, "98.00") == "valuation_stale"  # the other symbol's own book
    gate.risk.on_top(top("0.99", "1.01", now_ns + 1, name=btceth), now_ns + 1)  # type: ignore[arg-type]
    assert ask(now_ns + 2 * NS_PER_S, "97.00") == ""
    late_ns = now_ns + 2 * NS_PER_S + 1
    assert ask(late_ns, "96.00") == "valuation_stale"  # the rate of its quote
    gate.risk.on_top(top("101", "100", late_ns, name=ETH), late_ns)
    assert ask(late_ns, "95.00") == "rate_missing"


def test_turnover_is_summed_over_quotes_at_their_rates() -> None:
    symbols = {"BTCUSDT": symbol_caps(), "BTCETH": symbol_caps()}
    losses = ("loss_session", "loss_day", "drawdown")
    wide = {f"{loss}_numeraire_max": "9000" for loss in losses}
    gate = ready(caps_of(symbols=symbols, traded_notional_per_day_numeraire_max="500", **wide))
    btceth = BTC.replace("USDT", "ETH")
    gate.risk.on_instruments([instrument(btceth, base="BTC", quote="ETH"), instrument(ETH)])  # type: ignore[arg-type]
    gate.risk.on_top(top("0.99", "1.01", name=btceth), T0)  # type: ignore[arg-type]
    gate.risk.on_top(top("99", "100", name=ETH), T0)
    gate.risk.on_fill(fill("x", "BUY", "1", "3", name=btceth), T0)  # type: ignore[arg-type]
    trade(gate, "BUY", "0.5", "100")  # 300 + 50, the market now at 100.01
    assert deny(gate, wish(qty="1.5", price="99.00")) == "traded_notional_per_day"
    approve(gate, wish(qty="1.499", price="99.00"))


def test_the_days_orders_count_for_the_ratio_not_the_minutes() -> None:
    gate = ready(caps_of(order_to_trade_ratio_max="2", order_to_trade_grace_orders=2))
    now_ns = T0
    for price in ("99.00", "98.00"):
        approve(gate, wish(qty="0.1", price=price), now_ns)
        now_ns += 3_601 * NS_PER_S
        gate.risk.on_top(top("99.99", "100.01", now_ns), now_ns)
        gate.risk.on_clock(0, 0, now_ns)
    assert deny(gate, wish(qty="0.1", price="97.00"), now_ns) == "order_to_trade_ratio"


def test_what_is_exactly_at_a_cap_passes() -> None:
    gate = ready(caps_of(traded_notional_per_day_numeraire_max="100.01"))
    approve(gate, wish())
    symbols = {"BTCUSDT": symbol_caps(traded_qty_per_day_base_max="3")}
    gate = ready(caps_of(symbols=symbols))
    approve(gate, wish("BUY", "1", "99.00"))
    approve(gate, wish("SELL", "1", "101.00"))
    assert deny(gate, wish("BUY", "1.001", "98.00")) == "traded_qty_per_day"
    approve(gate, wish("BUY", "1", "98.00"))
    gate = ready(caps_of(messages_per_minute_max=6, messages_per_minute_cancel_reserve=4))
    gate.risk.on_cancel_sent(None, T0)
    later_ns = T0 + 2 * NS_PER_S
    approve(gate, wish(), later_ns)
    assert deny(gate, wish(price="99.00"), later_ns) == "messages_per_minute"


def test_a_window_of_the_venue_that_it_never_used_is_empty() -> None:
    gate = ready(caps_of(venue_budget_percent_max=10))
    gate.risk.on_venue_budget({}, {"ORDERS": 10}, T0)
    approve(gate, wish())
    gate.risk.on_venue_budget({}, {"ORDERS": 9}, T0)
    assert deny(gate, wish(price="99.00")) == "venue_budget"


def test_the_best_of_several_own_orders_is_the_one_that_is_not_met() -> None:
    gate = ready()
    for price in ("101.00", "103.00", "102.00"):
        approve(gate, wish("SELL", "0.1", price))
    assert gate.review(wish("BUY", "0.1", "101.50"), T0).context == {"own_px": "101.00"}
    approve(gate, wish("BUY", "0.1", "100.90"))
    approve(gate, wish("BUY", "0.2", "99.00"))
    assert gate.review(wish("SELL", "0.2", "100.50"), T0).context == {"own_px": "100.90"}
