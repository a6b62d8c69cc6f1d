"""Signatures against standards that we did not write: RFC 4231 (HMAC), RFC 8032 (Ed25519)."""

import base64
import hashlib
import hmac
import string

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from daemon.venues.binance_spot.request_signing import (
    Ed25519Signer,
    HmacSigner,
    encode_query,
    signed_query,
    ws_signing_text,
)

RFC_4231 = [
    (b"\x0b" * 20, b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
    (
        b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ),
    (
        b"\xaa" * 131,
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ),
]


@pytest.mark.parametrize(("key", "message", "expected"), RFC_4231)
def test_hmac_matches_the_rfc(key: bytes, message: bytes, expected: str) -> None:
    assert HmacSigner(key).sign(message) == expected


@given(key=st.binary(min_size=1, max_size=200), message=st.binary(max_size=300))
def test_hmac_equals_the_standard_library(key: bytes, message: bytes) -> None:
    expected = hmac.new(key, message, hashlib.sha256).hexdigest()
    signer = HmacSigner(key)
    assert signer.sign(message) == expected
    assert signer.sign(message) == expected, "a signature must not change the signer"


def test_ed25519_matches_the_rfc() -> None:
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    expected = bytes.fromhex(
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bac"
        "c61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    )
    signature = Ed25519Signer(Ed25519PrivateKey.from_private_bytes(seed)).sign(b"")
    assert base64.b64decode(signature) == expected


def test_rest_signs_the_encoded_text_and_sends_just_that() -> None:
    query = signed_query([("symbol", "这是测试币456"), ("timestamp", "1")], HmacSigner(b"secret"))
    text, _, signature = query.partition("&signature=")
    assert text == "symbol=%E8%BF%99%E6%98%AF%E6%B5%8B%E8%AF%95%E5%B8%81456&timestamp=1"
    assert signature == hmac.new(b"secret", text.encode(), hashlib.sha256).hexdigest()


def test_base64_signatures_are_percent_encoded_on_rest() -> None:
    key = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
    for number in range(40):
        query = signed_query([("timestamp", str(number))], Ed25519Signer(key))
        tail = query.partition("&signature=")[2]
        assert not set(tail) & set("+/="), tail


@given(st.text(max_size=40))
def test_no_reserved_character_survives_the_encoding(value: str) -> None:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return
    encoded = encode_query([("a", value)]).removeprefix("a=")
    assert set(encoded) <= set(string.ascii_letters + string.digits + "-_.~%")


def test_ws_text_is_sorted_raw_and_json_like() -> None:
    params = {"timestamp": 5, "apiKey": "K", "symbol": "这", "flag": True, "signature": "old"}
    expected = "apiKey=K&flag=true&symbol=这&timestamp=5"
    assert ws_signing_text(params) == expected.encode()


def test_a_signer_shows_no_secret() -> None:
    signer = HmacSigner(b"very-secret-value")
    assert "very-secret-value" not in repr(signer)
    assert not hasattr(signer, "__dict__")
