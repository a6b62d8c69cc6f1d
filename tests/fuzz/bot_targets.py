"""What faces a bot, for the fuzzers: bytes of REST and of the WebSocket API, down to a wish.

Some targets sign what they are given, so that the search gets past the signature; others do not.
A refusal is one of the venue's own errors, which can be written down; a wish makes sense.
"""

from collections.abc import Callable
from decimal import Decimal

import orjson

from daemon.venues.binance_spot.serving import rest_requests, ws_frames
from daemon.venues.binance_spot.serving.authentication import check_signature, check_time
from daemon.venues.binance_spot.serving.call_table import ENDPOINTS, ROUTES, CallKind
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.list_forms import LIST_CALLS, parse_list
from daemon.venues.binance_spot.serving.parameters import check_parameters
from daemon.venues.binance_spot.serving.params import Params, from_form
from daemon.venues.binance_spot.serving.shown_exchange_info import cut
from daemon.venues.binance_spot.serving.stream_control import (
    STREAMS_MAX,
    StreamSession,
    control,
    open_streams,
)
from tests.support.served_wishes import (
    ED_NAME,
    HMAC_NAME,
    KEYS,
    NOW_MS,
    NOW_NS,
    hmac_of,
    rest_wish,
    signed_frame,
    signed_query,
    ws_wish,
)

Read = Callable[[bytes], object]
_KINDS = {CallKind.PLACE, CallKind.CANCEL}
ORDER_ROUTES = sorted(
    route
    for route, endpoint in ROUTES.items()
    if endpoint.kind in _KINDS or endpoint.name == "order.test"
)
ORDER_CALLS = sorted({ROUTES[route].name for route in ORDER_ROUTES})
_CONTROLS = ("session.logon", "session.status", "session.logout", "userDataStream.subscribe")
_SYMBOLS = frozenset({"BTCUSDT", "ETHUSDT"})
_DOCUMENT = {"timezone": "UTC", "symbols": [{"symbol": "BTCUSDT", "status": "TRADING"}]}


def _judged(work: Callable[[], object]) -> object:
    """Run it; a refusal has a code and a status of the venue's, and can be told."""
    try:
        found = work()
    except DialectError as error:
        _check_refusal(error)
        raise
    _check_wish(found)
    return found


def _check_refusal(refused: DialectError) -> None:
    assert refused.code < 0
    assert 400 <= refused.status < 500
    body, _ = rest_requests.refusal(refused, NOW_NS)
    assert orjson.loads(body)["code"] == refused.code


def _check_wish(wish: object) -> None:
    for name in ("place", "cancel"):
        if hasattr(wish, name):
            _check_wish(getattr(wish, name))
    for name in wish.__struct_fields__ if hasattr(wish, "bot") else ():
        value = getattr(wish, name)
        if isinstance(value, Decimal):
            assert value.is_finite()
            assert value > 0
            assert len(format(value, "f")) <= 40
        elif name.endswith("client_order_id") and value is not None:
            assert len(value) <= 36 or name == "client_order_id"


def bot_rest(data: bytes) -> object:
    """First byte: the call; the rest: its parameters, which get a timestamp and a signature."""
    method, path = ORDER_ROUTES[data[0] % len(ORDER_ROUTES)] if data else ORDER_ROUTES[0]
    text = data[1:] + b"&timestamp=%d" % NOW_MS
    query = text + b"&signature=" + hmac_of(text).encode()
    return _judged(lambda: rest_wish(method, path.removeprefix("/api/v3/"), query))


def bot_rest_raw(data: bytes) -> object:
    """Query and body as they are, apart by a zero byte; nobody has signed them."""
    query, _, body = data.partition(b"\x00")
    parsed = from_form(query, body)
    key = parsed.text("key", HMAC_NAME)
    _judged(lambda: check_parameters("order.place", parsed, signed=True, is_rest=True))
    return _judged(lambda: rest_wish("POST", "order", query, body, key))


def bot_ws(data: bytes) -> object:
    """One frame as it is."""
    return _judged(lambda: _known_call(ws_frames.decode_request(data), data))


def _known_call(request: ws_frames.ApiRequest, data: bytes) -> object:
    if request.method in ORDER_CALLS:
        return ws_wish(data)
    session = ws_frames.ApiSession(connected_ns=NOW_NS)
    clocks = {"judge_ns": NOW_NS, "clock_ns": NOW_NS}
    try:
        result = ws_frames.control(KEYS, session, request, **clocks)
    except DialectError as error:
        answer: object = error
    else:
        answer = result.result
    frame = ws_frames.answer_frame(session, request, answer, NOW_NS, list)
    assert orjson.loads(frame)["id"] == request.request_id
    return frame


def bot_ws_signed(data: bytes) -> object:
    """First byte: the call; the rest: a JSON object of parameters, which is signed."""
    name = ORDER_CALLS[data[0] % len(ORDER_CALLS)] if data else ORDER_CALLS[0]

    def work() -> object:
        text = b'{"method":"x","params":' + (data[1:] or b"{}") + b"}"
        values = ws_frames.decode_request(text).params.values
        for added in ("apiKey", "timestamp", "signature"):
            values.pop(added, None)
        return ws_wish(signed_frame(name, dict(values), HMAC_NAME))

    return _judged(work)


def bot_lists(data: bytes) -> object:
    """First byte: the call; the rest: the parameters of an order list."""
    name = LIST_CALLS[data[0] % len(LIST_CALLS)] if data else LIST_CALLS[0]

    def work() -> object:
        params = from_form(data[1:])
        check_parameters(name, params, signed=ENDPOINTS[name].signed, is_rest=True)
        return parse_list(name, params)

    return _judged(work)


def bot_signature(data: bytes) -> object:
    """A signature, a timestamp and a window, apart by zero bytes; Ed25519 and HMAC."""
    signature, _, rest_of = data.partition(b"\x00")
    timestamp, _, window = rest_of.partition(b"\x00")
    texts = [one.decode("utf-8", "replace") for one in (signature, timestamp, window)]

    def work() -> object:
        for key in (HMAC_NAME, ED_NAME):
            try:
                check_signature(KEYS[key], b"payload", texts[0])
            except DialectError as error:
                _check_refusal(error)
        check_time(Params({"timestamp": texts[1], "recvWindow": texts[2]}), NOW_NS)
        return None

    return _judged(work)


def bot_streams(data: bytes) -> object:
    """One control frame of the market streams, and the same bytes as the names of a URL."""
    session = StreamSession(combined=True)
    open_streams(session, data.decode("utf-8", "replace").split("/"), _SYMBOLS)
    reply = control(session, data, _SYMBOLS)
    assert orjson.loads(reply.frame).keys() <= {"result", "error", "id"}
    assert len(session.names) <= STREAMS_MAX
    return reply


def bot_exchange_info(data: bytes) -> object:
    """The parameters with which a bot asks for exchangeInfo."""
    return _judged(lambda: cut(_DOCUMENT, from_form(data), _SYMBOLS, [], clock_ms=1))


_ORDER = b"symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price=59000"
_REST_SEEDS = (
    _ORDER + b"&newClientOrderId=x-1&strategyId=5",
    b"symbol=BTCUSDT&side=SELL&type=MARKET&quoteOrderQty=25.5",
    b"symbol=BTCUSDT&side=SELL&type=STOP_LOSS&quantity=1&trailingDelta=100",
    b"symbol=BTCUSDT&orderId=1&newQty=0.5&newClientOrderId=a",
    b"symbol=BTCUSDT",
    _ORDER + b"&cancelReplaceMode=ALLOW_FAILURE&cancelOrigClientOrderId=old",
)
_JSON_SEEDS = tuple(orjson.dumps(from_form(text).values) for text in _REST_SEEDS)
_LIST_SEED = (
    b"symbol=BTCUSDT&side=SELL&quantity=1&aboveType=LIMIT_MAKER&abovePrice=61000&"
    b"belowType=STOP_LOSS&belowStopPrice=59000"
)
_CONTROL_SEEDS = (
    b'{"id":1,"method":"SUBSCRIBE","params":["btcusdt@trade","ethusdt@kline_1m"]}',
    b'{"id":"a","method":"SET_PROPERTY","params":["combined",true]}',
    b"btcusdt@depth@100ms/ethusdt@bookTicker",
)


def _numbered(count: int, texts: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(bytes([number]) + text for number in range(count) for text in texts)


BOT_TARGETS: dict[str, tuple[Read, tuple[bytes, ...]]] = {
    "bot-rest": (bot_rest, _numbered(len(ORDER_ROUTES), _REST_SEEDS)),
    "bot-rest-raw": (bot_rest_raw, (signed_query(dict(from_form(_ORDER).values)),)),
    "bot-ws": (
        bot_ws,
        (
            *(signed_frame("order.place", orjson.loads(text)) for text in _JSON_SEEDS),
            *(signed_frame(name, {}, ED_NAME) for name in _CONTROLS),
        ),
    ),
    "bot-ws-signed": (bot_ws_signed, _numbered(len(ORDER_CALLS), _JSON_SEEDS)),
    "bot-lists": (bot_lists, _numbered(len(LIST_CALLS), (_LIST_SEED, _ORDER))),
    "bot-signature": (bot_signature, (b"ab\x00%d\x005000" % NOW_MS, b"QUJD\x001\x000.5")),
    "bot-streams": (bot_streams, _CONTROL_SEEDS),
    "bot-exchange-info": (bot_exchange_info, (b"symbol=BTCUSDT", b"symbols=%5B%22BTCUSDT%22%5D")),
}
"""Name -> reader and what it is fed first."""
