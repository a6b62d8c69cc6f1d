"""Signatures are checked exactly, over the bytes as they came."""

import hashlib
from collections.abc import Callable
from urllib.parse import quote, urlencode

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from daemon.model.copies import replace
from daemon.venues.binance_spot.serving import rest_requests, ws_frames
from daemon.venues.binance_spot.serving.authentication import check_signature
from daemon.venues.binance_spot.serving.call_table import ENDPOINTS, ROUTES, CallKind
from daemon.venues.binance_spot.serving.dialect_errors import DialectError
from daemon.venues.binance_spot.serving.parameters import KNOWN
from daemon.venues.binance_spot.serving.params import Params, from_form
from tests.support.served_wishes import (
    ED_NAME,
    HMAC_NAME,
    KEYS,
    NOW_MS,
    NOW_NS,
    ed25519_of,
    hmac_of,
    rest_wish,
    signed_frame,
    signed_query,
    signed_query_ed25519,
    ws_wish,
)

ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01"}
OTHER = Ed25519PrivateKey.from_private_bytes(b"8" * 32)
SIGN: dict[str, Callable[[bytes], str]] = {HMAC_NAME: hmac_of, ED_NAME: ed25519_of}


def code_of(call: Callable[[], object]) -> int:
    with pytest.raises(DialectError) as refused:
        call()
    return refused.value.code


@given(
    payload=st.binary(max_size=200), at=st.integers(0, 10_000), key=st.sampled_from(sorted(SIGN))
)
def test_one_changed_byte_is_another_message(payload: bytes, at: int, key: str) -> None:
    signature = SIGN[key](payload)
    check_signature(KEYS[key], payload, signature)
    changed = bytearray(payload or b"\x00")
    changed[at % len(changed)] ^= 1
    for other in (bytes(changed), payload + b"&", payload[:-1] if payload else b"x"):
        if other != payload:
            assert (
                code_of(lambda other=other: check_signature(KEYS[key], other, signature)) == -1022
            )


@given(
    payload=st.binary(max_size=80), junk=st.text(max_size=100), key=st.sampled_from(sorted(SIGN))
)
def test_what_is_no_signature_is_refused_and_nothing_breaks(
    payload: bytes, junk: str, key: str
) -> None:
    if junk and junk.lower() != SIGN[key](payload).lower():
        assert code_of(lambda: check_signature(KEYS[key], payload, junk)) == -1022
    elif not junk:
        assert code_of(lambda: check_signature(KEYS[key], payload, junk)) == -1102


@given(at=st.integers(0, 200), byte=st.integers(0, 255))
def test_a_signature_fits_one_query_only(at: int, byte: int) -> None:
    """Any byte of the signed query changed: refused, whatever the change means."""
    query = signed_query(ORDER)
    signed, _, signature = query.partition(b"&signature=")
    changed = bytearray(signed)
    changed[at % len(changed)] = byte
    if bytes(changed) == signed:
        return
    with pytest.raises(DialectError):
        rest_wish("POST", "order", bytes(changed) + b"&signature=" + signature)


def test_the_key_of_another_bot_does_not_pass() -> None:
    text = urlencode({**ORDER, "timestamp": NOW_MS}).encode()
    wrong = {
        "another secret": hmac_of(text, "another").encode(),
        "the name of the key": hmac_of(text, HMAC_NAME).encode(),
        "a digest without a key": hashlib.sha256(text).hexdigest().encode(),
    }
    for signature in wrong.values():
        assert (
            code_of(lambda s=signature: rest_wish("POST", "order", text + b"&signature=" + s))
            == -1022
        )
    foreign = quote(ed25519_of(text, OTHER), safe="").encode()
    query = text + b"&signature=" + foreign
    assert code_of(lambda: rest_wish("POST", "order", query, key=ED_NAME)) == -1022
    # An Ed25519 key has no secret to sign with: HMAC of its public name proves nothing.
    query = text + b"&signature=" + hmac_of(text, ED_NAME).encode()
    assert code_of(lambda: rest_wish("POST", "order", query, key=ED_NAME)) == -1022
    mine_under_another_name = signed_query(ORDER)
    assert (
        code_of(lambda: rest_wish("POST", "order", mine_under_another_name, key=ED_NAME)) == -1022
    )
    stranger = "z" * 64
    assert code_of(lambda: rest_wish("POST", "order", signed_query(ORDER), key=stranger)) == -2015
    assert code_of(lambda: rest_wish("POST", "order", signed_query(ORDER), key="")) == -2014


def test_bytes_count_not_what_they_mean() -> None:
    """The same parameters in another order or another spelling are other bytes."""
    text = urlencode({**ORDER, "timestamp": NOW_MS}).encode()
    signature = b"&signature=" + hmac_of(text).encode()
    assert rest_wish("POST", "order", text + signature)
    pairs = text.split(b"&")
    turned = b"&".join(reversed(pairs))
    spelled = text.replace(b"BTCUSDT", b"%42TCUSDT")
    for other in (turned, spelled, text + b"&"):
        assert code_of(lambda other=other: rest_wish("POST", "order", other + signature)) == -1022


def test_query_and_body_are_signed_together() -> None:
    query = urlencode({"symbol": "BTCUSDT", "side": "BUY"}).encode()
    body = urlencode({"type": "MARKET", "quantity": "0.01", "timestamp": NOW_MS}).encode()
    signed = body + b"&signature=" + hmac_of(query + body).encode()
    assert rest_wish("POST", "order", query, signed) == rest_wish(
        "POST", "order", signed_query(ORDER)
    )
    alone = body + b"&signature=" + hmac_of(body).encode()
    assert code_of(lambda: rest_wish("POST", "order", query, alone)) == -1022


def test_a_request_keeps_for_its_window_only() -> None:
    for moved_ms, code in ((-5_001, -1021), (1_000, -1021), (-400_000_000_000, -1021)):
        text = urlencode({**ORDER, "timestamp": NOW_MS + moved_ms}).encode()
        query = text + b"&signature=" + hmac_of(text).encode()
        assert code_of(lambda query=query: rest_wish("POST", "order", query)) == code
    wide = urlencode({**ORDER, "timestamp": NOW_MS, "recvWindow": 60_001}).encode()
    query = wide + b"&signature=" + hmac_of(wide).encode()
    assert code_of(lambda: rest_wish("POST", "order", query)) == -1131


@pytest.mark.parametrize("window", [".500", "²", "5000²", "-1", "1e3", " 5", "0x5", "1.2345"])
def test_a_window_that_is_no_number_is_refused(window: str) -> None:
    text = urlencode({**ORDER, "timestamp": NOW_MS, "recvWindow": window}).encode()
    query = text + b"&signature=" + hmac_of(text).encode()
    assert code_of(lambda: rest_wish("POST", "order", query)) == -1102


def test_a_frame_is_signed_by_its_own_key_or_its_session() -> None:
    assert ws_wish(signed_frame("order.place", dict(ORDER)))
    frame = orjson.loads(signed_frame("order.place", dict(ORDER)))
    frame["params"]["quantity"] = "1"
    assert code_of(lambda: ws_wish(orjson.dumps(frame))) == -1022
    frame["params"]["apiKey"] = ED_NAME
    assert code_of(lambda: ws_wish(orjson.dumps(frame))) == -1022
    for gone, code in (("signature", -1102), ("apiKey", -1102), ("timestamp", -1102)):
        left = orjson.loads(signed_frame("order.place", dict(ORDER)))
        del left["params"][gone]
        assert code_of(lambda left=left: ws_wish(orjson.dumps(left))) == code


@pytest.mark.parametrize(
    ("sent", "signed"),
    [
        ("5", "5"), ("0", "0"), ("-0", "-0"), ("-5", "-5"), ("1.0", "1.0"), ("1e3", "1e3"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ('"0.10"', "0.10"), ('""', ""), ('"\\u00e9"', "\u00e9"), ("true", "true"), ("null", "null"),
        ('["A", 1]', '["A", 1]'),
    ],
)  # fmt: skip
@pytest.mark.parametrize("beside", ["7", "1.50", '"x"'])
def test_a_value_is_signed_as_it_was_sent(sent: str, signed: str, beside: str) -> None:
    frame = f'{{"id":1,"method":"order.place","params":{{"a":{sent},"b":{beside}}}}}'
    params = ws_frames.decode_request(frame.encode()).params
    assert ws_frames.signed_params(params).decode() == f"a={signed}&b={beside.strip(chr(34))}"


def test_only_an_ed25519_key_logs_on_and_then_signs_no_more() -> None:
    session = ws_frames.ApiSession(connected_ns=NOW_NS)
    times = {"judge_ns": NOW_NS, "clock_ns": NOW_NS}
    logon = ws_frames.decode_request(signed_frame("session.logon", {}))
    assert code_of(lambda: ws_frames.control(KEYS, session, logon, **times)) == -4056
    forged = orjson.loads(signed_frame("session.logon", {}, ED_NAME))
    forged["params"]["signature"] = ed25519_of(b"other", OTHER)
    request = ws_frames.decode_request(orjson.dumps(forged))
    assert code_of(lambda: ws_frames.control(KEYS, session, request, **times)) == -1022
    assert session.key is None
    logon = ws_frames.decode_request(signed_frame("session.logon", {}, ED_NAME))
    ws_frames.control(KEYS, session, logon, **times)
    assert session.key is KEYS[ED_NAME]


def test_a_request_with_a_key_of_its_own_is_not_the_sessions() -> None:
    session = ws_frames.ApiSession(connected_ns=NOW_NS, key=KEYS[ED_NAME])
    place = ENDPOINTS["order.place"]
    unsigned = Params({**ORDER, "timestamp": str(NOW_MS)})
    assert ws_frames.authenticate(KEYS, session, place, unsigned, NOW_NS) is KEYS[ED_NAME]
    own = ws_frames.decode_request(signed_frame("order.place", dict(ORDER))).params
    assert ws_frames.authenticate(KEYS, session, place, own, NOW_NS) is KEYS[HMAC_NAME]
    for name in ("apiKey", "signature"):
        half = Params({n: v for n, v in own.values.items() if n != name})
        assert (
            code_of(lambda half=half: ws_frames.authenticate(KEYS, session, place, half, NOW_NS))
            == -1102
        )
    other = ws_frames.ApiSession(connected_ns=NOW_NS)
    assert code_of(lambda: ws_frames.authenticate(KEYS, other, place, unsigned, NOW_NS)) == -1102


def test_a_key_that_may_only_read_places_and_cancels_nothing() -> None:
    keys = {HMAC_NAME: replace(KEYS[HMAC_NAME], can_trade=False)}
    values = {**ORDER, "orderId": "1", "newQty": "1"}
    for route, endpoint in ROUTES.items():
        if not endpoint.signed:
            continue
        known = {name: value for name, value in values.items() if name in KNOWN[endpoint.name]}
        request = rest_requests.RestRequest(*route, signed_query(known), b"", HMAC_NAME)
        params = from_form(request.query)
        frame = ws_frames.decode_request(signed_frame(endpoint.name, dict(known)))
        session = ws_frames.ApiSession(connected_ns=NOW_NS)
        calls = (
            lambda e=endpoint, r=request, p=params: rest_requests.authenticate(
                keys, e, r, p, NOW_NS
            ),
            lambda e=endpoint, f=frame, s=session: ws_frames.authenticate(
                keys, s, e, f.params, NOW_NS
            ),
        )
        for call in calls:
            if endpoint.kind is CallKind.QUERY and endpoint.name != "order.test":
                assert call() is keys[HMAC_NAME], endpoint.name
            else:
                assert code_of(call) == -2015, endpoint.name


def test_percent_encoded_and_plain_base64_are_the_same_signature() -> None:
    query = signed_query_ed25519(ORDER)
    assert rest_wish("POST", "order", query, key=ED_NAME)
    text, _, signature = query.partition(b"&signature=")
    for broken in (signature[:-3], b"", signature + b"AAAA", b"%ZZ"):
        with pytest.raises(DialectError):
            rest_wish("POST", "order", text + b"&signature=" + broken, key=ED_NAME)
