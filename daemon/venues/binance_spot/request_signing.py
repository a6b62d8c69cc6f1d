"""Signing for Binance Spot: two routes, two rules, kept apart (binance-spot.md §3).

Rules of this file:
1. REST: percent-encode first, sign the encoded text, send exactly those bytes, signature last.
2. WebSocket API: sort by name, raw UTF-8, never percent-encode, `apiKey` included.
3. A signer never shows its secret: no repr, no attribute with the key's text.
"""

import binascii
import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote

if TYPE_CHECKING:  # an HMAC key needs none of it, and a stop waits for every import
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_BLOCK_BYTES = 64
_INNER_PAD = bytes(0x36 ^ n for n in range(256))
_OUTER_PAD = bytes(0x5C ^ n for n in range(256))


class Signer(Protocol):
    """Turns the text to be signed into the signature's text."""

    @property
    def session_logon(self) -> bool:
        """Whether the venue takes this kind of key for `session.logon` (Ed25519 only)."""

    def sign(self, payload: bytes) -> str:
        """The signature of `payload`: hex for HMAC, base64 for Ed25519."""


class HmacSigner:
    """HMAC-SHA256 as hex. Both pads are absorbed once, so a signature costs two block hashes."""

    __slots__ = ("_inner", "_outer")

    session_logon = False

    def __init__(self, secret: bytes) -> None:
        key = hashlib.sha256(secret).digest() if len(secret) > _BLOCK_BYTES else secret
        key = key.ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(key.translate(_INNER_PAD))
        self._outer = hashlib.sha256(key.translate(_OUTER_PAD))

    def sign(self, payload: bytes) -> str:
        """The HMAC-SHA256 of `payload` in lower-case hex."""
        inner = self._inner.copy()
        inner.update(payload)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.hexdigest()


class Ed25519Signer:
    """Ed25519 (no pre-hash) as base64; case-sensitive."""

    __slots__ = ("_key",)

    session_logon = True

    def __init__(self, key: "Ed25519PrivateKey") -> None:
        self._key = key

    def sign(self, payload: bytes) -> str:
        """The Ed25519 signature of `payload` in base64."""
        return binascii.b2a_base64(self._key.sign(payload), newline=False).decode("ascii")


_JSON_WORDS = {True: "true", False: "false"}

Params = Sequence[tuple[str, str]]
"""Names and values in the order they are sent; values are already text."""


def encode_query(params: Params) -> str:
    """Percent-encode (UTF-8) and join; every reserved character of a value is escaped."""
    return "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in params)


def signed_query(params: Params, signer: Signer) -> str:
    """The exact query text to send: encoded, signed, signature last (itself encoded)."""
    query = encode_query(params)
    return f"{query}&signature={quote(signer.sign(query.encode('ascii')), safe='')}"


def ws_signing_text(params: Mapping[str, str | int | bool]) -> bytes:
    """What a WebSocket API request signs: all its params but `signature`, sorted, raw UTF-8."""
    # Booleans as they stand in JSON: True would sign as "True" and be refused with -1022.
    parts = [
        f"{name}={_JSON_WORDS[v] if (v := params[name]) is True or v is False else v}"
        for name in sorted(params)
        if name != "signature"
    ]
    return "&".join(parts).encode("utf-8")
