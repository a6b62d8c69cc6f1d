"""The strategies that ship: they respect filters, and a denial does not make them spam."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import pytest

from daemon.core.engine_config import StrategySpec
from daemon.model.effects import SendCancel, SendOrder
from daemon.model.enums import OrderType, Side, SymbolStatus, TimeInForce, VenueOrderStatus
from daemon.model.ids import StrategyId
from daemon.model.inputs import InstrumentsLoaded, MarketData, VenueReject, VenueReport
from daemon.model.orders import NewOrder
from daemon.model.reports import Reject
from daemon.strategies.anchor import Anchor
from daemon.strategies.heartbeat import Heartbeat
from daemon.strategies.ma_crossover import Average, MovingAverageCrossover
from daemon.strategies.quiet import Quiet
from daemon.strategies.quoter import Quoter
from daemon.strategies.sizing import order_qty, passive_price, taking_price
from tests.support.builders import BTC, caps, command, config, dec, fill, instrument, report, top
from tests.support.screenplay import Stage, only

V = VenueOrderStatus


def staged(cls: Any, capset: Any = None, **params: Any) -> Stage:
    spec = StrategySpec(
        strategy_id=StrategyId("s"),
        symbols=("BTCUSDT",),
        factory=lambda sid, instruments: cls(sid, instruments, **params),
    )
    return Stage(made=config((spec,)), capset=capset).ready().start()


def tick(stage: Stage, bid: str = "100.00", ask: str = "100.10") -> list[NewOrder]:
    return sent(stage.tell(MarketData(top(bid, ask, ts_ns=stage.now_ns))))


def sent(effects: Iterable[Any]) -> list[NewOrder]:
    return [effect.order for effect in only(SendOrder, effects)]


def ack(stage: Stage, order: NewOrder, status: V = V.NEW, cum: str = "0", trade: int = 0) -> None:
    fills = ()
    if trade:
        one = fill(order.client_order_id, trade, cum, side=order.side,
                   price=str(order.price or "100"), venue_id=str(trade))  # fmt: skip
        fills = (one,)
    said = report(
        order.client_order_id,
        status,
        cum=cum,
        qty=str(order.qty),
        side=order.side,
        fills=fills,
        venue_id=str(trade or 1),
    )
    stage.tell(VenueReport(said))


# ---------------------------------------------------------------- sizing
def test_prices_round_away_from_the_market_or_towards_it_by_name() -> None:
    made = instrument(tick=dec("0.05"))
    assert passive_price(made, Side.BUY, dec("100.07")) == dec("100.05")
    assert passive_price(made, Side.SELL, dec("100.07")) == dec("100.10")
    assert taking_price(made, Side.BUY, dec("100.07")) == dec("100.10")
    assert taking_price(made, Side.SELL, dec("100.07")) == dec("100.05")


@pytest.mark.parametrize(
    ("wanted", "price", "qty"),
    [
        ("0.1234", "100", "0.123"),
        ("0", "100", "0.053"),
        ("0.001", "100", "0.053"),
        ("0", "100000", "0.001"),
    ],
)
def test_quantities_pass_lot_minimum_and_notional(wanted: str, price: str, qty: str) -> None:
    made = order_qty(instrument(), dec(wanted), dec(price))
    assert made == dec(qty)
    assert made % dec("0.001") == 0
    assert made * dec(price) >= 5


# ---------------------------------------------------------------- quiet
def test_quiet_never_wishes() -> None:
    stage = staged(Quiet)
    for _ in range(20):
        assert tick(stage) == []
        assert sent(stage.after(500)) == []


# ---------------------------------------------------------------- quoter
def test_the_quoter_quotes_both_sides_around_the_middle_on_the_tick() -> None:
    stage = staged(Quoter, qty=dec("0.1"), half_spread_bps=10)
    buy, sell = tick(stage)
    assert (buy.side, sell.side) == (Side.BUY, Side.SELL)
    assert (buy.price, sell.price) == (dec("99.94"), dec("100.16"))
    assert buy.qty == sell.qty == dec("0.1")
    assert tick(stage) == [], "both sides work already"


def test_the_quoter_renews_what_is_off_its_place_and_only_that() -> None:
    stage = staged(Quoter, qty=dec("0.1"), half_spread_bps=10, requote_bps=20)
    for order in tick(stage):
        ack(stage, order)
    stage.after(500)
    assert only(SendCancel, stage.tell(MarketData(top("100.01", "100.11")))) == []
    effects = stage.tell(MarketData(top("101.00", "101.10")))
    assert len(only(SendCancel, effects)) == 2
    assert only(SendCancel, stage.tell(MarketData(top("101.00", "101.10")))) == []


def test_the_quoter_renews_what_is_old() -> None:
    stage = staged(Quoter, qty=dec("0.1"), order_age_ms=2000)
    for order in tick(stage):
        ack(stage, order)
    stage.after(1900)
    assert only(SendCancel, stage.tell(MarketData(top()))) == []
    stage.after(200)
    assert len(only(SendCancel, stage.tell(MarketData(top())))) == 2


def test_the_quoter_keeps_trying_at_its_pace_when_denied() -> None:
    stage = staged(Quoter, capset=caps(order_qty_base_max="0.01"), qty=dec("0.1"))
    for _ in range(100):
        tick(stage)
        stage.after(50)
    denials = stage.facts_of("order_denied")
    assert 8 <= len(denials) <= 12, "5 s, two sides, one try a second each"


def test_the_quoter_rests_after_the_venues_no() -> None:
    stage = staged(Quoter, qty=dec("0.1"))
    buy, sell = tick(stage)
    ack(stage, sell)
    no = Reject(
        client_order_id=buy.client_order_id,
        instrument_id=BTC,
        code=-2010,
        reason="no",
        ts_recv_ns=0,
    )
    stage.tell(VenueReject(no))
    stage.after(500)
    assert tick(stage) == []
    stage.after(600)
    assert [order.side for order in tick(stage)] == [Side.BUY]


def test_the_quoter_stops_growing_a_position() -> None:
    stage = staged(Quoter, qty=dec("0.1"), position_qtys_max=1)
    buy, _ = tick(stage)
    ack(stage, buy, V.FILLED, "0.1", trade=5)
    stage.after(2000)
    assert [order.side for order in tick(stage)] == []


# ---------------------------------------------------------------- heartbeat
def test_the_heartbeat_places_off_the_market_and_cancels_at_the_next_beat() -> None:
    stage = staged(Heartbeat, qty=dec("0.1"), period_ms=1000, away_bps=50, take_every=0)
    order = sent(stage.after(1100))[0]
    assert order.order_type is OrderType.LIMIT
    assert abs(order.price - dec("100.05")) > dec("0.4")  # type: ignore[operator]
    ack(stage, order)
    stage.quote()
    effects = stage.after(1000)
    assert [c.cancel.client_order_id for c in only(SendCancel, effects)] == [order.client_order_id]


def test_the_heartbeat_takes_now_and_then_on_alternate_sides_and_roads() -> None:
    stage = staged(Heartbeat, qty=dec("0.1"), period_ms=500, take_every=1)
    taken: list[NewOrder] = []
    for number in range(1, 5):
        stage.quote()
        order = sent(stage.after(500))[0]
        taken.append(order)
        ack(stage, order, V.FILLED, "0.1", trade=number)
    assert [o.side for o in taken] == [Side.BUY, Side.SELL, Side.BUY, Side.SELL]
    assert [o.order_type for o in taken] == [OrderType.LIMIT, OrderType.MARKET] * 2
    assert taken[0].time_in_force is TimeInForce.IOC
    assert stage.position() == "0"


# ---------------------------------------------------------------- moving averages
def test_an_average_of_a_moving_window() -> None:
    average = Average(3)
    for sample in (1, 2):
        average.add(Decimal(sample))
    assert average.value is None
    average.add(Decimal(3))
    average.add(Decimal(7))
    assert average.value == 4


def test_the_crossover_goes_long_above_and_flat_below() -> None:
    stage = staged(
        MovingAverageCrossover, qty=dec("0.1"), fast=2, slow=4, sample_ms=100, pause_ms=0
    )
    bought: list[NewOrder] = []
    for step in range(8):
        stage.after(100)
        bought += tick(stage, f"{100 + step / 10:.2f}", f"{100.1 + step / 10:.2f}")
        if bought:
            break
    assert [o.side for o in bought] == [Side.BUY]
    assert bought[0].time_in_force is TimeInForce.IOC
    ack(stage, bought[0], V.FILLED, "0.1", trade=1)
    sold: list[NewOrder] = []
    for step in range(30):
        stage.after(100)
        sold += tick(stage, f"{100 - step / 5:.2f}", f"{100.1 - step / 5:.2f}")
        if sold:
            break
    assert [(o.side, o.qty) for o in sold] == [(Side.SELL, dec("0.1"))]


def test_the_crossover_refuses_windows_that_cannot_cross() -> None:
    with pytest.raises(ValueError, match="fast must be positive and below slow"):
        MovingAverageCrossover(StrategyId("s"), {}, fast=5, slow=5)


# ---------------------------------------------------------------- all of them
@pytest.mark.parametrize("cls", [Quoter, Heartbeat, MovingAverageCrossover])
def test_filters_that_change_under_way_are_respected(cls: Any) -> None:
    stage = staged(cls)
    coarse = instrument(tick=dec("0.5"), lot=dec("0.01"), qty_min=dec("0.01"))
    stage.tell(InstrumentsLoaded((coarse,)))
    orders: list[NewOrder] = []
    for step in range(60):
        drift = step * dec("0.3")
        orders += tick(stage, str(dec("100") + drift), str(dec("100.5") + drift))
        orders += sent(stage.after(250))
    assert orders
    assert all(o.qty % dec("0.01") == 0 for o in orders)
    assert all(o.price is None or o.price % dec("0.5") == 0 for o in orders)
    kinds = {fact["deny_reason"] for fact in stage.facts_of("order_denied")}
    assert not {kind for kind in kinds if kind.startswith("filter_")}


@pytest.mark.parametrize("cls", [Quoter, Heartbeat, MovingAverageCrossover])
def test_a_halted_symbol_is_not_spammed(cls: Any) -> None:
    stage = staged(cls)
    stage.tell(InstrumentsLoaded((instrument(status=SymbolStatus.HALT),)))
    for step in range(100):
        tick(stage, f"{100 + step / 10:.2f}", f"{100.1 + step / 10:.2f}")
        stage.after(100)
    assert stage.facts_of("order_approved") == []
    assert len(stage.facts_of("order_denied")) <= 22, "10 s, two sides, at most one try a second"
    assert stage.tell(command("stop"))


# ---------------------------------------------------------------- anchor
def test_a_quiet_stretch_is_closed_by_one_order_that_is_canceled_when_it_stands() -> None:
    stage = staged(Anchor, quiet_s=60, away_bps=200)
    assert tick(stage) == []
    (first,) = sent(stage.after(5_000))
    ack(stage, first)
    ack(stage, first, V.CANCELED)
    tick(stage)
    assert sent(stage.after(59_000)) == []
    tick(stage)
    (order,) = sent(stage.after(1_500))
    assert (order.side, order.order_type) == (Side.BUY, OrderType.LIMIT_MAKER)
    assert order.price == dec("98.00"), "two hundredths below the bid of 100"
    assert order.qty == order_qty(instrument(), dec("0"), dec("98.00")), "the least"
    effects = stage.tell(VenueReport(report(order.client_order_id, V.NEW, qty=str(order.qty))))
    (gone,) = only(SendCancel, effects)
    assert gone.cancel.client_order_id == order.client_order_id


def test_an_order_that_stands_is_what_the_end_of_the_session_cancels() -> None:
    """Its cancel is made in the turn of the stop: nothing but the stop's own lines come after."""
    stage = staged(Anchor, quiet_s=5, away_bps=200, stands=True)
    tick(stage)
    (first,) = sent(stage.after(5_000))
    ack(stage, first)
    tick(stage)
    effects = stage.after(5_000)
    (second,) = sent(effects)
    (gone,) = only(SendCancel, effects)
    assert gone.cancel.client_order_id == first.client_order_id, "one stands, not two"
    ack(stage, first, V.CANCELED)
    ack(stage, second)
    (last,) = only(SendCancel, stage.tell(command("stop", "done")))
    assert last.cancel.client_order_id == second.client_order_id


def test_an_order_beyond_the_collar_goes_half_as_far() -> None:
    stage = staged(Anchor, caps(collar_bps_max=40), quiet_s=60, away_bps=60)
    tick(stage)
    (order,) = sent(stage.after(5_000))
    assert order.price == dec("99.70"), "30 basis points below the bid of 100"


def test_an_order_that_was_filled_is_followed_by_another() -> None:
    stage = staged(Anchor, quiet_s=5, stands=True)
    tick(stage)
    (first,) = sent(stage.after(5_000))
    ack(stage, first)
    ack(stage, first, V.FILLED, cum=str(first.qty), trade=1)
    tick(stage)
    assert len(sent(stage.after(5_000))) == 1


def answered(stage: Stage, seconds: int) -> list[NewOrder]:
    """The orders of so long; each is answered, and canceled at the venue."""
    made = []
    for _ in range(seconds // 5):
        tick(stage)
        for order in sent(stage.after(5_000)):
            made.append(order)
            ack(stage, order)
            ack(stage, order, V.CANCELED)
    return made


def test_it_has_a_bound_of_its_own() -> None:
    assert len(answered(staged(Anchor, quiet_s=60, orders_max=3), 600)) == 3
    assert len(answered(staged(Anchor, quiet_s=60, orders_max=0), 300)) == 0


def test_what_others_send_is_an_anchor_already() -> None:
    specs = (
        StrategySpec(
            strategy_id=StrategyId("a"),
            symbols=("BTCUSDT",),
            factory=lambda sid, instruments: Anchor(sid, instruments, quiet_s=60),
        ),
        StrategySpec(
            strategy_id=StrategyId("b"),
            symbols=("BTCUSDT",),
            factory=lambda sid, instruments: Heartbeat(
                sid, instruments, period_ms=20_000, take_every=0
            ),
        ),
    )
    stage = Stage(made=config(specs)).ready().start()
    first, *others = [order.strategy_id for order in answered(stage, 240)]
    assert (first, set(others)) == ("a", {"b"}), "one covers what stands before the session"


@pytest.mark.parametrize("wrong", [{"quiet_s": 0}, {"away_bps": 0}, {"orders_max": -1}])
def test_it_refuses_parameters_that_make_no_sense(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="begin at 1"):
        Anchor(StrategyId("a"), {}, **wrong)
