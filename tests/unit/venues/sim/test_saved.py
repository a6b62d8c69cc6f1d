"""A venue that is ended in order and started again is the same venue to its clients."""

import random
from typing import Any

import pytest

from daemon.model.enums import OrderType
from daemon.shell.sim_host.options import OptionError, SimOptions, build
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.rest_requests import RestRequest
from daemon.venues.sim.dialect import sim_rest
from daemon.venues.sim.saved import SavedVenueError, pack, unpack
from tests.support.sim_stage import MS, SYMBOL, Stage

ORDER = {"symbol": SYMBOL, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
OCO = {
    "symbol": SYMBOL, "side": "SELL", "quantity": "1", "aboveType": "LIMIT_MAKER",
    "abovePrice": "70000", "belowType": "STOP_LOSS", "belowStopPrice": "50000",
    "listClientOrderId": "pair",
}  # fmt: skip
LATER_NS = 3_600_000 * MS


class Restarted(Stage):
    """The stage's venue, saved and built again an hour later by the host's own code."""

    def __init__(self, before: Stage, **options: Any) -> None:
        super().__init__()
        before.exchange.collect()
        self.now_ns = before.now_ns + LATER_NS
        saved = unpack(pack(before.exchange, 1))
        ledger = b"".join(before.exchange.ledger.pieces(before.venue, before.now_ns))
        built = build(
            SimOptions(**{"symbols": (SYMBOL, "ETHUSDT"), "flow_rate_per_s": 0, **options}),
            self.now_ns,
            (saved, ledger),
        )
        self.exchange, self.venue = built.exchange, built.exchange.venue


def busy() -> Stage:
    stage = Stage()
    stage.sell("0.3", "60000", account="other")
    for name, price in (("part", "60000"), ("gone", "59000"), ("rest", "58000")):
        stage.rest("POST", "order", **ORDER, quantity="0.5", price=price, newClientOrderId=name)
    stage.rest("DELETE", "order", symbol=SYMBOL, origClientOrderId="gone")
    amend = {"symbol": SYMBOL, "origClientOrderId": "rest", "newQty": "0.4"}
    stage.rest("PUT", "order/amend/keepPriority", **amend, newClientOrderId="less")
    stage.sell("1", "61000", type=OrderType.TAKE_PROFIT_LIMIT, stop_price="65000", id="waits")
    stage.rest("POST", "orderList/oco", **OCO)
    stage.exchange.collect()
    return stage


QUESTIONS = [
    ("account", {}),
    ("openOrders", {}),
    ("allOrders", {"symbol": SYMBOL}),
    ("myTrades", {"symbol": SYMBOL}),
    ("allOrderList", {}),
    ("openOrderList", {}),
    ("order", {"symbol": SYMBOL, "origClientOrderId": "gone"}),
    ("order", {"symbol": SYMBOL, "origClientOrderId": "rest"}),
    ("order", {"symbol": SYMBOL, "origClientOrderId": "less"}),
    ("order/amendments", {"symbol": SYMBOL, "orderId": "4"}),
]


def test_every_question_has_the_answer_that_it_had() -> None:
    before = busy()
    after = Restarted(before)
    for path, params in QUESTIONS:
        status, body, _ = before.rest("GET", path, **params)
        assert status == 200, (path, body)
        assert after.rest("GET", path, **params)[:2] == (200, body), path


def test_orders_go_on_working_and_ids_go_on_rising() -> None:
    before = busy()
    old_ids = {row["orderId"] for row in before.rest("GET", "allOrders", symbol=SYMBOL)[1]}
    old_trades = before.rest("GET", "myTrades", symbol=SYMBOL)[1]
    after = Restarted(before)
    placed = after.rest("POST", "order", **ORDER, quantity="0.1", price="57000")[1]
    assert placed["orderId"] > max(old_ids)
    # The resting remainder trades with a newcomer, and the list's stop still stands behind it.
    after.sell("0.2", "60000", account="other")
    filled = after.rest("GET", "order", symbol=SYMBOL, origClientOrderId="part")[1]
    assert filled["status"] == "FILLED"
    trades = after.rest("GET", "myTrades", symbol=SYMBOL)[1]
    assert trades[: len(old_trades)] == old_trades
    assert trades[-1]["id"] > old_trades[-1]["id"]
    gone = after.rest("DELETE", "orderList", symbol=SYMBOL, listClientOrderId="pair")
    assert gone[0] == 200
    assert after.rest("DELETE", "order", symbol=SYMBOL, origClientOrderId="waits")[0] == 200
    with pytest.raises(DialectError, match="Duplicate order"):
        after.buy("0.1", "56000", id="less")


def test_the_ledger_goes_on_and_money_adds_up() -> None:
    before = busy()
    old = before.ledger()
    after = Restarted(before)
    new = after.ledger()
    for name in ("orders", "fills", "cancels", "rejects", "events", "open_orders", "balances"):
        assert new[name] == old[name], name
    after.rest("DELETE", "order", symbol=SYMBOL, origClientOrderId="part")
    again = after.ledger()
    assert len(again["orders"]) == len(old["orders"])
    assert {o["client_order_id"]: o["status"] for o in again["orders"]}["part"] == "CANCELED"
    assert [e["kind"] for e in again["events"][len(old["events"]) :]] == ["canceled"]
    for name in ("main", "other"):
        wallets = after.venue.accounts[name].wallets.values()
        assert all(wallet.free >= 0 and wallet.locked >= 0 for wallet in wallets)


def test_a_crowd_that_comes_back_takes_no_clients_id() -> None:
    before = Stage()
    mine = before.buy("1", "59900").order
    after = Restarted(before, flow_rate_per_s=30)
    book = after.venue.markets[SYMBOL].book
    ids = [order_id for level in book.bids.from_best() for order_id in level.orders]
    assert len(ids) == len(set(ids)) > 20
    assert ids.count(mine.order_id) == 1


def test_public_trade_ids_and_the_price_go_on() -> None:
    before = Stage(flow_rate_per_s=200)
    for _ in range(150):
        before.exchange.advance(before.tick(1_000))
    before.exchange.collect()
    newest = before.raw_rest("GET", "trades", query=b"symbol=BTCUSDT&limit=1")[1][0]
    after = Restarted(before, flow_rate_per_s=30)
    again = after.raw_rest("GET", "trades", query=b"symbol=BTCUSDT&limit=1")[1][0]
    assert again["id"] >= newest["id"]
    assert again["price"] == newest["price"]
    for _ in range(40):
        after.exchange.advance(after.tick(250))
    rows = after.raw_rest(
        "GET", "historicalTrades", query=f"symbol=BTCUSDT&fromId={again['id']}".encode()
    )
    ids = [row["id"] for row in rows[1]]
    assert ids == list(range(again["id"], again["id"] + len(ids)))
    assert len(ids) > 5
    bars = after.raw_rest("GET", "klines", query=b"symbol=BTCUSDT&interval=1h&limit=500")[1]
    assert len(bars) == 500


def test_keys_that_were_added_are_known_again() -> None:
    before = busy()
    request = RestRequest("GET", "/api/v3/openOrders", b"", b"", "k")
    after = Restarted(before)
    answer = sim_rest.handle(after.exchange, request, after.now_ns)
    assert answer.status == 400, "the key is known; the request has no timestamp"
    assert after.exchange.keys["k"].account == "main"


def test_what_cannot_be_gone_on_with_is_refused() -> None:
    before = busy()
    with pytest.raises(OptionError, match="seed 1"):
        Restarted(before, seed=2)
    with pytest.raises(OptionError, match="BTCUSDT"):
        Restarted(before, symbols=("ETHUSDT",))
    whole = pack(before.exchange, 1)
    rng = random.Random(5)
    for _ in range(200):
        cut = whole[: rng.randrange(len(whole))]
        with pytest.raises(SavedVenueError):
            unpack(cut)
