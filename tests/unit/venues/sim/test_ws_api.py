"""The WebSocket API road: frames, sessions, subscriptions, events."""

import hashlib
import hmac
from base64 import b64encode

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from daemon.venues.binance_spot.serving.registered_keys import PublicKeyFileError, ed25519_key
from daemon.venues.binance_spot.serving.ws_frames import envelope, event_body, subscribers
from daemon.venues.sim.dialect import sim_ws
from tests.support.sim_stage import MS, ROW, SYMBOL, Stage

ORDER = {
    "symbol": SYMBOL,
    "side": "BUY",
    "type": "LIMIT",
    "timeInForce": "GTC",
    "quantity": "0.1",
    "price": "50000",
}
LETTERS = set("eEscSofqpPFgCxXrilzLnNTtIwmMOZYQV")


def ed25519_stage() -> tuple[Stage, Ed25519PrivateKey]:
    stage = Stage()
    private = Ed25519PrivateKey.generate()
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    stage.exchange.keys["e"] = ed25519_key(pem, api_key="e", account="main")
    return stage, private


def logon(stage: Stage, private: Ed25519PrivateKey) -> ROW:
    text = f"apiKey=e&timestamp={stage.now_ns // MS}"
    signature = b64encode(private.sign(text.encode())).decode()
    return stage.ws(
        "session.logon",
        signed=False,
        apiKey="e",
        timestamp=stage.now_ns // MS,
        signature=signature,
    )


def events_of(stage: Stage) -> list[ROW]:
    events, stage.exchange.user_outbox = stage.exchange.user_outbox, []
    return [
        orjson.loads(envelope(number, event_body(event)))
        for event in events
        for number in subscribers(stage.session, event.account)
    ]


def test_place_and_cancel_with_numbers_as_strings_and_ids_as_text() -> None:
    stage = Stage()
    placed = stage.ws("v3/order.place", **ORDER)
    assert placed["status"] == 200
    order_id = placed["result"]["orderId"]
    canceled = stage.ws("order.cancel", symbol=SYMBOL, orderId=str(order_id))
    assert canceled["result"]["status"] == "CANCELED"


def test_booleans_and_numbers_are_signed_as_they_stand_in_the_json() -> None:
    stage = Stage()
    answer = stage.ws("account.status", recvWindow=5000, returnRateLimits="false")
    assert answer["status"] == 200
    frame = (
        b'{"id":1,"method":"account.status","params":{"apiKey":"k","recvWindow":5000.5,'
        b'"returnRateLimits":false,"timestamp":%d,"signature":"%s"}}'
    )
    text = f"apiKey=k&recvWindow=5000.5&returnRateLimits=false&timestamp={stage.now_ns // MS}"
    signature = hmac.new(b"s", text.encode(), hashlib.sha256).hexdigest().encode()
    reply = sim_ws.handle(
        stage.exchange, stage.session, frame % (stage.now_ns // MS, signature), stage.tick()
    )
    assert reply.frame is not None
    row = orjson.loads(reply.frame)
    assert row["status"] == 200
    assert "rateLimits" not in row


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({}, 400, -1102),
        ({"apiKey": "nobody"}, 401, -2014),
        ({"apiKey": "A1" * 32}, 401, -2015),
        ({"apiKey": "k"}, 400, -1102),
        ({"apiKey": "k", "timestamp": 1_790_000_000_001, "signature": "00"}, 400, -1022),
        ({"apiKey": "k", "timestamp": 1_700_000_000_000, "signature": "00"}, 400, -1021),
    ],
)
def test_the_door_refuses(params: ROW, status: int, code: int) -> None:
    answer = Stage().ws("account.status", signed=False, **params)
    assert (answer["status"], answer["error"]["code"]) == (status, code)


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_garbage_gets_an_error_answer_and_never_an_exception(frame: bytes) -> None:
    stage = Stage()
    reply = sim_ws.handle(stage.exchange, stage.session, frame, stage.tick())
    assert reply.frame is not None
    assert orjson.loads(reply.frame)["status"] in {400, 401}


def test_an_unknown_method_is_refused_and_the_connection_lives() -> None:
    stage = Stage()
    assert stage.ws("order.teleport", signed=False)["status"] == 400
    assert stage.ws("ping", signed=False)["result"] == {}


def test_logon_needs_ed25519_and_then_only_a_timestamp() -> None:
    stage, private = ed25519_stage()
    assert "error" in stage.ws("session.logon")
    assert logon(stage, private)["result"]["apiKey"] == "e"
    answer = stage.ws("order.place", signed=False, timestamp=stage.now_ns // MS, **ORDER)
    assert answer["status"] == 200
    untimed = stage.ws("openOrders.status", signed=False)
    assert untimed["error"]["code"] == -1102
    assert stage.ws("session.logout", signed=False)["result"]["apiKey"] is None
    again = stage.ws("openOrders.status", signed=False, timestamp=stage.now_ns // MS)
    assert again["error"]["code"] == -1102


def test_a_key_file_that_holds_no_ed25519_key_is_refused() -> None:
    with pytest.raises(PublicKeyFileError):
        ed25519_key(b"hello", api_key="e", account="main")


def test_one_subscription_an_account_and_unsubscribing_ends_it() -> None:
    stage = Stage()
    first = stage.ws("userDataStream.subscribe.signature")
    assert first["result"] == {"subscriptionId": 0}
    assert stage.ws("userDataStream.subscribe.signature")["error"]["code"] == -2035
    assert stage.ws("session.subscriptions", signed=False)["result"] == [{"subscriptionId": 0}]
    gone = stage.ws("userDataStream.unsubscribe", signed=False, subscriptionId=0)
    assert gone["result"] == {}
    again = stage.ws("userDataStream.unsubscribe", signed=False, subscriptionId=0)
    assert again["error"]["code"] == -2036
    assert stage.ws("userDataStream.subscribe.signature")["result"] == {"subscriptionId": 1}


def test_subscribe_through_the_session_needs_a_logon_and_ends_with_it() -> None:
    stage, private = ed25519_stage()
    assert "error" in stage.ws("userDataStream.subscribe", signed=False)
    logon(stage, private)
    assert stage.ws("userDataStream.subscribe", signed=False)["status"] == 200
    stage.ws("session.logout", signed=False)
    assert stage.session.subscriptions == {}


def test_execution_reports_have_every_letter_and_a_cancel_swaps_c_and_upper_c() -> None:
    stage = Stage()
    stage.ws("userDataStream.subscribe.signature")
    stage.ws("order.place", **ORDER, newClientOrderId="mine")
    stage.ws("order.cancel", symbol=SYMBOL, origClientOrderId="mine", newClientOrderId="cut")
    reports = [e["event"] for e in events_of(stage) if e["event"]["e"] == "executionReport"]
    assert [r["x"] for r in reports] == ["NEW", "CANCELED"]
    assert all(set(r) >= LETTERS for r in reports)
    assert (reports[0]["c"], reports[0]["C"]) == ("mine", "")
    assert (reports[1]["c"], reports[1]["C"]) == ("cut", "mine")
    assert reports[0]["i"] == reports[1]["i"]
    assert (reports[0]["t"], reports[0]["N"]) == (-1, None)


def test_a_trade_report_carries_price_fee_and_side_of_the_book() -> None:
    stage = Stage()
    stage.sell("1", "60000", account="other")
    stage.exchange.collect()
    stage.ws("userDataStream.subscribe.signature")
    stage.exchange.user_outbox.clear()
    stage.ws("order.place", **{**ORDER, "price": "61000"})
    new, trade, position = (e["event"] for e in events_of(stage))
    assert (new["x"], trade["x"]) == ("NEW", "TRADE")
    assert (trade["L"], trade["l"], trade["m"]) == ("60000.00000000", "0.10000000", False)
    assert (trade["n"], trade["N"]) == ("0.00010000", "BTC")
    assert (trade["Z"], trade["X"]) == ("6000.00000000", "FILLED")
    assert {row["a"] for row in position["B"]} == {"USDT", "BTC"}


def test_errors_over_the_socket_carry_the_ban_as_epoch_ms() -> None:
    stage = Stage()
    stage.exchange.limiter.ban(120, stage.now_ns)
    answer = stage.ws("order.place", **ORDER)
    assert (answer["status"], answer["error"]["code"]) == (418, -1003)
    assert answer["error"]["data"]["retryAfter"] == stage.exchange.limiter.banned_until_ns // MS
