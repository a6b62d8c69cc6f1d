"""Who is asking, and is the request fresh: keys, signatures, time windows (binance-spot.md §3)."""

import re
from collections.abc import Mapping

from daemon.venues.binance_spot.serving.call_table import Endpoint
from daemon.venues.binance_spot.serving.dialect_errors import (
    DialectError,
    illegal,
    mandatory,
    not_permitted,
)
from daemon.venues.binance_spot.serving.params import INTEGER_RANGE, Params
from daemon.venues.binance_spot.serving.registered_keys import ApiKey

RECV_WINDOW_MAX_MS = 60_000
_EARLIEST_MS = 1_483_228_800_000
"""2017-01-01: older timestamps are refused outright."""
_AHEAD_MAX_NS = 1_000_000_000
_WINDOW = re.compile(r"[0-9]{1,6}(\.[0-9]{0,3})?")
"""Milliseconds, with up to three decimals."""
_KEY_FORMAT = re.compile(r"[A-Za-z0-9]{64}")


def key_of(keys: Mapping[str, ApiKey], api_key: str) -> ApiKey:
    """The registered key of this name.

    Raises:
        DialectError: -2014 for none at all and for what no key looks like, -2015 for an unknown one
            (status 401).
    """
    key = keys.get(api_key)
    if key is None and not _KEY_FORMAT.fullmatch(api_key):
        raise DialectError(-2014, "API-key format invalid.", 401)
    if key is None:
        raise not_permitted()
    return key


def check_right(key: ApiKey, endpoint: Endpoint) -> None:
    """Whether the key may use the endpoint.

    Raises:
        DialectError: -2015 for an order call with a key that may only read.
    """
    if endpoint.needs_trading and not key.can_trade:
        raise not_permitted()


def check_time(params: Params, clock_ns: int) -> None:
    """Whether the timestamp is inside its window, by the clock that judges it.

    Raises:
        DialectError: -1102 missing, -1131 window too wide, -1021 outside.
    """
    timestamp_ns = _timestamp_ns(params.required("timestamp"))
    window_ns = _window_ns(params.text("recvWindow", "5000"))
    if timestamp_ns >= clock_ns + _AHEAD_MAX_NS:
        raise DialectError(
            -1021, "Timestamp for this request was 1000ms ahead of the server's time."
        )
    if clock_ns - timestamp_ns > window_ns:
        raise DialectError(-1021, "Timestamp for this request is outside of the recvWindow.")


def check_signature(key: ApiKey, payload: bytes, signature: str) -> None:
    """Whether the key signed exactly these bytes.

    Raises:
        DialectError: -1102 missing, -1022 wrong.
    """
    if not signature:
        raise mandatory("signature")
    if not key.accepts(payload, signature):
        raise DialectError(-1022, "Signature for this request is not valid.")


def _timestamp_ns(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        raise illegal("timestamp", INTEGER_RANGE)
    value = int(text)
    # Milliseconds have 13 digits in our age, microseconds 16: both are documented.
    in_ns = value * 1_000 if value >= 10**15 else value * 1_000_000
    if in_ns < _EARLIEST_MS * 1_000_000:
        raise DialectError(-1021, "Timestamp for this request is outside of the recvWindow.")
    return in_ns


def _window_ns(text: str) -> int:
    if not _WINDOW.fullmatch(text):
        raise mandatory("recvWindow")
    whole, _, fraction = text.partition(".")
    window_us = int(whole) * 1_000 + int((fraction or "0").ljust(3, "0"))
    if window_us > RECV_WINDOW_MAX_MS * 1_000:
        raise DialectError(-1131, "recvWindow must be less than 60000")
    return window_us * 1_000
