"""Orders to parameters, on both roads: every order type, and what is refused before any byte."""

import hashlib
import hmac
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import orjson
import pytest

from daemon.errors import Unencodable
from daemon.model.bots import ReplaceMode
from daemon.model.copies import replace
from daemon.model.enums import OrderType, TimeInForce
from daemon.model.ids import ClientOrderId, VenueOrderId, instrument_id
from daemon.model.order_features import OrderExtras, PegPrice
from daemon.model.orders import NewOrder, OrderTerms
from daemon.venues.binance_spot.codec_rest import SpotRestEncoder
from daemon.venues.binance_spot.codec_stop import SpotStopCodec
from daemon.venues.binance_spot.request_params import amend_fields, place_fields, replace_fields
from daemon.venues.binance_spot.request_signing import HmacSigner, ws_signing_text
from daemon.venues.requests import Purpose
from tests.support.adapters import ws_codec
from tests.support.link_bench import cancel, order, replacement, smaller

SECRET = b"s3cr3t"
REST = SpotRestEncoder(api_key="KEY", signer=HmacSigner(SECRET), recv_window_ms=3000)
AT_MS = 1_700_000_000_123
CANCEL_ID = "stabc123c001k3x0000c1w3f0p9qk2m5v7xz"

SHAPES: dict[OrderType, tuple[dict[str, Any], dict[str, str]]] = {
    OrderType.LIMIT: (
        {},
        {"price": "50000.1", "timeInForce": "GTC", "quantity": "0.001"},
    ),
    OrderType.LIMIT_MAKER: ({"time_in_force": None}, {"price": "50000.1", "quantity": "0.001"}),
    OrderType.MARKET: ({"price": None}, {"quantity": "0.001"}),
    OrderType.STOP_LOSS: (
        {"price": None, "stop_price": Decimal(49000)},
        {"quantity": "0.001", "stopPrice": "49000"},
    ),
    OrderType.STOP_LOSS_LIMIT: (
        {"stop_price": Decimal("49000.50"), "time_in_force": TimeInForce.IOC},
        {"quantity": "0.001", "stopPrice": "49000.5", "price": "50000.1", "timeInForce": "IOC"},
    ),
    OrderType.TAKE_PROFIT: (
        {"price": None, "stop_price": Decimal(51000)},
        {"quantity": "0.001", "stopPrice": "51000"},
    ),
    OrderType.TAKE_PROFIT_LIMIT: (
        {"stop_price": Decimal(51000), "time_in_force": TimeInForce.FOK},
        {"quantity": "0.001", "stopPrice": "51000", "price": "50000.1", "timeInForce": "FOK"},
    ),
}


def test_every_type_that_the_venue_takes_is_encoded() -> None:
    assert set(SHAPES) == set(OrderType)


@pytest.mark.parametrize("kind", list(OrderType))
def test_rest_placement(kind: OrderType) -> None:
    changes, expected = SHAPES[kind]
    request = REST.place(order(order_type=kind, **changes), AT_MS)
    assert (request.method, request.body, request.purpose) == ("POST", b"", Purpose.PLACE)
    assert (request.weight, request.orders) == (1, 1)
    path, _, query = request.target.partition("?")
    assert path == "/api/v3/order"
    signed, _, signature = query.partition("&signature=")
    assert signature == hmac.new(SECRET, signed.encode(), hashlib.sha256).hexdigest()
    assert dict(parse_qsl(signed)) == {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": kind.value,
        "newClientOrderId": "stabc123-1-1",
        "newOrderRespType": "FULL",
        "recvWindow": "3000",
        "timestamp": str(AT_MS),
        **expected,
    }
    assert dict(request.headers) == {"X-MBX-APIKEY": "KEY"}


@pytest.mark.parametrize("kind", list(OrderType))
def test_both_roads_say_the_same(kind: OrderType) -> None:
    changes, _ = SHAPES[kind]
    made = order(order_type=kind, **changes)
    socket = ws_codec(api_key="KEY", signer=HmacSigner(SECRET), recv_window_ms=3000)
    call = orjson.loads(socket.place(made, "7", AT_MS).payload)
    assert (call["id"], call["method"]) == ("7", "order.place")
    params = call["params"]
    signature = params.pop("signature")
    text = ws_signing_text(params)
    assert signature == hmac.new(SECRET, text, hashlib.sha256).hexdigest()
    assert params.pop("apiKey") == "KEY"
    by_rest = dict(parse_qsl(REST.place(made, AT_MS).target.partition("?")[2]))
    by_rest.pop("signature")
    assert {name: str(value) for name, value in params.items()} == by_rest


@pytest.mark.parametrize("logged_on", [False, True])
@pytest.mark.parametrize("symbol", ["BTCUSDT", "这是测试币456", "100%S\\"])
@pytest.mark.parametrize("kind", list(OrderType))
def test_the_learnt_shape_says_what_the_general_path_says(
    kind: OrderType, symbol: str, logged_on: bool
) -> None:
    changes, _ = SHAPES[kind]
    socket = ws_codec(api_key="KEY", signer=HmacSigner(SECRET), recv_window_ms=3000)
    socket.logged_on = logged_on
    instrument = instrument_id(symbol, "sim")
    first = order("stabc123-1-1", order_type=kind, instrument_id=instrument, **changes)
    socket.place(first, "1", AT_MS)
    second = order(
        "stabc123-1-2",
        order_type=kind,
        instrument_id=instrument,
        **{**changes, "qty": Decimal("7.25")},
    )
    learnt = orjson.loads(socket.place(second, "2", AT_MS + 1).payload)
    general = orjson.loads(
        socket._request(
            "order.place",
            place_fields(second),
            "2",
            AT_MS + 1,
            weight=1,
            purpose=Purpose.PLACE,
        ).payload
    )
    assert learnt == general
    assert learnt["params"]["quantity"] == "7.25"


def test_a_learnt_shape_checks_each_order() -> None:
    socket = ws_codec(api_key="KEY", signer=HmacSigner(SECRET), recv_window_ms=3000)
    socket.place(order(), "1", AT_MS)
    for changes in ({"price": None}, {"stop_price": Decimal(1)}):
        with pytest.raises(Unencodable):
            socket.place(order(**changes), "2", AT_MS)
    for qty in ("0", "0.00", "-1", "NaN", "Infinity"):
        with pytest.raises(Unencodable):
            socket.place(order(qty=Decimal(qty)), "2", AT_MS)
    for name in ('a"b', "a b", "", "a" * 37):
        with pytest.raises(Unencodable):
            socket.place(order(name), "2", AT_MS)


@pytest.mark.parametrize(
    ("qty", "told"),
    [("1E+1", "10"), ("0.1000", "0.1"), ("100", "100"), ("10.0", "10"), ("1E-7", "0.0000001")],
)
def test_a_learnt_shape_writes_amounts_as_the_general_path_does(qty: str, told: str) -> None:
    socket = ws_codec(api_key="KEY", signer=HmacSigner(SECRET), recv_window_ms=3000)
    socket.place(order(), "1", AT_MS)
    made = order(qty=Decimal(qty))
    assert place_fields(made)["quantity"] == told
    assert orjson.loads(socket.place(made, "2", AT_MS).payload)["params"]["quantity"] == told


def test_after_logon_key_and_signature_are_left_out_but_not_the_time() -> None:
    socket = ws_codec(api_key="KEY", signer=HmacSigner(SECRET), recv_window_ms=3000)
    socket.logged_on = True
    params = orjson.loads(socket.place(order(), "1", AT_MS).payload)["params"]
    assert "apiKey" not in params
    assert "signature" not in params
    assert params["timestamp"] == AT_MS


@pytest.mark.parametrize(
    "changes",
    [
        {"price": None},
        {"price": Decimal(0)},
        {"price": Decimal(-1)},
        {"price": Decimal("NaN")},
        {"qty": Decimal(0)},
        {"qty": Decimal("Infinity")},
        {"time_in_force": None},
        {"stop_price": Decimal(1)},
        {"order_type": OrderType.MARKET},
        {"order_type": OrderType.STOP_LOSS, "price": None},
        {"order_type": OrderType.STOP_LOSS_LIMIT},
        {"client_order_id": ClientOrderId("")},
        {"client_order_id": ClientOrderId("a" * 37)},
        {"client_order_id": ClientOrderId("a b")},
        {"client_order_id": ClientOrderId("ä")},
    ],
)
def test_what_the_type_does_not_take_never_leaves(changes: dict[str, Any]) -> None:
    with pytest.raises(Unencodable):
        place_fields(order(**changes))


def test_amounts_are_plain_text() -> None:
    fields = place_fields(order(qty=Decimal("1E-8"), price=Decimal("5E+4")))
    assert (fields["quantity"], fields["price"]) == ("0.00000001", "50000")


def test_a_cancel_goes_by_the_venues_id_where_known() -> None:
    by_own = dict(parse_qsl(REST.cancel(cancel(), AT_MS).target.partition("?")[2]))
    assert by_own["origClientOrderId"] == "stabc123-1-1"
    assert "orderId" not in by_own
    request = REST.cancel(cancel(venue_order_id=VenueOrderId("42")), AT_MS)
    by_venue = dict(parse_qsl(request.target.partition("?")[2]))
    assert by_venue["orderId"] == "42"
    assert "origClientOrderId" not in by_venue
    assert "newClientOrderId" not in by_venue
    request = REST.cancel(cancel(request_id=CANCEL_ID), AT_MS)
    named = dict(parse_qsl(request.target.partition("?")[2]))
    assert named["newClientOrderId"] == CANCEL_ID
    assert (request.method, request.purpose, request.orders) == ("DELETE", Purpose.CANCEL, 0)


def test_a_cancel_by_the_venues_id_alone_has_its_own_id_on_both_roads() -> None:
    request = REST.cancel_by_id("BTCUSDT", 42, CANCEL_ID, AT_MS)
    asked = dict(parse_qsl(request.target.partition("?")[2]))
    assert (asked["orderId"], asked["newClientOrderId"]) == ("42", CANCEL_ID)
    codec = SpotStopCodec(api_key="k", signer=HmacSigner(b"s"), recv_window_ms=5)
    frame = orjson.loads(codec.cancel_by_id("BTCUSDT", 42, CANCEL_ID, "1", AT_MS).payload)
    assert (frame["params"]["orderId"], frame["params"]["newClientOrderId"]) == (42, CANCEL_ID)
    unnamed = orjson.loads(codec.cancel_by_id("BTCUSDT", 42, "", "1", AT_MS).payload)
    assert "newClientOrderId" not in unnamed["params"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"order_type": OrderType.STOP_LOSS, "price": None, "time_in_force": None,
             "extras": OrderExtras(trailing_bps=100)},
            {"trailingDelta": 100},
        ),
        (
            {"order_type": OrderType.STOP_LOSS_LIMIT, "stop_price": Decimal(49000),
             "extras": OrderExtras(trailing_bps=100)},
            {"trailingDelta": 100, "stopPrice": "49000"},
        ),
        ({"extras": OrderExtras(iceberg_qty=Decimal("0.0001"))}, {"icebergQty": "0.0001"}),
        (
            {"price": None, "extras": OrderExtras(peg=PegPrice.PRIMARY_PEG, peg_levels=2)},
            {"pegPriceType": "PRIMARY_PEG", "pegOffsetType": "PRICE_LEVEL", "pegOffsetValue": 2},
        ),
        (
            {"order_type": OrderType.LIMIT_MAKER, "price": None, "time_in_force": None,
             "extras": OrderExtras(peg=PegPrice.PRIMARY_PEG)},
            {"pegPriceType": "PRIMARY_PEG"},
        ),
    ],
)  # fmt: skip
def test_what_an_order_is_beyond_its_type(changes: Any, expected: dict[str, Any]) -> None:
    made = order("stabc123-1-1", **changes)
    plain_one = {"trailingDelta", "icebergQty", "pegPriceType", "pegOffsetType", "pegOffsetValue"}
    fields = place_fields(made)
    names = plain_one | {"stopPrice"}
    assert {name: value for name, value in fields.items() if name in names} == expected
    assert ("price" in fields) == (changes.get("price", 1) is not None)
    frame = orjson.loads(
        ws_codec(api_key="k", signer=HmacSigner(b"s"), recv_window_ms=5)
        .place(made, "1", AT_MS)
        .payload
    )
    sent = {name: value for name, value in frame["params"].items() if name in names}
    assert sent == expected
    query = dict(parse_qsl(REST.place(made, AT_MS).target.partition("?")[2]))
    assert {n: v for n, v in query.items() if n in names} == {
        n: str(v) for n, v in expected.items()
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"extras": OrderExtras(trailing_bps=10)},
        {"order_type": OrderType.MARKET, "price": None, "time_in_force": None,
         "extras": OrderExtras(iceberg_qty=Decimal("0.1"))},
        {"extras": OrderExtras(peg=PegPrice.PRIMARY_PEG)},
        {"order_type": OrderType.STOP_LOSS, "price": None, "stop_price": None},
    ],
)  # fmt: skip
def test_what_its_type_cannot_be_never_leaves(changes: Any) -> None:
    with pytest.raises(Unencodable):
        place_fields(order("stabc123-1-1", **changes))


def test_replace_names_both_orders() -> None:
    request = REST.replace(replacement(), AT_MS)
    query = dict(parse_qsl(request.target.partition("?")[2]))
    assert query["cancelOrigClientOrderId"] == "stabc123-1-1"
    assert query["newClientOrderId"] == "stabc123-1-2"
    assert query["cancelReplaceMode"] == "STOP_ON_FAILURE"
    assert request.purpose is Purpose.PLACE


def test_amend_keeps_the_clients_id() -> None:
    amend = smaller(qty=Decimal("0.5"), venue_order_id=VenueOrderId("9"))
    fields = amend_fields(amend)
    assert fields == {
        "symbol": "BTCUSDT",
        "orderId": 9,
        "newClientOrderId": "stabc123-1-1",
        "newQty": "0.5",
    }
    assert REST.amend(amend, AT_MS).method == "PUT"
    with pytest.raises(Unencodable):
        amend_fields(smaller(qty=Decimal(0)))


def test_exchange_info_of_symbols_is_one_encoded_array() -> None:
    target = REST.exchange_info(("BTCUSDT", "ETHUSDT")).target
    assert target == "/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22%2C%22ETHUSDT%22%5D"


def test_instruments_name_symbol_and_venue() -> None:
    made = order(instrument_id=instrument_id("ETHUSDT", "binance-spot-testnet"))
    assert place_fields(made)["symbol"] == "ETHUSDT"


# ---------------------------------------------------------------------- what a bot may add
def by_quote() -> NewOrder:
    return order(
        order_type=OrderType.MARKET, price=None, terms=OrderTerms(quote_qty=Decimal("25.50"))
    )


def test_a_quantity_in_quote_stands_in_the_place_of_the_bound() -> None:
    fields = place_fields(by_quote())
    assert fields["quoteOrderQty"] == "25.5"
    assert "quantity" not in fields
    encoder = ws_codec(api_key="K", signer=HmacSigner(SECRET), recv_window_ms=3000)
    plain = orjson.loads(
        encoder.place(order(order_type=OrderType.MARKET, price=None), "1", 5).payload
    )
    assert plain["params"]["quantity"] == "0.001", "a shape that was learnt from another kind"
    params = orjson.loads(encoder.place(by_quote(), "1", 5).payload)["params"]
    assert (params["quoteOrderQty"], params.get("quantity")) == ("25.5", None)
    with pytest.raises(Unencodable, match="takes no quantity in quote"):
        place_fields(order(terms=OrderTerms(quote_qty=Decimal(5))))


def test_tags_are_passed_on_and_nothing_else_is() -> None:
    tags = (("selfTradePreventionMode", "EXPIRE_TAKER"), ("strategyId", "37"))
    fields = place_fields(order(terms=OrderTerms(tags=tags)))
    assert (fields["selfTradePreventionMode"], fields["strategyId"]) == ("EXPIRE_TAKER", 37)
    for bad in (("trailingDelta", "5"), ("strategyId", "1&side=SELL"), ("strategyId", "")):
        with pytest.raises(Unencodable, match="cannot carry"):
            place_fields(order(terms=OrderTerms(tags=(bad,))))


@pytest.mark.parametrize("mode", ReplaceMode)
def test_the_mode_of_a_replace_is_the_bots(mode: ReplaceMode) -> None:
    fields = replace_fields(replace(replacement(), mode=mode))
    assert fields["cancelReplaceMode"] == mode.value
