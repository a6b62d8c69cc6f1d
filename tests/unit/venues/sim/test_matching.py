"""Price-time matching, order types, triggers, self-trade prevention, money."""

from decimal import Decimal

import pytest

from daemon.model.enums import OrderType, Side, SymbolStatus, TimeInForce
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.order_requests import Status, StpMode
from daemon.venues.binance_spot.serving.units import e8_of, text_of
from tests.support.sim_stage import SYMBOL, Stage


def refusal(caught: pytest.ExceptionInfo[DialectError]) -> tuple[int, str]:
    return caught.value.code, caught.value.msg


def test_the_better_price_trades_first_then_the_older_order() -> None:
    stage = Stage()
    late_best = stage.sell("1", "60001", account="other").order
    first = stage.sell("1", "60002", account="other").order
    second = stage.sell("1", "60002", account="other").order
    outcome = stage.buy("2.5", "60002")
    prices = [text_of(fill.price) for fill in outcome.fills]
    assert prices == ["60001.00000000", "60002.00000000", "60002.00000000"]
    assert [late_best.status, first.status] == [Status.FILLED, Status.FILLED]
    assert text_of(second.executed) == "0.50000000"


def test_a_fill_moves_exactly_the_money_and_the_fee_is_in_what_was_received() -> None:
    stage = Stage()
    stage.sell("1", "60000", account="other")
    stage.buy("1", "60500")
    assert stage.wallet("USDT") == ("940000.00000000", "0.00000000")
    assert stage.wallet("BTC") == ("100.99900000", "0.00000000")
    assert stage.wallet("USDT", "other") == ("1059940.00000000", "0.00000000")
    assert stage.wallet("BTC", "other") == ("99.00000000", "0.00000000")


def test_a_resting_order_locks_and_a_cancel_gives_back() -> None:
    stage = Stage()
    order = stage.buy("0.5", "50000", id="mine").order
    assert stage.wallet("USDT") == ("975000.00000000", "25000.00000000")
    stage.venue.cancel("main", SYMBOL, client_order_id="mine", now_ns=stage.tick())
    assert stage.wallet("USDT") == ("1000000.00000000", "0.00000000")
    assert order.status is Status.CANCELED
    assert order.client_order_id == "mine"
    assert order.shown_client_order_id != "mine"


def test_events_of_a_placement_that_trades_come_in_the_documented_order() -> None:
    stage = Stage()
    stage.sell("1", "60000", account="other")
    stage.venue.drain_events()
    order = stage.buy("3", "60000", tif=TimeInForce.IOC).order
    events = stage.venue.drain_events()
    ours = [e for e in events if getattr(e, "account", "") == "main"]
    kinds = [getattr(e, "exec_type", type(e).__name__) for e in ours]
    assert kinds == ["NEW", "TRADE", "EXPIRED", "AccountPosition"]
    assert order.status is Status.EXPIRED
    assert text_of(order.executed) == "1.00000000"
    assert order.expiry_reason == "UNFILLED_IOC_QUANTITY_EXPIRED"


def test_fok_fills_whole_or_not_at_all() -> None:
    stage = Stage()
    stage.sell("1", "60000", account="other")
    none = stage.buy("2", "60000", tif=TimeInForce.FOK).order
    whole = stage.buy("1", "60000", tif=TimeInForce.FOK).order
    assert (none.status, none.executed) == (Status.EXPIRED, 0)
    assert whole.status is Status.FILLED


def test_a_market_order_that_exhausts_the_book_expires_with_its_fills() -> None:
    stage = Stage()
    stage.sell("1", "60000", account="other")
    order = stage.buy("3").order
    assert (order.status, text_of(order.executed)) == (Status.EXPIRED, "1.00000000")
    assert order.expiry_reason == "INSUFFICIENT_LIQUIDITY"
    assert stage.wallet("USDT") == ("940000.00000000", "0.00000000")


def test_limit_maker_that_would_take_is_refused() -> None:
    stage = Stage()
    stage.sell("1", "60000", account="other")
    with pytest.raises(DialectError) as caught:
        stage.buy("1", "60000", type=OrderType.LIMIT_MAKER)
    assert refusal(caught) == (-2010, "Order would immediately match and take.")
    assert stage.wallet("USDT") == ("1000000.00000000", "0.00000000")


def test_an_open_client_id_cannot_be_used_twice_and_is_free_after_the_end() -> None:
    stage = Stage()
    first = stage.buy("0.1", "50000", id="same").order
    with pytest.raises(DialectError) as caught:
        stage.buy("0.1", "50000", id="same")
    assert refusal(caught) == (-2010, "Duplicate order sent.")
    stage.venue.cancel("main", SYMBOL, order_id=first.order_id, now_ns=stage.tick())
    second = stage.buy("0.1", "50000", id="same").order
    assert second.order_id != first.order_id
    assert stage.venue.query("main", SYMBOL, client_order_id="same") is second


def test_insufficient_balance_has_the_documented_wording() -> None:
    stage = Stage()
    with pytest.raises(DialectError) as caught:
        stage.buy("20", "59000")
    assert refusal(caught) == (-2010, "Account has insufficient balance for requested action.")


def test_cancel_of_an_ended_order_is_unknown() -> None:
    stage = Stage()
    stage.sell("1", "60000", account="other")
    order = stage.buy("1", "60000").order
    with pytest.raises(DialectError) as caught:
        stage.venue.cancel("main", SYMBOL, order_id=order.order_id, now_ns=stage.tick())
    assert refusal(caught) == (-2011, "Unknown order sent.")


def test_another_accounts_order_cannot_be_seen_or_cancelled() -> None:
    stage = Stage()
    order = stage.buy("0.1", "50000", account="other").order
    with pytest.raises(DialectError) as caught:
        stage.venue.query("main", SYMBOL, order_id=order.order_id)
    assert caught.value.code == -2013


@pytest.mark.parametrize("status", [SymbolStatus.HALT, SymbolStatus.CANCEL_ONLY])
def test_a_closed_market_takes_cancels_and_no_orders(status: SymbolStatus) -> None:
    stage = Stage()
    order = stage.buy("0.1", "50000").order
    stage.venue.set_status(SYMBOL, status)
    with pytest.raises(DialectError) as caught:
        stage.buy("0.1", "50000")
    assert refusal(caught) == (-2010, "Market is closed.")
    stage.venue.cancel("main", SYMBOL, order_id=order.order_id, now_ns=stage.tick())
    assert order.status is Status.CANCELED


@pytest.mark.parametrize(
    ("kind", "side", "stop", "moves_to", "price"),
    [
        (OrderType.STOP_LOSS_LIMIT, Side.SELL, "59000", "58900", "58500"),
        (OrderType.TAKE_PROFIT_LIMIT, Side.BUY, "59000", "58900", "58500"),
        (OrderType.STOP_LOSS_LIMIT, Side.BUY, "61000", "61100", "61500"),
        (OrderType.TAKE_PROFIT_LIMIT, Side.SELL, "61000", "61100", "61500"),
        (OrderType.STOP_LOSS, Side.SELL, "59000", "58900", ""),
    ],
)
def test_a_trigger_waits_off_the_book_until_the_last_price_reaches_it(
    kind: OrderType, side: Side, stop: str, moves_to: str, price: str
) -> None:
    stage = Stage()
    order = stage.place(side, "0.1", price, type=kind, stop_price=stop).order
    assert order.waiting
    assert order.working_ns == 0
    assert stage.venue.market(SYMBOL).book.snapshot(5) == ([], [])
    stage.reports()
    # Somebody trades at the stop price; the crowd's other side is there for what fires.
    stage.place(side.opposite, "1", moves_to, account="other")
    stage.place(side, "0.5", moves_to, account="other", stp=StpMode.NONE)
    assert not order.waiting
    assert stage.reports(order)[0] == "NEW/NEW"


def test_a_stop_that_would_fire_at_once_is_refused() -> None:
    stage = Stage()
    with pytest.raises(DialectError) as caught:
        stage.sell("0.1", "60500", type=OrderType.STOP_LOSS_LIMIT, stop_price="60500")
    assert refusal(caught) == (-2010, "Order would trigger immediately.")


@pytest.mark.parametrize(
    ("mode", "maker_status", "taker_status"),
    [
        (StpMode.EXPIRE_MAKER, Status.EXPIRED_IN_MATCH, Status.NEW),
        (StpMode.EXPIRE_TAKER, Status.NEW, Status.EXPIRED_IN_MATCH),
        (StpMode.EXPIRE_BOTH, Status.EXPIRED_IN_MATCH, Status.EXPIRED_IN_MATCH),
        (StpMode.DECREMENT, Status.EXPIRED_IN_MATCH, Status.NEW),
        (StpMode.NONE, Status.FILLED, Status.PARTIALLY_FILLED),
    ],
)
def test_self_trade_prevention_follows_the_takers_mode(
    mode: StpMode, maker_status: Status, taker_status: Status
) -> None:
    stage = Stage()
    maker = stage.sell("1", "60000").order
    taker = stage.buy("3", "60000", stp=mode).order
    assert (maker.status, taker.status) == (maker_status, taker_status)
    trades = stage.venue.my_trades("main", SYMBOL)
    if mode is StpMode.NONE:
        assert [t.trade_id for t in trades] == [1, 1]  # one trade id on two of our orders
    else:
        assert trades == []
    open_buys = sum(o.leaves for o in stage.venue.open_orders("main") if o.side is Side.BUY)
    assert Decimal(stage.wallet("USDT")[1]) == Decimal(text_of(open_buys)) * 60000


def test_an_iceberg_shows_its_part_and_loses_its_place_when_it_is_eaten() -> None:
    stage = Stage()
    iceberg = stage.sell("5", "60000", iceberg_qty="2", account="other").order
    behind = stage.sell("1", "60000", account="other").order
    book = stage.venue.market(SYMBOL).book
    assert book.level_qty(Side.SELL, e8_of("60000")) == e8_of("3")
    stage.buy("3", "60000")
    assert text_of(iceberg.executed) == "2.00000000"
    assert behind.status is Status.FILLED
    assert book.level_qty(Side.SELL, e8_of("60000")) == e8_of("2")
    stage.buy("3", "60000")
    assert iceberg.status is Status.FILLED


def test_an_amend_only_reduces_and_keeps_the_place_in_the_queue() -> None:
    stage = Stage()
    first = stage.sell("2", "60000", account="other", id="one").order
    stage.sell("1", "60000", account="other")
    with pytest.raises(DialectError) as caught:
        stage.venue.amend("other", SYMBOL, e8_of("3"), client_order_id="one", now_ns=stage.tick())
    assert caught.value.code == -2038
    stage.reports()
    stage.venue.amend("other", SYMBOL, e8_of("1"), client_order_id="one", now_ns=stage.tick())
    assert stage.reports(first) == ["REPLACED/NEW"]
    assert stage.wallet("BTC", "other") == ("98.00000000", "2.00000000")
    stage.buy("1", "60000")
    assert first.status is Status.FILLED


def test_a_wipe_takes_orders_and_trades_without_a_word_and_grants_anew() -> None:
    stage = Stage()
    stage.sell("1", "60000", account="other")
    stage.buy("1", "60000")
    order = stage.buy("0.1", "50000", id="gone").order
    stage.reports()
    stage.venue.wipe(stage.tick())
    assert stage.reports() == []
    assert stage.venue.open_orders("main") == []
    assert stage.venue.my_trades("main", SYMBOL) == []
    assert stage.wallet("USDT") == ("1000000.00000000", "0.00000000")
    with pytest.raises(DialectError) as caught:
        stage.venue.query("main", SYMBOL, order_id=order.order_id)
    assert caught.value.code == -2013
    assert stage.venue.market(SYMBOL).book.snapshot(5) == ([], [])
    assert stage.buy("0.1", "50000").order.order_id == 1
