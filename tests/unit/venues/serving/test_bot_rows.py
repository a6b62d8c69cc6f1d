"""What a bot reads of its orders is what the venue would have said, field by field."""

from decimal import Decimal
from typing import Any

import orjson
import pytest

from daemon.model.bots import BotFill, BotOrderRow
from daemon.model.effects import BotOrderChanged
from daemon.model.enums import ExecType, OrderType, Side, TimeInForce, VenueOrderStatus
from daemon.model.ids import ClientOrderId, VenueOrderId, instrument_id
from daemon.model.order_features import OrderExtras, PegPrice
from daemon.model.position import Balance
from daemon.venues.binance_spot.serving.account_rows import account_row
from daemon.venues.binance_spot.serving.bot_rows import (
    position_of,
    report_of,
    seen_balances,
    seen_fills,
    seen_order,
)
from daemon.venues.binance_spot.serving.event_rows import user_event
from daemon.venues.binance_spot.serving.shown_rows import (
    amended_row,
    canceled_row,
    order_row,
    placed_row,
    replaced_row,
    trade_row,
)
from tests.support.sim_stage import MS, ROW, SYMBOL, Stage
from tests.support.spot_payloads import BASE, PLACED

BTC = instrument_id(SYMBOL, "sim")
TAGS = ("selfTradePreventionMode", "strategyId", "strategyType")


def from_fold(said: ROW, fills: list[ROW] | None = None, **own: Any) -> BotOrderRow:
    """What our fold holds of an order when the venue has said `said` of it (a queried row)."""
    extras = None
    if said.get("trailingDelta") or Decimal(said["icebergQty"]) or said.get("pegPriceType"):
        extras = OrderExtras(
            trailing_bps=said.get("trailingDelta", 0),
            iceberg_qty=amount(said["icebergQty"]),
            peg=PegPrice(said["pegPriceType"]) if "pegPriceType" in said else None,
            peg_levels=said.get("pegOffsetValue", 0),
        )
    values: dict[str, Any] = {
        "bot": "ft",
        "client_order_id": said["clientOrderId"],
        "own_id": ClientOrderId("stabc123o001k3x0000c"),
        "instrument_id": BTC,
        "venue_order_id": VenueOrderId(str(said["orderId"])),
        "side": Side(said["side"]),
        "order_type": OrderType(said["type"]),
        "time_in_force": TimeInForce(said["timeInForce"]),
        "status": VenueOrderStatus(said["status"]),
        "qty": Decimal(said["origQty"]),
        "price": amount(said["price"]),
        "stop_price": amount(said["stopPrice"]),
        "cum_qty": Decimal(said["executedQty"]),
        "cum_quote": Decimal(said["cummulativeQuoteQty"]),
        "quote_qty": amount(said["origQuoteOrderQty"]),
        "tags": tuple((name, str(said[name])) for name in TAGS if name in said),
        "extras": extras,
        "fills": tuple(
            BotFill(
                trade_id=fill["id"],
                qty=Decimal(fill["qty"]),
                price=Decimal(fill["price"]),
                fee=Decimal(fill["commission"]),
                fee_asset=fill["commissionAsset"],
                is_maker=fill["isMaker"],
                ts_venue_ns=fill["time"] * MS,
            )
            for fill in fills or ()
        ),
        "ts_placed_ns": said["time"] * MS,
        "ts_updated_ns": said["updateTime"] * MS,
    }
    return BotOrderRow(**(values | own))


def amount(text: str) -> Decimal | None:
    return Decimal(text) or None


def plain(row: object) -> Any:
    return orjson.loads(orjson.dumps(row))


def crowded() -> Stage:
    """Others' orders at 59999 and 60001, 60002."""
    stage = Stage()
    stage.buy("0.4", "59999", account="other")
    stage.sell("0.3", "60001", account="other")
    stage.sell("5", "60002", account="other")
    return stage


LIMIT = {"type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01", "newClientOrderId": "x-1"}
ORDERS: dict[str, dict[str, str]] = {
    "resting": {**LIMIT, "price": "59000"},
    "filled": {**LIMIT, "price": "60001"},
    "two prices": {**LIMIT, "quantity": "0.5", "price": "60002"},
    "partly filled": {**LIMIT, "quantity": "0.5", "price": "60001"},
    "expired": {**LIMIT, "timeInForce": "IOC", "price": "59000"},
    "market": {"type": "MARKET", "quantity": "0.01"},
    "market by quote": {"type": "MARKET", "quoteOrderQty": "500"},
    "stop": {**LIMIT, "type": "STOP_LOSS_LIMIT", "price": "62000", "stopPrice": "61000"},
    "take profit": {"type": "TAKE_PROFIT", "quantity": "0.01", "stopPrice": "58000"},
    "iceberg": {**LIMIT, "quantity": "0.1", "price": "59000", "icebergQty": "0.02"},
    "maker": {"type": "LIMIT_MAKER", "quantity": "0.01", "price": "59000"},
    "tagged": {**LIMIT, "price": "59000", "strategyId": "5", "strategyType": "1000001",
               "selfTradePreventionMode": "EXPIRE_TAKER"},
}  # fmt: skip
UNKNOWN_TO_US = {"expiryReason"}
"""The fold keeps no word of the venue's on why an order expired."""


def without(row: Any, names: set[str] = UNKNOWN_TO_US) -> Any:
    return {name: value for name, value in row.items() if name not in names}


@pytest.mark.parametrize("shown", ["ACK", "RESULT", "FULL"])
@pytest.mark.parametrize("name", ORDERS)
def test_an_order_reads_as_the_venue_says_it(name: str, shown: str) -> None:
    stage = crowded()
    sent = {"symbol": SYMBOL, "side": "BUY", **ORDERS[name], "newOrderRespType": shown}
    status, placed, _ = stage.rest("POST", "order", **sent)
    assert status == 200
    _, said, _ = stage.rest("GET", "order", symbol=SYMBOL, orderId=placed["orderId"])
    _, trades, _ = stage.rest("GET", "myTrades", symbol=SYMBOL, orderId=placed["orderId"])
    row = from_fold(said, trades)
    order, fills = seen_order(row), seen_fills(row)
    assert without(plain(order_row(order))) == without(said)
    told = plain(placed_row(order, fills, shown, placed["transactTime"] * MS))
    assert without(told) == without(placed)
    assert [plain(trade_row(fill)) for fill in fills] == trades


def test_a_makers_trade_reads_as_the_venue_says_it() -> None:
    stage = crowded()
    stage.exchange.collect()
    _, placed, _ = stage.rest("POST", "order", symbol=SYMBOL, side="SELL", **ORDERS["filled"])
    stage.exchange.user_outbox.clear()
    assert placed["status"] == "NEW"
    stage.buy("1", "60002", account="other")
    stage.exchange.collect()
    _, said, _ = stage.rest("GET", "order", symbol=SYMBOL, orderId=placed["orderId"])
    _, trades, _ = stage.rest("GET", "myTrades", symbol=SYMBOL, orderId=placed["orderId"])
    assert [trade["isMaker"] for trade in trades] == [True]
    sent = [plain(user_event(event)) for event in stage.exchange.user_outbox]
    (report,) = [row for row in sent if row.get("i") == placed["orderId"]]
    row = from_fold(said, trades)
    changed = BotOrderChanged(bot="ft", row=row, exec_type=ExecType.TRADE, fill=row.fills[0])
    assert report["m"] is True
    assert plain(user_event(report_of(changed, report["I"]))) == report


def test_a_canceled_order_reads_as_the_venue_says_it() -> None:
    stage = crowded()
    _, placed, _ = stage.rest("POST", "order", symbol=SYMBOL, side="BUY", **ORDERS["resting"])
    _, canceled, _ = stage.rest(
        "DELETE", "order", symbol=SYMBOL, origClientOrderId="x-1", newClientOrderId="bye"
    )
    _, said, _ = stage.rest("GET", "order", symbol=SYMBOL, orderId=placed["orderId"])
    row = from_fold(said, client_order_id="x-1", cancel_client_order_id="bye")
    assert plain(canceled_row(seen_order(row))) == canceled
    assert plain(order_row(seen_order(row))) == said


def test_an_amended_order_reads_as_the_venue_says_it() -> None:
    stage = crowded()
    _, placed, _ = stage.rest("POST", "order", symbol=SYMBOL, side="BUY", **ORDERS["resting"])
    _, amended, _ = stage.rest(
        "PUT", "order/amend/keepPriority", symbol=SYMBOL, origClientOrderId="x-1",
        newClientOrderId="x-1", newQty="0.005",
    )  # fmt: skip
    _, said, _ = stage.rest("GET", "order", symbol=SYMBOL, orderId=placed["orderId"])
    row = from_fold(said, amends=1)
    assert plain(amended_row(seen_order(row), "x-1", amended["executionId"])) == amended


def test_a_cancel_replace_reads_as_the_venue_says_it() -> None:
    stage = crowded()
    stage.rest("POST", "order", symbol=SYMBOL, side="BUY", **ORDERS["resting"])
    _, answer, _ = stage.rest(
        "POST", "order/cancelReplace", symbol=SYMBOL, side="BUY",
        cancelReplaceMode="STOP_ON_FAILURE", cancelOrigClientOrderId="x-1",
        cancelNewClientOrderId="bye", **{**ORDERS["resting"], "newClientOrderId": "x-2"},
    )  # fmt: skip
    halves = []
    for half in ("cancelResponse", "newOrderResponse"):
        _, said, _ = stage.rest("GET", "order", symbol=SYMBOL, orderId=answer[half]["orderId"])
        halves.append(said)
    old = from_fold(halves[0], client_order_id="x-1", cancel_client_order_id="bye")
    new = from_fold(halves[1])
    now_ns = answer["newOrderResponse"]["transactTime"] * MS
    told = replaced_row(
        canceled_row(seen_order(old)), placed_row(seen_order(new), [], "FULL", now_ns)
    )
    assert plain(told) == answer


def test_execution_reports_read_as_the_venue_sends_them() -> None:
    """NEW, a trade, an amend and a cancel of one order."""
    stage = crowded()
    stage.exchange.collect()
    stage.exchange.user_outbox.clear()
    _, placed, _ = stage.rest(
        "POST", "order", symbol=SYMBOL, side="BUY", **{**ORDERS["partly filled"], "price": "60001"}
    )
    status, _, _ = stage.rest(
        "PUT", "order/amend/keepPriority", symbol=SYMBOL, origClientOrderId="x-1",
        newClientOrderId="x-1", newQty="0.4",
    )  # fmt: skip
    assert status == 200
    stage.rest("DELETE", "order", symbol=SYMBOL, origClientOrderId="x-1", newClientOrderId="bye")
    sent = [plain(user_event(event)) for event in stage.exchange.user_outbox]
    ours = [row for row in sent if row["e"] == "executionReport" and row["i"] == placed["orderId"]]
    assert [row["x"] for row in ours] == ["NEW", "TRADE", "REPLACED", "CANCELED"]
    _, said, _ = stage.rest("GET", "order", symbol=SYMBOL, orderId=placed["orderId"])
    _, trades, _ = stage.rest("GET", "myTrades", symbol=SYMBOL, orderId=placed["orderId"])
    whole = from_fold(said, trades, client_order_id="x-1")
    for row in ours:
        fill = next((one for one in whole.fills if one.trade_id == row["t"]), None)
        moment = from_fold(
            said,
            trades,
            client_order_id="x-1",
            cancel_client_order_id="bye" if row["x"] == "CANCELED" else "",
            status=VenueOrderStatus(row["X"]),
            qty=Decimal(row["q"]),
            cum_qty=Decimal(row["z"]),
            cum_quote=Decimal(row["Z"]),
            ts_updated_ns=row["T"] * MS,
        )
        changed = BotOrderChanged(bot="ft", row=moment, exec_type=ExecType(row["x"]), fill=fill)
        assert plain(user_event(report_of(changed, row["I"]))) == row


def test_documented_names_are_all_there() -> None:
    """Keys against the documents, written down by hand."""
    stage = crowded()
    _, placed, _ = stage.rest("POST", "order", symbol=SYMBOL, side="BUY", **ORDERS["filled"])
    _, said, _ = stage.rest("GET", "order", symbol=SYMBOL, orderId=placed["orderId"])
    row = from_fold(said)
    assert PLACED.keys() - placed_row(seen_order(row), [], "FULL", 1).keys() == set()
    changed = BotOrderChanged(bot="ft", row=row, exec_type=ExecType.NEW)
    assert BASE.keys() - user_event(report_of(changed, 1)).keys() <= {"v"}


def test_a_refused_order_is_a_rejected_row_without_an_id_of_the_venue() -> None:
    row = BotOrderRow(
        bot="ft", client_order_id="x-1", own_id=ClientOrderId("st"), instrument_id=BTC,
        venue_order_id=None, side=Side.BUY, order_type=OrderType.MARKET, time_in_force=None,
        status=VenueOrderStatus.REJECTED, qty=Decimal(1), price=None, stop_price=None,
        reason="why",
    )  # fmt: skip
    told = user_event(report_of(BotOrderChanged(bot="ft", row=row, exec_type=ExecType.REJECTED), 3))
    assert (told["i"], told["X"], told["r"], told["c"], told["C"]) == (
        -1, "REJECTED", "why", "x-1", ""
    )  # fmt: skip


def test_balances() -> None:
    rows = [
        Balance("USDT", Decimal("500.5"), Decimal("0.00000001")),
        Balance("BTC", Decimal(0), Decimal(0)),
    ]
    event = plain(user_event(position_of("ft", rows, 5 * MS)))
    assert event == {
        "e": "outboundAccountPosition", "E": 5, "u": 5,
        "B": [
            {"a": "USDT", "f": "500.50000000", "l": "0.00000001"},
            {"a": "BTC", "f": "0.00000000", "l": "0.00000000"},
        ],
    }  # fmt: skip
    account = account_row(
        seen_balances(rows), maker_ppm=1000, taker_ppm=1000, can_trade=True, updated_ns=5 * MS,
        uid=0, omit_zero=True,
    )  # fmt: skip
    assert account["balances"] == [
        {"asset": "USDT", "free": "500.50000000", "locked": "0.00000001"}
    ]
    assert account["commissionRates"] == {
        "maker": "0.00100000", "taker": "0.00100000", "buyer": "0.00000000",
        "seller": "0.00000000",
    }  # fmt: skip
