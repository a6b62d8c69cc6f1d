"""Documented payloads to reports: the traps of binance-spot.md §5, §11, §13."""

from decimal import Decimal
from typing import Any

import orjson
import pytest

from daemon.errors import Undecodable
from daemon.model.enums import (
    ExecType,
    LiquidityFlag,
    ReportSource,
    Side,
    VenueOrderStatus,
)
from daemon.model.ids import ClientOrderId, request_id, stem_of
from daemon.model.reports import ExecutionReport
from daemon.venues.binance_spot.codec_rest import decode_account, decode_orders, decode_trades
from daemon.venues.binance_spot.codec_stop import SpotStopCodec
from daemon.venues.binance_spot.codec_ws import UnknownEvent, decode_frame, order_result
from daemon.venues.binance_spot.order_rows import SpotRowReader, balances_of
from daemon.venues.binance_spot.request_signing import HmacSigner
from daemon.venues.binance_spot.spot_rows import decode_canceled, decode_order
from daemon.venues.binance_spot.user_data import (
    AccountEvent,
    OrderEvent,
    ShutdownEvent,
    TerminatedEvent,
    balances_in,
    report_of,
)
from daemon.venues.contract import SocketNotice, WsReply
from daemon.venues.faults import Outcome
from daemon.venues.own_ids import OwnIds, SymbolNames
from tests.support.spot_payloads import BASE, OWN, PLACED, TRADE


class Wire:
    """Reads events as one connection would."""

    def __init__(self) -> None:
        self.ids = OwnIds()
        self.names = SymbolNames("sim", ["BTCUSDT"])
        self.rows = SpotRowReader(self.names, self.ids)

    def event(self, **changes: Any) -> ExecutionReport:
        frame = orjson.dumps({"subscriptionId": 0, "event": {**BASE, **changes}})
        message = decode_frame(frame)
        assert isinstance(message, OrderEvent)
        return report_of(message, self.names, self.ids, 5)


def test_a_trade_event_becomes_a_report_with_one_fill() -> None:
    report = Wire().event(**TRADE)
    assert report.exec_type is ExecType.TRADE
    assert report.venue_status is VenueOrderStatus.PARTIALLY_FILLED
    assert report.source is ReportSource.STREAM
    assert (report.qty, report.cum_qty) == (Decimal("0.5"), Decimal("0.2"))
    (fill,) = report.fills
    assert fill.exec_id == "BTCUSDT:901:77"
    assert (fill.qty, fill.price, fill.fee) == (
        Decimal("0.2"),
        Decimal("49999.9"),
        Decimal("0.00002"),
    )
    assert (fill.fee_asset, fill.liquidity) == ("BTC", LiquidityFlag.TAKER)
    assert fill.ts_venue_ns == 1_700_000_000_100_000_000
    assert fill.ts_recv_ns == 5


def test_on_canceled_the_small_c_is_the_cancels_id() -> None:
    report = Wire().event(x="CANCELED", X="CANCELED", c="the-cancels-id", C=OWN)
    assert report.client_order_id == OWN
    assert report.venue_status is VenueOrderStatus.CANCELED


def test_a_late_fill_after_a_cancel_keeps_the_orders_own_id() -> None:
    wire = Wire()
    wire.event()
    wire.event(x="CANCELED", X="CANCELED", c="the-cancels-id", C=OWN)
    late = wire.event(**{**TRADE, "c": "the-cancels-id"})
    assert late.client_order_id == OWN
    assert late.fills[0].client_order_id == OWN


def test_an_amended_order_keeps_its_own_id() -> None:
    wire = Wire()
    wire.event()
    report = wire.event(x="REPLACED", X="NEW", c="random-by-the-venue", C=OWN, q="0.40000000")
    assert report.client_order_id == OWN
    assert report.exec_type is ExecType.REPLACED
    assert wire.event(**{**TRADE, "c": "random-by-the-venue"}).client_order_id == OWN


def test_after_a_wipe_a_reused_venue_id_belongs_to_the_new_order() -> None:
    wire = Wire()
    wire.event()
    assert wire.event(c="stabc123-2-1").client_order_id == "stabc123-2-1"
    assert wire.event(**{**TRADE, "c": "stabc123-2-1"}).client_order_id == "stabc123-2-1"


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        (
            {"x": "EXPIRED", "X": "EXPIRED", "eR": "UNFILLED_IOC_QUANTITY_EXPIRED"},
            VenueOrderStatus.EXPIRED,
            "UNFILLED_IOC_QUANTITY_EXPIRED",
        ),
        ({"x": "TRADE_PREVENTION", "X": "EXPIRED_IN_MATCH"}, VenueOrderStatus.EXPIRED, ""),
        (
            {"x": "REJECTED", "X": "REJECTED", "r": "INSUFFICIENT_BALANCES"},
            VenueOrderStatus.REJECTED,
            "INSUFFICIENT_BALANCES",
        ),
        ({"X": "PENDING_NEW"}, VenueOrderStatus.NEW, ""),
        ({"X": "SOMETHING_NEW"}, VenueOrderStatus.UNRECOGNISED, ""),
    ],
)
def test_states_and_reasons(changes: dict[str, Any], status: VenueOrderStatus, reason: str) -> None:
    report = Wire().event(**changes)
    assert (report.venue_status, report.reason) == (status, reason)
    assert report.fills == ()


def test_an_expired_order_may_have_been_executed() -> None:
    report = Wire().event(x="EXPIRED", X="EXPIRED", z="0.30000000")
    assert report.cum_qty == Decimal("0.3")


@pytest.mark.parametrize(
    "changes",
    [
        {"q": "NaN"},
        {"q": "1e9"},
        {"p": "-5"},
        {"l": "", "x": "TRADE"},
        {"S": "HOLD"},
        {"s": "A@B"},
        {"q": "9" * 99},
        {"z": "Infinity"},
        {"L": "1_000", "x": "TRADE"},
        {"q": "٣"},
    ],
)
def test_bad_amounts_are_undecodable(changes: dict[str, Any]) -> None:
    with pytest.raises(Undecodable):
        Wire().event(**changes)


def test_balances_are_absolute() -> None:
    frame = orjson.dumps(
        {
            "subscriptionId": 0,
            "event": {
                "e": "outboundAccountPosition",
                "E": 2,
                "u": 1,
                "B": [{"a": "BTC", "f": "1.00000000", "l": "0.50000000"}],
            },
        }
    )
    message = decode_frame(frame)
    assert isinstance(message, AccountEvent)
    (balance,) = balances_in(message)
    assert (balance.asset, balance.free, balance.locked) == ("BTC", Decimal(1), Decimal("0.5"))


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"e": "eventStreamTerminated", "E": 1}, TerminatedEvent),
        ({"e": "serverShutdown", "E": 1}, ShutdownEvent),
        ({"e": "somethingNew", "E": 1}, UnknownEvent),
    ],
)
def test_other_events(event: dict[str, Any], kind: type) -> None:
    assert isinstance(decode_frame(orjson.dumps({"event": event})), kind)


@pytest.mark.parametrize(
    "event", [{**BASE, "q": 5}, {"e": "executionReport"}, {**BASE, "i": "x"}, {"e": ""}, {}, []]
)
def test_a_known_event_that_cannot_be_read_is_an_error(event: Any) -> None:
    with pytest.raises(Undecodable):
        decode_frame(orjson.dumps({"event": event}))


# -------------------------------------------------------------------- replies
def test_a_reply_and_the_stream_name_a_fill_alike() -> None:
    wire = Wire()
    reply = decode_frame(orjson.dumps({"id": "1", "status": 200, "result": PLACED}))
    assert isinstance(reply, WsReply)
    by_reply = wire.rows.placed(order_result(reply), 9)
    by_stream = wire.event(**{**TRADE, "X": "FILLED", "l": "0.50000000", "z": "0.50000000"})
    assert by_reply.fills[0].exec_id == by_stream.fills[0].exec_id
    assert by_reply.fills[0].qty == by_stream.fills[0].qty
    assert by_reply.source is ReportSource.REPLY
    assert by_reply.venue_status is VenueOrderStatus.FILLED
    assert by_reply.cum_quote == Decimal("24999.95")


def test_a_cancel_reply_names_the_order_not_the_cancel() -> None:
    row = {**PLACED, "origClientOrderId": OWN, "clientOrderId": "the-cancel", "status": "CANCELED"}
    row.pop("fills")
    report = Wire().rows.canceled(decode_order(orjson.dumps(row)), 1)
    assert report.client_order_id == OWN
    assert report.exec_type is ExecType.CANCELED
    assert report.cum_qty == Decimal("0.5")


def test_cancel_all_may_hold_order_lists() -> None:
    one = {**PLACED, "origClientOrderId": OWN, "clientOrderId": "x", "status": "CANCELED"}
    listed = {"orderListId": 5, "contingencyType": "OCO", "orders": [], "orderReports": []}
    assert [row.order_id for row in decode_canceled(orjson.dumps([one, listed]))] == [77]
    with pytest.raises(Undecodable):
        decode_canceled(orjson.dumps([{"neither": 1}]))


def test_an_acknowledgement_alone_is_no_trusted_answer() -> None:
    ack = {
        k: PLACED[k] for k in ("symbol", "orderId", "orderListId", "clientOrderId", "transactTime")
    }
    with pytest.raises(Undecodable):
        decode_order(orjson.dumps(ack))


def test_quote_of_old_orders_is_not_available() -> None:
    row = {**PLACED, "cummulativeQuoteQty": "-1.00000000"}
    report = Wire().rows.queried(decode_order(orjson.dumps(row)), 1)
    assert report.cum_quote == 0


def test_a_trade_of_history_is_a_recovered_fill() -> None:
    body = orjson.dumps(
        [
            {
                "symbol": "BTCUSDT",
                "id": 28457,
                "orderId": 77,
                "orderListId": -1,
                "price": "4.00000100",
                "qty": "12.00000000",
                "quoteQty": "48.000012",
                "commission": "10.10000000",
                "commissionAsset": "BNB",
                "time": 1499865549590,
                "isBuyer": False,
                "isMaker": True,
                "isBestMatch": True,
            }
        ]
    )
    (row,) = decode_trades(body)
    fill = Wire().rows.trade(row, OWN, 3)  # type: ignore[arg-type] # a plain id is enough here
    assert (fill.exec_id, fill.side, fill.liquidity) == (
        "BTCUSDT:28457:77",
        Side.SELL,
        LiquidityFlag.MAKER,
    )
    assert fill.recovered is True
    assert fill.fee_asset == "BNB"


def test_account_flags_and_balances() -> None:
    body = orjson.dumps(
        {
            "makerCommission": 15,
            "canTrade": True,
            "canWithdraw": True,
            "canDeposit": True,
            "updateTime": 123456789,
            "accountType": "SPOT",
            "balances": [{"asset": "BTC", "free": "4.1", "locked": "0.0"}],
            "permissions": ["SPOT"],
            "uid": 354937868,
        }
    )
    account = decode_account(body)
    assert account.can_withdraw is True
    assert balances_of(account.balances)[0].free == Decimal("4.1")


def test_open_orders_keep_foreign_ids() -> None:
    rows = decode_orders(orjson.dumps([{**PLACED, "clientOrderId": "web_abc"}]))
    assert Wire().rows.queried(rows[0], 1).client_order_id == "web_abc"


# -------------------------------------------------------------------- WS errors
def test_an_error_reply_carries_its_fault() -> None:
    frame = {
        "id": "9",
        "status": 418,
        "error": {
            "code": -1003,
            "msg": "banned",
            "data": {"serverTime": 1659142907531, "retryAfter": 1659146400000},
        },
    }
    reply = decode_frame(orjson.dumps(frame))
    assert isinstance(reply, WsReply)
    assert reply.fault is not None
    assert reply.fault.outcome is Outcome.LIMITED
    assert reply.fault.retry_at_ms == 1659146400000


def test_an_error_status_without_a_body_is_unknown() -> None:
    reply = decode_frame(b'{"id":"9","status":503}')
    assert isinstance(reply, WsReply)
    assert reply.fault is not None
    assert reply.fault.outcome is Outcome.UNKNOWN


def test_a_revoked_session_has_no_id() -> None:
    frame = b'{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key"}}'
    reply = decode_frame(frame)
    assert isinstance(reply, WsReply)
    assert reply.request_id == ""
    assert reply.fault is not None
    assert reply.fault.outcome is Outcome.KEY


@pytest.mark.parametrize(
    "frame",
    [
        (
            b'{"id":"7","status":200,"result":[{"symbol":"A"}],"rateLimits":[{"rateLimitType":'
            b'"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000,"count":80}]}'
        ),
        b'{"id":7,"status":400,"error":{"code":-2011,"msg":"Unknown order sent."}}',
        (
            b'{"id":"7","status":429,"error":{"code":-1003,"msg":"x","data":{"retryAfter":'
            b"1659146400000}}}"
        ),
        b'{"id":"9","status":503}',
        b'{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key"}}',
    ],
)
def test_a_stop_reads_replies_as_the_order_connection_does(frame: bytes) -> None:
    codec = SpotStopCodec(api_key="k", signer=HmacSigner(b"s"), recv_window_ms=5)
    assert codec.decode(frame, 1) == decode_frame(frame)


def test_a_stop_passes_over_every_event_and_takes_garbage_for_garbage() -> None:
    codec = SpotStopCodec(api_key="k", signer=HmacSigner(b"s"), recv_window_ms=5)
    for event in (b'{"e":"serverShutdown","E":1}', b'{"e":"executionReport","i":"odd"}', b"7"):
        assert isinstance(codec.decode(b'{"event":%s}' % event, 1), SocketNotice)
    for garbage in (b"{}", b'{"event":null}', b"<html>", b'{"id":"1","status":"200"}', b"\xff"):
        with pytest.raises(Undecodable):
            codec.decode(garbage, 1)


def test_an_id_that_the_venue_forgot_is_forgotten() -> None:
    ids = OwnIds()
    ids.learn("BTCUSDT", 7, "c7")
    ids.forget("BTCUSDT", "x")
    assert ids.get("BTCUSDT", 7) == "c7"
    ids.forget("BTCUSDT", "7")
    assert ids.get("BTCUSDT", 7) is None


def test_ids_are_forgotten_oldest_first() -> None:
    ids = OwnIds(limit=2)
    for number in range(3):
        ids.learn("BTCUSDT", number, f"c{number}")
    assert len(ids) == 2
    assert ids.get("BTCUSDT", 0) is None
    assert ids.get("BTCUSDT", 2) == "c2"


ORDER_ID = ClientOrderId("stabc123o001k3x0000c1w3f0p9qk2m5v7xz")
AMEND_ID, CANCEL_ID, STOP_ID = (
    request_id(kind, ORDER_ID, "5d8e2h1rl4n6t0ya") or "" for kind in ("a", "c", "k")
)


def test_a_row_that_a_request_renamed_is_the_orders_own_where_the_books_know_it() -> None:
    ids = OwnIds()
    ids.known = {stem_of(ORDER_ID): ORDER_ID}.get
    for number, shown in enumerate((AMEND_ID, CANCEL_ID, STOP_ID, ORDER_ID)):
        assert ids.resolve("BTCUSDT", number, shown) == ORDER_ID
    unknown = request_id("c", "stabc123o001k3x0000d", "5d8e2h1rl4n6t0ya") or ""
    assert ids.resolve("BTCUSDT", 9, unknown) == "stabc123o001k3x0000d", "named by what is known"


def test_an_amended_order_that_is_canceled_keeps_its_own_id() -> None:
    """The event of the cancel calls the amend's id the original one."""
    wire = Wire()
    wire.event(c=ORDER_ID)
    amended = wire.event(x="REPLACED", X="NEW", c=AMEND_ID, C=ORDER_ID, q="0.40000000")
    assert amended.client_order_id == ORDER_ID
    canceled = wire.event(x="CANCELED", X="CANCELED", c=CANCEL_ID, C=AMEND_ID)
    assert canceled.client_order_id == ORDER_ID
    fresh = Wire()
    fresh.ids.known = {stem_of(ORDER_ID): ORDER_ID}.get
    after_a_restart = fresh.event(x="CANCELED", X="CANCELED", c=CANCEL_ID, C=AMEND_ID)
    assert after_a_restart.client_order_id == ORDER_ID
