"""The faults that bots are put through: what each does to the venue, and that it ends."""

import hashlib
import hmac
import random
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from daemon.model.enums import Side
from daemon.venues.sim.dialect import sim_rest
from daemon.venues.sim.event_delay import UserEventDelay
from daemon.venues.sim.fault_actions import FaultRunner
from daemon.venues.sim.fault_rules import FaultKind, FaultRule
from daemon.venues.sim.ledger_rows import PackedRows
from daemon.venues.sim.sim_orders import Status
from tests.support.sim_stage import MS, SYMBOL, Stage

ORDER = {
    "symbol": SYMBOL,
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.1",
    "price": "50000",
    "newClientOrderId": "own",
}
SECOND = 1_000


def conductor_of(stage: Stage) -> FaultRunner:
    return FaultRunner(stage.exchange, random.Random(1))


def strike(stage: Stage, kind: FaultKind, **params: Any) -> FaultRunner:
    conductor = conductor_of(stage)
    conductor.strike(FaultRule(kind=kind, params={"symbol": SYMBOL, **params}), stage.tick())
    return conductor


def test_a_late_order_is_answered_first_and_executed_afterwards() -> None:
    stage = Stage()
    stage.exchange.ledger.wire = PackedRows()
    rule = FaultRule(kind=FaultKind.LATE_1007, rate=1.0, params={"ms_min": 900, "ms_max": 900})
    stage.faults.load([rule], stage.now_ns)
    status, row, answer = stage.rest("POST", "order", **ORDER)
    assert (status, row["code"], answer.again_ms) == (504, -1007, 900)
    assert not stage.venue.open_orders("main")
    stage.faults.load([], stage.now_ns)
    text = stage.stamped(ORDER)
    asked = sim_rest.RestRequest("POST", "/api/v3/order", _signed(text), b"", "k")
    done = sim_rest.handle(stage.exchange, asked, stage.tick(900), was_held=True, was_answered=True)
    assert done.status == 200
    assert [order.client_order_id for order in stage.venue.open_orders("main")] == ["own"]
    assert [(row["status"], row["code"]) for row in stage.ledger()["wire"]] == [(504, -1007)]


def _signed(params: dict[str, Any]) -> bytes:
    text = urlencode(params)
    return f"{text}&signature={hmac.new(b's', text.encode(), hashlib.sha256).hexdigest()}".encode()


def test_the_wire_has_a_row_of_every_request_when_it_is_asked_for() -> None:
    stage = Stage()
    stage.rest("GET", "account")
    assert stage.ledger()["wire"] == []
    stage.exchange.ledger.wire = PackedRows()
    stage.rest("POST", "order", **ORDER)
    stage.rest("POST", "order", **{**ORDER, "price": "50000.001"})
    stage.ws("openOrders.status", symbol=SYMBOL)
    rows = stage.ledger()["wire"]
    assert [(row["name"], row["status"], row["code"]) for row in rows] == [
        ("REST POST /api/v3/order", 200, 0),
        ("REST POST /api/v3/order", 400, -1013),
        ("WS openOrders.status", 200, 0),
    ]
    assert (rows[0]["client_order_id"], rows[0]["qty"], rows[0]["side"]) == ("own", "0.1", "BUY")


def test_frozen_market_data_repeats_itself_while_the_market_goes_on() -> None:
    stage = Stage()
    stage.sell("0.5", "60000", account="other")
    before = stage.raw_rest("GET", "depth", query=b"symbol=BTCUSDT")[1]
    candles = stage.raw_rest("GET", "klines", query=b"symbol=BTCUSDT&interval=1s&limit=2")[1]
    strike(stage, FaultKind.FREEZE_DATA, seconds=5)
    stage.buy("0.2", "60000", account="main")
    # Nobody asked since it froze: the first answer is as old as the freeze, too.
    assert stage.raw_rest("GET", "depth", query=b"symbol=BTCUSDT")[1] == before
    stage.tick(3 * SECOND)
    asked = b"symbol=BTCUSDT&interval=1s&limit=2"
    assert stage.raw_rest("GET", "klines", query=asked)[1] == candles
    assert stage.rest("GET", "myTrades", symbol=SYMBOL)[1]
    stage.tick(2 * SECOND)
    assert stage.raw_rest("GET", "depth", query=b"symbol=BTCUSDT")[1] != before


def test_a_price_jump_moves_the_crowd_and_an_empty_book_has_none() -> None:
    stage = Stage(flow_rate_per_s=30.0)
    before = stage.venue.market(SYMBOL).tape.last_price
    strike(stage, FaultKind.PRICE_JUMP, percent=10)
    bid = stage.venue.market(SYMBOL).best_price(Side.BUY)
    assert Decimal("1.08") < Decimal(bid) / Decimal(before) < Decimal("1.12")
    conductor = strike(stage, FaultKind.EMPTY_BOOK, seconds=3)
    stage.venue.advance(stage.tick(SECOND))
    assert stage.venue.market(SYMBOL).best_price(Side.BUY) == 0
    conductor.step(stage.tick(3 * SECOND))
    stage.venue.advance(stage.tick(SECOND))
    assert stage.venue.market(SYMBOL).best_price(Side.BUY) > 0


def test_resting_orders_trade_by_the_fraction_that_is_asked() -> None:
    stage = Stage(flow_rate_per_s=30.0)
    bid = stage.venue.market(SYMBOL).best_price(Side.BUY)
    order = stage.buy("0.1", str(bid // 10**8 - 50)).order
    strike(stage, FaultKind.FILL_RESTING, fraction=0.4)
    assert (order.executed, order.status) == (4_000_000, Status.PARTIALLY_FILLED)
    strike(stage, FaultKind.FILL_RESTING)
    assert order.status is Status.FILLED
    assert len(stage.venue.market(SYMBOL).book.bids.prices) >= 12


def test_a_fraction_below_a_lot_trades_one_lot() -> None:
    stage = Stage(flow_rate_per_s=30.0)
    bid = stage.venue.market(SYMBOL).best_price(Side.BUY)
    order = stage.buy("0.1", str(bid // 10**8 - 50)).order
    step = stage.venue.market(SYMBOL).spec.step
    strike(stage, FaultKind.FILL_RESTING, fraction=0.00001)
    assert order.executed == step


def test_another_tick_moves_no_price() -> None:
    stage = Stage(flow_rate_per_s=50.0)
    market = stage.venue.market(SYMBOL)
    before = market.tape.last_price
    conductor = strike(stage, FaultKind.FILTER_CHANGE, tick="1", seconds=20)
    for _ in range(10):
        stage.venue.advance(stage.tick(SECOND))
    assert abs(market.best_price(Side.BUY) / before - 1) < 0.01
    conductor.step(stage.tick(20 * SECOND))
    for _ in range(10):
        stage.venue.advance(stage.tick(SECOND))
    assert abs(market.best_price(Side.SELL) / before - 1) < 0.01


def test_the_venue_cancels_and_delists() -> None:
    stage = Stage()
    order = stage.buy("0.1", "50000").order
    strike(stage, FaultKind.CANCEL_RESTING)
    assert order.status is Status.CANCELED
    other = stage.buy("0.1", "50000").order
    conductor = strike(stage, FaultKind.DELIST, seconds=2)
    assert other.status is Status.CANCELED
    status, row, _ = stage.rest("POST", "order", **ORDER)
    assert (status, row["code"]) == (400, -1121)
    listed = stage.raw_rest("GET", "exchangeInfo")[1]["symbols"]
    assert [one["symbol"] for one in listed] == ["ETHUSDT"]
    conductor.step(stage.tick(2 * SECOND))
    assert stage.rest("POST", "order", **ORDER)[0] == 200


def test_fees_in_a_third_asset_leave_the_bought_amount_whole() -> None:
    stage = Stage()
    stage.sell("0.5", "60000", account="other")
    conductor = strike(stage, FaultKind.FEE_ASSET, seconds=2)
    before, fees = stage.wallet("BTC")[0], Decimal(stage.wallet("BNB")[0])
    stage.buy("0.1", "60000")
    stage.exchange.collect()
    assert Decimal(stage.wallet("BTC")[0]) - Decimal(before) == Decimal("0.1")
    assert stage.ledger()["fills"][-1]["fee_asset"] in {"BNB", "USDT"}
    assert Decimal(stage.wallet("BNB")[0]) < fees
    conductor.step(stage.tick(2 * SECOND))
    stage.buy("0.1", "60000")
    stage.exchange.collect()
    assert stage.ledger()["fills"][-1]["fee_asset"] != "BNB"


def test_fees_in_an_asset_that_an_account_has_deposit_nothing() -> None:
    stage = Stage()
    strike(stage, FaultKind.FEE_ASSET, seconds=2)
    held = stage.wallet("BNB")
    assert Decimal(held[0]) > 0, "who has none gets some"
    strike(stage, FaultKind.FEE_ASSET, seconds=2)
    assert stage.wallet("BNB") == held


def test_a_lost_event_never_arrives() -> None:
    stage = Stage()
    stage.faults.load([FaultRule(kind=FaultKind.DROP_EVENT, rate=1.0)], stage.now_ns)
    post = UserEventDelay(stage.exchange)
    stage.buy("0.1", "50000")
    stage.exchange.collect()
    assert post.take(stage.tick()) == []
    assert post.take(stage.now_ns + 60 * SECOND * MS) == []
    assert stage.exchange.ledger.faults["drop_event"] > 0


def test_calm_ends_every_fault() -> None:
    stage = Stage()
    conductor = strike(stage, FaultKind.HALT_SYMBOL, seconds=60)
    conductor.strike(FaultRule(kind=FaultKind.BAN_418), stage.now_ns)
    conductor.strike(FaultRule(kind=FaultKind.FREEZE_DATA, params={"seconds": 60}), stage.now_ns)
    stage.faults.load([FaultRule(kind=FaultKind.DROP_REQUEST, rate=1.0)], stage.now_ns)
    conductor.calm()
    assert stage.rest("POST", "order", **ORDER)[0] == 200
    assert stage.exchange.frozen_until_ns == 0
