"""Every reader of bytes from outside, by name: what the fuzzers drive.

A target takes any bytes and returns; `REFUSALS` are the only exceptions that it may raise. Anything
else, or a hang, is a finding. The adapter's decoders come first, then the simulated venue's
calls, what faces a bot, the control protocol and the accountant's journal.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import orjson

from control.protocol import ErrorReply as ControlFault
from control.protocol import LineSplitter, parse_request
from daemon.errors import SeatrialError
from daemon.venues.binance_spot import codec_rest, replace_reply, spot_rows
from daemon.venues.binance_spot.codec_stream import StreamReader
from daemon.venues.binance_spot.codec_ws import decode_frame, order_result
from daemon.venues.binance_spot.depth import DepthBook, decode_snapshot
from daemon.venues.binance_spot.order_rows import SpotRowReader, balances_of
from daemon.venues.binance_spot.serving.call_table import ROUTES
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.rest_requests import RestRequest
from daemon.venues.binance_spot.serving.stream_control import StreamSession
from daemon.venues.binance_spot.user_data import AccountEvent, OrderEvent, balances_in, report_of
from daemon.venues.contract import WsReply
from daemon.venues.own_ids import OwnIds, SymbolNames
from daemon.venues.sim.dialect import sim_rest, sim_ws
from daemon.venues.sim.dialect.streams import StreamHub
from daemon.venues.sim.fault_rules import FaultScriptError, rules_of
from evidence.read.journal_reader import JournalReader
from tests.fuzz.bot_targets import BOT_TARGETS
from tests.support.adapters import decode_exchange
from tests.support.sim_stage import MS, Stage
from tests.support.spot_payloads import BASE, PLACED, TRADE

Read = Callable[[bytes], object]
REFUSALS = (SeatrialError, ControlFault, FaultScriptError, DialectError)
RECORDED = Path(__file__).resolve().parents[3] / "shared" / "data" / "binance-spot"
STAGE_CALLS = 400
"""A simulated venue begins anew after so many requests: its books must not slow the search."""

_NAMES = SymbolNames("sim", ["BTCUSDT", "NKNUSDT", "BLZETH", "LRCBTC", "RUNEEUR"])
_ROWS = SpotRowReader(_NAMES, OwnIds(limit=1_000))
_STREAM = StreamReader(_NAMES)
_TRADE_ROW = {
    "symbol": "BTCUSDT", "id": 1, "orderId": 1, "price": "1", "qty": "1", "commission": "0",
    "time": 1, "isBuyer": True, "isMaker": True, "commissionAsset": "BTC",
}  # fmt: skip
_SYMBOL_ROW = {
    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
    "orderTypes": ["LIMIT"],
    "filters": [{"filterType": "LOT_SIZE", "minQty": "0.1", "maxQty": "9", "stepSize": "0.1"}],
}  # fmt: skip
SEEDS: list[bytes] = [
    orjson.dumps(value)
    for value in (
        {"subscriptionId": 0, "event": {**BASE, **TRADE}},
        {"subscriptionId": 0, "event": {**BASE, "x": "REPLACED", "C": "old", "c": "new"}},
        {"subscriptionId": 0, "event": {"e": "outboundAccountPosition", "E": 1, "u": 1,
                                        "B": [{"a": "BTC", "f": "1", "l": "0"}]}},
        {"subscriptionId": 0, "event": {"e": "listStatus", "E": 1, "s": "BTCUSDT", "g": 1,
                                        "c": "OCO", "l": "EXEC_STARTED", "L": "EXECUTING",
                                        "r": "NONE", "C": "x", "T": 1,
                                        "O": [{"s": "BTCUSDT", "i": 1, "c": "y"}]}},
        {"event": {"e": "serverShutdown", "E": 1}},
        {"id": "1", "status": 200, "result": PLACED, "rateLimits": [
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 50,
             "count": 1}]},
        {"id": "1", "status": 418, "error": {"code": -1003, "msg": "x", "data": {"retryAfter": 1}}},
        {"stream": "a@bookTicker", "data": {"u": 1, "s": "BTCUSDT", "b": "1", "B": "1", "a": "2",
                                            "A": "1"}},
        {"stream": "a@trade", "data": {"e": "trade", "E": 1, "s": "BTCUSDT", "t": 1, "p": "1",
                                       "q": "1", "T": 1, "m": True}},
        {"stream": "a@depth", "data": {"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": 1, "u": 2,
                                       "b": [["1", "2"]], "a": [["3", "0"]]}},
        {"lastUpdateId": 1, "bids": [["1", "2"]], "asks": [["3", "4"]]},
        {"serverTime": 1, "rateLimits": [], "symbols": [_SYMBOL_ROW]},
        {"code": -2021, "msg": "x", "data": {"cancelResult": "SUCCESS",
                                             "newOrderResult": "FAILURE",
                                             "cancelResponse": PLACED,
                                             "newOrderResponse": {"code": -2010, "msg": "x"}}},
        PLACED,
        {"cancelResult": "SUCCESS", "newOrderResult": "SUCCESS", "cancelResponse": PLACED,
         "newOrderResponse": PLACED},
        [PLACED],
        [{"contingencyType": "OCO", "orderListId": 1, "orders": []}, PLACED],
        [_TRADE_ROW],
        {"balances": [{"asset": "BTC", "free": "1", "locked": "0"}], "canTrade": True},
    )
]  # fmt: skip
"""Documented payloads of the venue, in our own words."""
_ORDER_TEXT = (
    b"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=59000",
    (
        b"symbol=BTCUSDT&side=SELL&type=STOP_LOSS_LIMIT&timeInForce=GTC&quantity=0.01&price=59000&"
        b"stopPrice=59500&icebergQty=0.001"
    ),
    (
        b"symbol=BTCUSDT&cancelReplaceMode=STOP_ON_FAILURE&cancelOrderId=1&side=BUY&type=MARKET&"
        b"quoteOrderQty=100"
    ),
    b"symbols=%5B%22BTCUSDT%22%5D&limit=5&windowSize=1h&interval=1m&startTime=1&orderId=1&fromId=1",
)
_HEARTBEAT_LINE = (
    b'{"seq":1,"ts":"2026-01-01T00:00:00Z","ts_ns":1,"schema":1,"run_id":"a","session_id":"",'
    b'"mode":"sim","exchange":"sim","event_type":"heartbeat","level":"info","is_error":false,'
    b'"is_anomaly":false,"trading_state":"ACTIVE","gate_state":"READY","open_orders":0,'
    b'"unknown_orders":0,"queue_age_ms":0,"period_ms":1000,"prev":""}\n'
)


@dataclass(frozen=True, slots=True)
class Target:
    """One reader and what it is fed first."""

    read: Read
    seeds: tuple[bytes, ...]


def read_user_frame(payload: bytes) -> object:
    """One frame of the WebSocket API, down to the report or the balances in it."""
    message = decode_frame(payload)
    if isinstance(message, OrderEvent):
        return report_of(message, _NAMES, _ROWS.ids, 1)
    if isinstance(message, AccountEvent):
        return balances_in(message)
    if isinstance(message, WsReply) and message.fault is None:
        return _ROWS.placed(order_result(message), 1)
    return message


def _replace_failure(body: bytes) -> object:
    fault = codec_rest.decode_error(409, body)
    data: Any = codec_rest.error_data(body) if fault.code != 0 else None
    return replace_reply.decode_failure(fault, data)


DECODERS: dict[str, Read] = {
    "user-frame": read_user_frame,
    "market-frame": lambda body: _STREAM.read(body, 1),
    "time": spot_rows.decode_time_ms,
    "order": lambda body: _ROWS.placed(spot_rows.decode_order(body), 1),
    "orders": lambda body: [_ROWS.queried(row, 1) for row in codec_rest.decode_orders(body)],
    "canceled": lambda body: [_ROWS.canceled(row, 1) for row in spot_rows.decode_canceled(body)],
    "trades": lambda body: [
        _ROWS.trade(row, _ROWS.ids.learn("X", 1, "c"), 1) for row in codec_rest.decode_trades(body)
    ],
    "account": lambda body: balances_of(codec_rest.decode_account(body).balances),
    "exchange-info": lambda body: decode_exchange(body, _NAMES),
    "depth-snapshot": lambda body: DepthBook().on_snapshot(decode_snapshot(body)),
    "replace-success": replace_reply.decode_success,
    "replace-failure": _replace_failure,
    "error-body": lambda body: codec_rest.decode_error(400, body),
}
"""Every way in which the adapter reads bytes of a venue."""


class _SimDoor:
    """The simulated venue's roads, fed with a client's bytes."""

    def __init__(self) -> None:
        self._calls = 0
        self._stage = Stage()
        self._hub = StreamHub(self._stage.venue)

    def rest(self, data: bytes) -> object:
        """First byte: the endpoint; the rest: a signed query."""
        routes = sorted(ROUTES)
        method, path = routes[data[0] % len(routes)] if data else ("GET", "/nowhere")
        stage = self._fresh()
        text = data[1:] + b"&timestamp=%d" % (stage.now_ns // MS)
        signature = hmac.new(b"s", text, hashlib.sha256).hexdigest().encode()
        query = text + b"&signature=" + signature
        request = RestRequest(method, path, query, b"", "k")
        return sim_rest.handle(stage.exchange, request, stage.tick())

    def ws(self, data: bytes) -> object:
        """One frame as it is; and once more as the params of an order."""
        stage = self._fresh()
        return sim_ws.handle(stage.exchange, stage.session, data, stage.tick())

    def streams(self, data: bytes) -> object:
        """One control frame of the market streams."""
        self._fresh()
        session = StreamSession(combined=True)
        answer = self._hub.control(session, data)
        self._hub.close(session)
        return answer

    def _fresh(self) -> Stage:
        self._calls += 1
        if self._calls % STAGE_CALLS == 0:
            self._stage = Stage()
            self._hub = StreamHub(self._stage.venue)
        return self._stage


def _control_lines(data: bytes) -> object:
    splitter = LineSplitter(limit=8_192)
    splitter.feed(data)
    found = []
    while (line := splitter.next_line()) is not None:
        found.append(parse_request(line))
    return found


def _fault_script(data: bytes) -> object:
    try:
        script = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return rules_of(script)


class _BytesFile:
    name = "fuzzed.jsonl"

    def __init__(self, data: bytes) -> None:
        self._data = data

    def open(self, _mode: Literal["rb"] = "rb", _buffering: Literal[0] = 0) -> Any:
        return BytesIO(self._data)


def _journal(data: bytes) -> object:
    reader = JournalReader([_BytesFile(data)])
    return sum(1 for _ in reader.records())


def recorded_frames() -> list[bytes]:
    """Real frames of the venue, where the recording lies beside this checkout; else none."""
    path = RECORDED / "market.ws.txt"
    if not path.exists():
        return []
    found = (re.match(r"^[\d.]+: (\{.*\})$", line) for line in path.read_text().splitlines())
    return [match[1].encode() for match in found if match]


def recorded_bodies() -> list[bytes]:
    """Real REST bodies, cut to what a fuzzer can turn over quickly."""
    info = RECORDED / "exchangeInfo.json"
    return [orjson.dumps(orjson.loads(info.read_bytes()))] if info.exists() else []


def targets() -> dict[str, Target]:
    """All targets with their seeds."""
    door = _SimDoor()
    common = tuple(SEEDS)
    frames = tuple(recorded_frames()[::9])
    bodies = tuple(recorded_bodies())
    ws_calls = tuple(
        orjson.dumps({"id": 1, "method": method, "params": {"symbol": "BTCUSDT"}})
        for method in ("order.place", "depth", "session.status", "userDataStream.subscribe")
    )
    control = (b'{"jsonrpc":"2.0","id":1,"method":"status","params":{}}\n',)
    script = (b'[{"kind":"mute","rate":1,"from_ms":1,"purposes":["place"],"params":{"ms":1}}]',)
    journal = (_HEARTBEAT_LINE,)
    found = {name: Target(read, common + bodies) for name, read in DECODERS.items()}
    found["market-frame"] = Target(DECODERS["market-frame"], common + frames)
    orders = tuple(bytes([n]) + text for n in range(len(ROUTES)) for text in _ORDER_TEXT)
    found["sim-rest"] = Target(door.rest, orders)
    found["sim-ws"] = Target(door.ws, ws_calls)
    found["sim-streams"] = Target(
        door.streams, (b'{"id":1,"method":"SUBSCRIBE","params":["btcusdt@trade"]}',)
    )
    found["control-line"] = Target(_control_lines, control)
    found["fault-script"] = Target(_fault_script, script)
    found["journal-line"] = Target(_journal, journal)
    found |= {name: Target(read, seeds) for name, (read, seeds) in BOT_TARGETS.items()}
    return found
